//! The families of annotations: for each its entries of the registry and their combined semantics.

pub(crate) mod access;
pub(crate) mod affinity;
pub(crate) mod auth;
pub(crate) mod balance;
pub(crate) mod canary;
pub(crate) mod client_certificates;
pub(crate) mod cors;
pub(crate) mod credentials;
pub(crate) mod errors;
pub(crate) mod external_auth;
pub(crate) mod fastcgi;
pub(crate) mod firewall;
pub(crate) mod headers;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod mirror;
pub(crate) mod proxy;
pub(crate) mod redirects;
pub(crate) mod replace;
pub(crate) mod resilience;
pub(crate) mod retry;
pub(crate) mod routing;
pub(crate) mod snippets;
pub(crate) mod tls;
pub(crate) mod tracing;
pub(crate) mod upstream_tls;
