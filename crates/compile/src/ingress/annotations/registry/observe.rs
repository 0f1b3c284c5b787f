//! Mirroring, the firewall, tracing, logs and snippets.

use super::{Annotation, Kind, Risk, Support, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
    annotation(
        "mirror-target",
        Kind::Chars(Class::Regex),
        "URL that gets a copy of each request.",
    )
    .ingress()
    .risk(Risk::High)
    .support(Support::NotYet),
    annotation(
        "mirror-host",
        Kind::Chars(Class::Regex),
        "Host header of the copies.",
    )
    .ingress()
    .risk(Risk::High)
    .support(Support::NotYet),
    annotation(
        "mirror-request-body",
        Kind::OnOff,
        "Whether copies carry the body.",
    )
    .default("on")
    .ingress()
    .support(Support::NotYet),
    annotation(
        "enable-modsecurity",
        Kind::Bool,
        "Web application firewall.",
    )
    .setting("enable-modsecurity", "false")
    .ingress()
    .support(Support::Protects),
    annotation(
        "enable-owasp-core-rules",
        Kind::Bool,
        "OWASP core rules; counts only with enable-modsecurity, which closes the route.",
    )
    .setting("enable-owasp-modsecurity-crs", "false")
    .ingress()
    .support(Support::NotYet),
    annotation(
        "modsecurity-transaction-id",
        Kind::Spaced(Class::Variables),
        "Transaction id of the firewall.",
    )
    .ingress()
    .risk(Risk::High)
    .support(Support::NotYet),
    annotation(
        "modsecurity-snippet",
        Kind::Raw,
        "Raw rules of the firewall.",
    )
    .setting("modsecurity-snippet", "")
    .ingress()
    .risk(Risk::Critical)
    .support(Support::Protects),
    annotation("enable-opentelemetry", Kind::Bool, "Traces requests.")
        .setting("enable-opentelemetry", "false")
        .support(Support::NotYet),
    annotation(
        "opentelemetry-trust-incoming-span",
        Kind::Bool,
        "Continues the client's trace.",
    )
    .setting("opentelemetry-trust-incoming-span", "true")
    .support(Support::NotYet),
    annotation(
        "opentelemetry-operation-name",
        Kind::Chars(Class::Word),
        "Name of the span.",
    )
    .setting("opentelemetry-operation-name", "")
    .risk(Risk::Medium)
    .refuses()
    .support(Support::NotYet),
    annotation(
        "enable-access-log",
        Kind::Bool,
        "false keeps requests out of the access log.",
    )
    .default("true"),
    annotation("enable-rewrite-log", Kind::Bool, "There is no rewrite log.")
        .default("false")
        .support(Support::Inert),
    // A snippet may hold a deny or an authentication, so without it the route must not be open.
    annotation(
        "configuration-snippet",
        Kind::Raw,
        "Raw nginx text of the location.",
    )
    .risk(Risk::Critical)
    .support(Support::Protects),
    annotation("server-snippet", Kind::Raw, "Raw nginx text of the host.")
        .ingress()
        .risk(Risk::Critical)
        .support(Support::Protects),
    annotation(
        "stream-snippet",
        Kind::Raw,
        "Raw nginx text for TCP and UDP; no HTTP route depends on it.",
    )
    .ingress()
    .risk(Risk::Critical)
    .support(Support::NotYet),
];
