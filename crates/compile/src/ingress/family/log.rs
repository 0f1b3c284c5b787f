//! The logs of single routes.

use crate::ingress::annotations::{Annotation, Kind, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "enable-access-log",
        Kind::Bool,
        "false keeps requests out of the access log.",
    )
    .default("true"),
    annotation("enable-rewrite-log", Kind::Bool, "There is no rewrite log.")
        .default("false")
        .support(Support::Inert),
];
