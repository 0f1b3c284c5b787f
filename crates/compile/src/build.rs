//! From drafts of hosts, routes and upstreams to the parts of a table, for any source of drafts.
//!
//! A source translates its objects into drafts ([`RouteDraft`], [`HostDraft`], [`UpstreamPolicy`]). The rest is the same for all
//! sources: routes in the order of precedence, run-time state carried over, upstreams with the endpoints of their Service ports,
//! certificates of Secrets, listeners. Parts that a change does not affect are shared with the former table. The only kinds of
//! objects known here are Services, their endpoints, and Secrets.

pub(crate) mod certificate;
pub(crate) mod certificates;
mod draft;
mod endpoints;
mod hosts;
pub(crate) mod interned;
mod listeners;
mod passthrough;
pub(crate) mod service_port;
mod slots;
pub(crate) mod sorted;
mod universes;
mod upstream;
mod upstreams;
mod url;
pub(crate) mod users;

pub use draft::{
    AlternativeDraft, ArmDraft, BackendDraft, BehaviourDraft, HostDraft, PathDraft, PathOrder,
    RouteDraft, RoutePolicy, SplitDraft, TargetDraft, Universe,
};
pub use endpoints::EndpointOptions;
pub(crate) use endpoints::find_port;
pub use hosts::Conflict;
pub use listeners::{HttpListeners, http_listeners};
pub use service_port::{ServicePort, Transport};
pub use universes::Builder;
pub(crate) use universes::empty_host;
pub use upstream::{Inputs, UpstreamPolicy, UpstreamProblem};
pub use upstreams::UpstreamDraft;
pub use url::UrlAddress;
