//! From drafts of hosts, routes and upstreams to the parts of a table, for any source of them.

pub(crate) mod certificate;
pub(crate) mod certificates;
mod endpoints;
pub(crate) mod interned;
pub(crate) mod service_port;
pub(crate) mod sorted;
pub(crate) mod upstream;
pub(crate) mod upstreams;

pub use service_port::{ServicePort, Transport};
pub use upstream::UpstreamPolicy;
pub use upstreams::UpstreamDraft;
