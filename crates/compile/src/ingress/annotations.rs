//! The annotations of an Ingress: one registry of every name, total parsers for their values, and the typed result.
//!
//! Not here: what the values mean together with the ConfigMap, other Ingresses of the host, Secrets or Services.

mod docs;
mod load;
mod parsed;
mod protects;
mod rows;

pub use super::family::access::Access;
pub use super::family::affinity::{Affinity, SameSite, SessionCookie, StickyMode};
pub use super::family::balance::{Algorithm, Balance, HashBy};
pub use super::family::canary::{Canary, CanaryHeader};
pub use super::family::cors::Cors;
pub use super::family::headers::Headers;
pub use super::family::limits::Limits;
pub(crate) use super::family::proxy::http_version;
pub use super::family::proxy::{BackendProtocol, ConnectionHeader, HttpVersion, Proxy};
pub use super::family::redirects::{Redirect, Redirects};
pub use super::family::routing::Routing;
pub use super::family::upstream_tls::UpstreamTls;
pub use super::registry::{
    Class, Denial, Kind, NameRef, NextUpstream, Origin, Problem, Reader, RedirectRewrite, Rewrite,
    TlsVersions, Validation, Value, ValueError, parse_bool, parse_cidr, parse_cidrs,
    parse_duration, parse_int, parse_size,
};
pub(crate) use super::registry::{Field, Outcome, excerpt};
pub use docs::annotations_markdown;
pub(crate) use docs::table_cell;
pub use parsed::{IngressAnnotations, Policy};
pub use rows::{
    Annotation, Bad, DEFAULT_PREFIX, Removed, Risk, Scope, Support, all, find, removed,
    tutorial_replacement,
};
pub(crate) use rows::{TUTORIAL_NAMES, annotation};

#[cfg(test)]
mod tests;
