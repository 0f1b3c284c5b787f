//! What annotations may do, address lists and headers.

use http::HeaderName;
use ipnet::IpNet;

use super::read::Source;
use super::registry::{Kind, Setting, not_yet, protects, setting};
use crate::ingress::annotations::{NameRef, Risk};

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

/// What annotations may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnotationRules {
    /// The highest risk allowed (`annotations-risk-level`, High by default).
    pub max_risk: Risk,
    /// Words no value may contain (`annotation-value-word-blocklist`).
    pub blocklist: Vec<String>,
    /// Whether admission lets snippet annotations in at all (`allow-snippet-annotations`, off); they close their routes
    /// either way.
    pub snippets: bool,
    /// Whether admission refuses characters of regular expressions in Exact and Prefix paths
    /// (`strict-validate-path-type`, on).
    pub strict_paths: bool,
    /// Whether Secrets and ConfigMaps of other namespaces may be named (`allow-cross-namespace-resources`, off).
    pub cross_namespace: bool,
    /// Headers that custom-headers may set, compared with case (`global-allowed-response-headers`).
    pub allowed_response_headers: Vec<String>,
}

impl AnnotationRules {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        Self {
            max_risk: max_risk(source),
            blocklist: source.list("annotation-value-word-blocklist"),
            snippets: source.on("allow-snippet-annotations"),
            strict_paths: source.on("strict-validate-path-type"),
            cross_namespace: source.on("allow-cross-namespace-resources"),
            allowed_response_headers: source.list("global-allowed-response-headers"),
        }
    }
}

/// The highest risk allowed. A name that is none allows only the lowest, so it is told.
fn max_risk(source: &mut Source<'_>) -> Risk {
    const NAME: &str = "annotations-risk-level";
    let text = source.text(NAME).trim();
    let level = Risk::from_setting(text);
    if !text.eq_ignore_ascii_case(level.as_str()) {
        source.warn(
            NAME,
            "the value is not Low, Medium, High or Critical; Low applies",
        );
    }
    level
}

/// Address lists of all routes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessDefaults {
    /// Refused everywhere with 403, except where a route has a list of its own (`block-cidrs`).
    pub block: Vec<IpNet>,
    /// Allow list of routes without one; empty allows all (`whitelist-source-range`).
    pub allowlist: Vec<IpNet>,
    /// Deny list of routes without one (`denylist-source-range`).
    pub denylist: Vec<IpNet>,
}

impl AccessDefaults {
    pub(super) fn read(source: &Source<'_>) -> Self {
        Self {
            block: source.cidrs("block-cidrs"),
            allowlist: source.cidrs("whitelist-source-range"),
            denylist: source.cidrs("denylist-source-range"),
        }
    }
}

/// Headers of all routes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRules {
    /// Dropped from answers of backends (`hide-headers`).
    pub hide: Vec<HeaderName>,
    /// With `server_tokens`, the backend's Server header passes (`allow-backend-server-header`, off).
    pub allow_backend_server: bool,
    /// Answers carry a Server header (`server-tokens`, off).
    pub server_tokens: bool,
    /// ConfigMap of headers for backends (`proxy-set-headers`).
    pub proxy_set: Option<NameRef>,
    /// ConfigMap of headers for clients (`add-headers`).
    pub add: Option<NameRef>,
    /// Make an X-Request-ID where there is none (`generate-request-id`, on).
    pub generate_request_id: bool,
    /// Add X-Original-URI for the backend (`proxy-add-original-uri-header`, off).
    pub add_original_uri: bool,
}

impl HeaderRules {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let header =
            |text: &str| HeaderName::try_from(text).map_err(|_| "a member is not a header name");
        Self {
            hide: source.each("hide-headers", header).unwrap_or_default(),
            allow_backend_server: source.on("allow-backend-server-header"),
            server_tokens: source.on("server-tokens"),
            proxy_set: source.parsed("proxy-set-headers", NameRef::parse),
            add: source.parsed("add-headers", NameRef::parse),
            generate_request_id: source.on("generate-request-id"),
            add_original_uri: source.on("proxy-add-original-uri-header"),
        }
    }
}
