//! The annotations of an Ingress: one registry of every name, and the typed result.
//!
//! Not here: what the values mean together with the ConfigMap, other Ingresses of the host, Secrets or Services.

mod annotation;
mod docs;
mod list;
mod load;
mod parsed;
mod removed;

pub use super::family::access::Access;
pub use super::family::affinity::{Affinity, SessionCookie};
pub use super::family::balance::{Algorithm, Balance, HashBy};
pub use super::family::canary::{Canary, CanaryHeader};
pub use super::family::cors::Cors;
pub use super::family::headers::Headers;
pub use super::family::limits::Limits;
pub use super::family::proxy::{BackendProtocol, ConnectionHeader, HttpVersion, Proxy};
pub use super::family::redirects::{Redirect, Redirects};
pub use super::family::routing::Routing;
pub use super::family::upstream_tls::UpstreamTls;
pub(crate) use super::registry::excerpt;
pub use super::registry::{
    Class, Denial, Entry, Kind, NameRef, NextUpstream, OnInvalid, Origin, Problem, Protection,
    RedirectRewrite, Rewrite, SizeText, Support, TlsVersions, Validation, Value, ValueError,
    parse_bool, parse_cidr, parse_cidrs, parse_duration, parse_int, parse_size,
};
pub(crate) use annotation::annotation;
pub use annotation::{Annotation, Flag, Risk, Scope};
pub use docs::annotations_markdown;
pub(crate) use docs::{support, table_cell};
pub use list::{all, find, meant_by};
pub use parsed::{IngressAnnotations, Policy};
pub use removed::{Removed, removed};

/// The prefix of annotation names unless `--annotations-prefix` says otherwise.
pub const DEFAULT_PREFIX: &str = "nginx.ingress.kubernetes.io";

#[cfg(test)]
mod tests;
