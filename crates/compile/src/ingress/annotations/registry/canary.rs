//! Canary releases.

use super::{Annotation, Kind, Risk, annotation};
use crate::ingress::annotations::Class;

pub(super) const ENTRIES: &[Annotation] = &[
    annotation("canary", Kind::Bool, "This Ingress is an alternative for the Ingress with the same hosts and paths.")
        .default("false")
        .ingress(),
    annotation(
        "canary-by-header",
        Kind::Chars(Class::Basic),
        "Header that chooses: always is the canary, never the primary, anything else leaves it to the next rule.",
    )
    .ingress()
    .risk(Risk::Medium),
    annotation("canary-by-header-value", Kind::Spaced(Class::Basic), "Exact value of the header that chooses the canary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-by-header-pattern", Kind::Chars(Class::Regex), "Regex on the header's value that chooses the canary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-by-cookie", Kind::Chars(Class::Basic), "Cookie that chooses: always is the canary, never the primary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-weight", Kind::Int, "Share of the remaining requests that go to the canary.").default("0").ingress(),
    annotation("canary-weight-total", Kind::Int, "What the weight is a share of; only values above 100 count.")
        .default("100")
        .ingress(),
];
