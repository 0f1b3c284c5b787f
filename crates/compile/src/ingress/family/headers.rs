//! Headers set towards either side.

use crate::ingress::annotations::{
    Annotation, Bad, Class, Kind, NameRef, Reader, Risk, annotation,
};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation("upstream-vhost", Kind::Chars(Class::Regex), "Host header towards the backend.").refuses(),
    annotation(
        "custom-headers",
        Kind::Chars(Class::Basic),
        "ConfigMap namespace/name of response headers, each allowed by global-allowed-response-headers.",
    )
    .risk(Risk::Medium),
];

/// Headers set towards either side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers {
    /// Host towards the backend, as written; may contain variables such as `$host`.
    pub upstream_vhost: Option<String>,
    /// X-Forwarded-Prefix, as written; may name capture groups of the path.
    pub x_forwarded_prefix: Option<String>,
    /// ConfigMap with response headers. When it is missing or holds a header that is not allowed, the route is closed.
    pub custom: Option<NameRef>,
}

impl Headers {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            upstream_vhost: reader.string("upstream-vhost"),
            x_forwarded_prefix: reader.string("x-forwarded-prefix"),
            custom: custom_headers(reader),
        }
    }
}

/// The ConfigMap has to be named with its namespace.
fn custom_headers(reader: &mut Reader) -> Option<NameRef> {
    let named = reader.parsed("custom-headers", NameRef::parse)?;
    if named.namespace.is_none() {
        reader.reject(
            "custom-headers",
            Bad::Ignore,
            "the ConfigMap is to be named namespace/name",
        );
        return None;
    }
    Some(named)
}
