//! Mirroring.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
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
];
