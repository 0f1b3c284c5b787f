//! Basic, digest and external authentication.
//!
//! None is honoured yet. The entries that switch protection on close the route; those that only complete them are named
//! in a warning.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "auth-type",
        Kind::OneOf(&["basic", "digest"]),
        "Asks for a user name and password.",
    )
    .refuses()
    .support(Support::Protects),
    annotation(
        "auth-secret",
        Kind::Chars(Class::Basic),
        "Secret with the users, name or namespace/name.",
    )
    .risk(Risk::Medium)
    .denies()
    .support(Support::Protects),
    annotation(
        "auth-secret-type",
        Kind::OneOf(&["auth-file", "auth-map"]),
        "How the Secret holds the users.",
    )
    .default("auth-file")
    .refuses()
    .support(Support::NotYet),
    annotation(
        "auth-realm",
        Kind::Chars(Class::Space),
        "Realm shown when asking for the password.",
    )
    .risk(Risk::Medium)
    .refuses()
    .support(Support::NotYet),
    annotation(
        "auth-url",
        Kind::Spaced(Class::UrlVariables),
        "Asks this URL whether a request may pass.",
    )
    .setting("global-auth-url", "")
    .risk(Risk::High)
    .refuses()
    .support(Support::Protects),
    annotation(
        "auth-method",
        Kind::OneOf(&[
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE",
        ]),
        "Method of the question to auth-url.",
    )
    .setting("global-auth-method", "")
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-signin",
        Kind::Spaced(Class::UrlVariables),
        "Where a client goes when auth-url answers 401.",
    )
    .setting("global-auth-signin", "")
    .risk(Risk::High)
    .support(Support::NotYet),
    annotation(
        "auth-signin-redirect-param",
        Kind::Spaced(Class::Url),
        "Query parameter with the original URL for auth-signin.",
    )
    .setting("global-auth-signin-redirect-param", "rd")
    .risk(Risk::Medium)
    .support(Support::NotYet),
    annotation(
        "auth-response-headers",
        Kind::Chars(Class::HeaderList),
        "Headers copied from the answer of auth-url to the request for the backend.",
    )
    .setting("global-auth-response-headers", "")
    .risk(Risk::Medium)
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-proxy-set-headers",
        Kind::Chars(Class::Basic),
        "ConfigMap with further headers of the question to auth-url.",
    )
    .risk(Risk::Medium)
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-request-redirect",
        Kind::Spaced(Class::Url),
        "X-Auth-Request-Redirect of the question to auth-url.",
    )
    .setting("global-auth-request-redirect", "$request_uri")
    .risk(Risk::Medium)
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-cache-key",
        Kind::Spaced(Class::Variables),
        "Keeps answers of auth-url under this key.",
    )
    .setting("global-auth-cache-key", "")
    .risk(Risk::Medium)
    .support(Support::NotYet),
    annotation(
        "auth-cache-duration",
        Kind::Chars(Class::Times),
        "How long answers of auth-url are kept, by status.",
    )
    .setting("global-auth-cache-duration", "200 202 401 5m")
    .risk(Risk::Medium)
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-always-set-cookie",
        Kind::Bool,
        "Passes Set-Cookie of auth-url to the client on every status.",
    )
    .setting("global-auth-always-set-cookie", "false")
    .denies()
    .support(Support::NotYet),
    annotation(
        "auth-keepalive",
        Kind::Int,
        "Idle connections kept to the host of auth-url.",
    )
    .default("0")
    .support(Support::NotYet),
    annotation(
        "auth-keepalive-requests",
        Kind::Int,
        "Requests on one connection to auth-url.",
    )
    .default("1000")
    .support(Support::NotYet),
    annotation(
        "auth-keepalive-timeout",
        Kind::Int,
        "Seconds an idle connection to auth-url is kept.",
    )
    .default("60")
    .support(Support::NotYet),
    annotation(
        "auth-keepalive-share-vars",
        Kind::Bool,
        "Shares variables of the request with the question to auth-url.",
    )
    .default("false")
    .support(Support::NotYet),
    annotation("auth-snippet", Kind::Raw, "Raw nginx text for auth-url.")
        .setting("global-auth-snippet", "")
        .risk(Risk::Critical)
        .support(Support::Protects),
    annotation(
        "enable-global-auth",
        Kind::Bool,
        "false exempts the Ingress from global-auth-url.",
    )
    .default("true"),
];
