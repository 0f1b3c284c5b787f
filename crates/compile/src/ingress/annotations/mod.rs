//! The annotations of an Ingress: one registry of every name, total parsers for their values, and the typed result.
//!
//! Text from an object is parsed here once, by the validator its registry entry names, and never looked at again as
//! text. What does not parse has one of three outcomes (see [`Bad`]), and nothing here ever fails or panics.
//!
//! Not here: what the values mean together with the ConfigMap, other Ingresses of the host, Secrets or Services.

mod docs;
mod ingress;
mod kind;
mod problem;
mod reader;
mod registry;
mod value;

pub use docs::annotations_markdown;
pub(crate) use docs::table_cell;
pub(crate) use ingress::http_version;
pub use ingress::{
    Access, Affinity, Algorithm, BackendProtocol, Balance, Canary, CanaryHeader, ConnectionHeader,
    Cors, HashBy, Headers, HttpVersion, IngressAnnotations, Limits, Policy, Proxy, Redirect,
    Redirects, Routing, SameSite, SessionCookie, StickyMode, UpstreamTls,
};
pub use kind::{Class, Kind, Validation};
pub use problem::Problem;
pub use reader::{Denial, Reader};
pub(crate) use reader::{Field, Outcome};
pub(crate) use registry::TUTORIAL_NAMES;
pub use registry::{
    Annotation, Bad, DEFAULT_PREFIX, Removed, Risk, Scope, Support, all, find, removed,
    tutorial_replacement,
};
pub(crate) use value::excerpt;
pub use value::{
    NameRef, NextUpstream, Origin, RedirectRewrite, Rewrite, TlsVersions, Value, ValueError,
    parse_bool, parse_cidr, parse_cidrs, parse_duration, parse_int, parse_size,
};

#[cfg(test)]
mod tests;
