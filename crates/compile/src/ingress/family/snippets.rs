//! Raw nginx text.

use crate::ingress::annotations::{Annotation, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
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
