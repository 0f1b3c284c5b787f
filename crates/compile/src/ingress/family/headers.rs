//! Headers set towards either side.

use crate::Kind as ObjectKind;
use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{Class, NameRef, OnInvalid, Reader, keys, types};

keys! { Annotation {
    UPSTREAM_VHOST: String =
        annotation("upstream-vhost", types::chars(Class::Regex), "Host header towards the backend.")
            .refuses();
    CUSTOM_HEADERS: String =
        annotation("custom-headers", types::chars(Class::Basic),
            "ConfigMap namespace/name of response headers, each allowed by global-allowed-response-headers.")
            .risk(Risk::Medium).names(ObjectKind::ConfigMap);
} }

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
            upstream_vhost: reader.get(&UPSTREAM_VHOST),
            x_forwarded_prefix: reader.get(&super::routing::X_FORWARDED_PREFIX),
            custom: custom_headers(reader),
        }
    }
}

/// The ConfigMap has to be named with its namespace.
fn custom_headers(reader: &mut Reader) -> Option<NameRef> {
    let named = reader.parsed(&CUSTOM_HEADERS, NameRef::parse)?;
    if named.namespace.is_none() {
        reader.reject(
            &CUSTOM_HEADERS,
            OnInvalid::Ignore,
            "the ConfigMap is to be named namespace/name",
        );
        return None;
    }
    Some(named)
}
