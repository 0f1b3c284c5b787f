//! Security, policy and global authentication.

use super::{Kind, Setting, not_yet, protects, setting};

pub(super) const ENTRIES: &[Setting] = &[
    setting(
        "allow-snippet-annotations",
        Kind::Bool,
        "false",
        "Snippet annotations close their routes either way.",
    ),
    setting(
        "annotations-risk-level",
        Kind::Raw,
        "High",
        "Highest risk of an annotation: Low, Medium, High or Critical.",
    ),
    setting(
        "annotation-value-word-blocklist",
        Kind::List,
        "",
        "An Ingress with a value that contains one of these is refused.",
    ),
    setting(
        "allow-cross-namespace-resources",
        Kind::Bool,
        "false",
        "Annotations may name Secrets and ConfigMaps of other namespaces.",
    ),
    setting(
        "strict-validate-path-type",
        Kind::Bool,
        "true",
        "Admission refuses regex characters in Exact and Prefix paths.",
    ),
    setting(
        "global-allowed-response-headers",
        Kind::List,
        "",
        "Headers that custom-headers may set.",
    ),
    setting(
        "block-cidrs",
        Kind::Cidrs,
        "",
        "These clients get 403 on every route without a list of its own.",
    )
    .closes(),
    protects(
        "block-user-agents",
        Kind::Raw,
        "",
        "These user agents get 403.",
    ),
    protects(
        "block-referers",
        Kind::Raw,
        "",
        "Requests with these referers get 403.",
    ),
    setting(
        "whitelist-source-range",
        Kind::Cidrs,
        "",
        "Default of allowlist-source-range.",
    )
    .closes(),
    setting(
        "denylist-source-range",
        Kind::Cidrs,
        "",
        "Default of denylist-source-range.",
    )
    .closes(),
    setting(
        "hide-headers",
        Kind::List,
        "",
        "Headers dropped from answers of the backends.",
    ),
    setting(
        "allow-backend-server-header",
        Kind::Bool,
        "false",
        "With server-tokens: the backend's Server header passes.",
    ),
    setting(
        "server-tokens",
        Kind::Bool,
        "false",
        "Answers carry a Server header.",
    ),
    setting(
        "no-auth-locations",
        Kind::List,
        "/.well-known/acme-challenge",
        "Ingress paths without authentication.",
    ),
    setting(
        "no-tls-redirect-locations",
        Kind::List,
        "/.well-known/acme-challenge",
        "Ingress paths that are not redirected to https.",
    ),
    setting(
        "ssl-reject-handshake",
        Kind::Bool,
        "false",
        "Refuses TLS for unknown names instead of the default certificate.",
    ),
    not_yet(
        "custom-http-errors",
        Kind::Codes,
        "",
        "Default of the annotation.",
    ),
    not_yet(
        "disable-proxy-intercept-errors",
        Kind::Bool,
        "false",
        "Default of the annotation.",
    ),
    protects(
        "global-auth-url",
        Kind::Raw,
        "",
        "Asks this URL whether a request may pass, on every route.",
    ),
    not_yet(
        "global-auth-method",
        Kind::Raw,
        "",
        "Method of the question to global-auth-url.",
    ),
    not_yet(
        "global-auth-signin",
        Kind::Raw,
        "",
        "Where a client goes when global-auth-url answers 401.",
    ),
    not_yet(
        "global-auth-signin-redirect-param",
        Kind::Raw,
        "rd",
        "Query parameter with the original URL.",
    ),
    not_yet(
        "global-auth-response-headers",
        Kind::List,
        "",
        "Headers copied to the request for the backend.",
    ),
    not_yet(
        "global-auth-request-redirect",
        Kind::Raw,
        "",
        "X-Auth-Request-Redirect of the question.",
    ),
    protects(
        "global-auth-snippet",
        Kind::Raw,
        "",
        "Raw nginx text for global-auth-url.",
    ),
    not_yet(
        "global-auth-cache-key",
        Kind::Raw,
        "",
        "Keeps answers under this key.",
    ),
    not_yet(
        "global-auth-cache-duration",
        Kind::Raw,
        "200 202 401 5m",
        "How long answers are kept.",
    ),
    not_yet(
        "global-auth-always-set-cookie",
        Kind::Bool,
        "false",
        "Passes Set-Cookie on every status.",
    ),
    protects(
        "enable-modsecurity",
        Kind::Bool,
        "false",
        "Web application firewall.",
    ),
    not_yet(
        "enable-owasp-modsecurity-crs",
        Kind::Bool,
        "false",
        "OWASP core rules; counts only with enable-modsecurity.",
    ),
    protects(
        "modsecurity-snippet",
        Kind::Raw,
        "",
        "Raw rules of the firewall.",
    ),
    not_yet(
        "main-snippet",
        Kind::Raw,
        "",
        "Raw nginx text of the top level.",
    ),
    protects(
        "http-snippet",
        Kind::Raw,
        "",
        "Raw nginx text of the http block.",
    ),
    protects(
        "server-snippet",
        Kind::Raw,
        "",
        "Raw nginx text of every host.",
    ),
    protects(
        "location-snippet",
        Kind::Raw,
        "",
        "Raw nginx text of every location.",
    ),
    not_yet(
        "stream-snippet",
        Kind::Raw,
        "",
        "Raw nginx text for TCP and UDP.",
    ),
];
