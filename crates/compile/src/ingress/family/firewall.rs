//! The web application firewall.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
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
];
