//! When another endpoint is tried.

use crate::ingress::annotations::{Annotation, Kind, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "proxy-next-upstream",
        Kind::NextUpstream,
        "On what another endpoint is tried.",
    )
    .setting("proxy-next-upstream", "error timeout")
    .risk(Risk::Medium),
    annotation(
        "proxy-next-upstream-timeout",
        Kind::Int,
        "Seconds for all tries; 0 is unlimited.",
    )
    .setting("proxy-next-upstream-timeout", "0"),
    annotation(
        "proxy-next-upstream-tries",
        Kind::Int,
        "Tries in all; 0 is unlimited.",
    )
    .setting("proxy-next-upstream-tries", "3"),
];
