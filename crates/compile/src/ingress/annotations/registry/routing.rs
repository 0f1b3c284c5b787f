//! Routing, rewrites and redirects.

use super::{Annotation, Kind, Risk, Support, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
    annotation(
        "rewrite-target",
        Kind::Chars(Class::PathCapture),
        "Replaces the request path; $1 to $9 are the capture groups of the Ingress path. Switches the host to regex matching.",
    )
    .ingress()
    .risk(Risk::Medium),
    annotation("use-regex", Kind::Bool, "Paths of this Ingress are regexes. Switches the host to regex matching.")
        .default("false"),
    annotation("app-root", Kind::AppRoot, "Redirects / of the host to this path with 302.").risk(Risk::Medium),
    annotation("ssl-redirect", Kind::Bool, "Redirects http to https when the host has a certificate.")
        .setting("ssl-redirect", "true"),
    annotation("force-ssl-redirect", Kind::Bool, "Redirects http to https even without a certificate for the host.")
        .setting("force-ssl-redirect", "false")
        .risk(Risk::Medium),
    annotation("preserve-trailing-slash", Kind::Bool, "Keeps the final slash in the redirect to https.")
        .setting("preserve-trailing-slash", "false")
        .risk(Risk::Medium),
    annotation("use-port-in-redirects", Kind::Bool, "Adds the https listening port to the redirect to https.")
        .setting("use-port-in-redirects", "false"),
    annotation("relative-redirects", Kind::Bool, "Redirects that the proxy itself makes carry a path only.")
        .setting("relative-redirects", "false")
        .refuses(),
    annotation("permanent-redirect", Kind::Chars(Class::Url), "Answers every request with a redirect to this URL.")
        .risk(Risk::Medium)
        .refuses(),
    annotation("permanent-redirect-code", Kind::Int, "Status of permanent-redirect, 300 to 308; any other number is 301.")
        .default("301")
        .refuses(),
    annotation(
        "temporal-redirect",
        Kind::Chars(Class::Url),
        "Answers every request with a temporary redirect to this http or https URL; wins over permanent-redirect.",
    )
    .risk(Risk::Medium)
    .refuses(),
    annotation("temporal-redirect-code", Kind::Int, "Status of temporal-redirect, 300 to 307; any other number is 302.")
        .default("302")
        .refuses(),
    annotation("from-to-www-redirect", Kind::Bool, "Redirects www.HOST to HOST, or HOST to www.HOST when the rule names that.")
        .default("false")
        .refuses(),
    annotation("server-alias", Kind::ServerNames, "Further names of the host; ~ starts a regex.")
        .ingress()
        .risk(Risk::High)
        .refuses(),
    annotation(
        "default-backend",
        Kind::Service,
        "Service of the same namespace that answers when the backend has no endpoints.",
    )
    .refuses(),
    annotation("custom-http-errors", Kind::Codes, "Answers of these codes come from the default backend instead.")
        .setting("custom-http-errors", "")
        .refuses()
        .support(Support::NotYet),
    annotation(
        "disable-proxy-intercept-errors",
        Kind::Bool,
        "With custom-http-errors: errors of the upstream itself pass unchanged.",
    )
    .setting("disable-proxy-intercept-errors", "false")
    .refuses()
    .support(Support::NotYet),
    annotation("upstream-vhost", Kind::Chars(Class::Regex), "Host header towards the backend.").refuses(),
    annotation(
        "x-forwarded-prefix",
        Kind::Spaced(Class::PathCapture),
        "X-Forwarded-Prefix towards the backend, when rewrite-target changes the path.",
    )
    .risk(Risk::Medium)
    .refuses(),
    annotation("service-upstream", Kind::Bool, "Uses the Service's cluster address instead of its endpoints.")
        .setting("service-upstream", "false")
        .ingress(),
];
