//! Tracing.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
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
];
