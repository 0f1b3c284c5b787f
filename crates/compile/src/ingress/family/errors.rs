//! Error pages of the default backend.

use crate::ingress::annotations::{Annotation, Kind, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "custom-http-errors",
        Kind::Codes,
        "Answers of these codes come from the default backend instead.",
    )
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
];
