//! FastCGI backends.

use crate::ingress::annotations::{Annotation, Class, Kind, Risk, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "fastcgi-index",
        Kind::Chars(Class::FileName),
        "Index file of a FastCGI backend.",
    )
    .risk(Risk::Medium)
    .refuses()
    .support(Support::NotYet),
    annotation(
        "fastcgi-params-configmap",
        Kind::Chars(Class::Basic),
        "ConfigMap with parameters of a FastCGI backend.",
    )
    .risk(Risk::Medium)
    .refuses()
    .support(Support::NotYet),
];
