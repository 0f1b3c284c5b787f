//! Upstreams: a Service port with its endpoints, and how one of them is chosen.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::{BackendProtocol, Resilience, Slot, Template, UpstreamTls};

/// Identity of an upstream. Only the builder of the table knows its format; it contains everything by which upstreams differ:
/// Service port, protocol and TLS identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamKey(Arc<str>);

impl UpstreamKey {
    /// The key with this text. Two upstreams must not share one.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// Its text, for logs and dumps.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text, shared.
    pub fn text(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl fmt::Display for UpstreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The endpoints of one Service port, for one protocol and TLS configuration. Endpoint changes replace it and no route.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Its identity.
    pub key: UpstreamKey,
    /// Its Service port, such as `namespace/service/port`: the name in dumps of the table.
    pub name: Arc<str>,
    /// `<namespace>-<service>-<port>`: the name in logs, metrics and affinity cookies.
    pub log_name: Arc<str>,
    /// Protocol of the endpoints.
    pub protocol: BackendProtocol,
    /// TLS towards the endpoints; `None`: no verification and no SNI.
    pub tls: Option<Arc<UpstreamTls>>,
    /// The endpoints that requests can be sent to.
    pub endpoints: Endpoints,
    /// How an endpoint is chosen when no affinity decides.
    pub balance: Balance,
    /// Cookie affinity; takes precedence over `balance`.
    pub affinity: Option<Arc<Affinity>>,
    /// The Service's `sessionAffinity: ClientIP` with its timeout; applies after the cookie and before `balance`.
    pub client_ip_affinity: Option<Duration>,
    /// Bounds on its requests, and when an endpoint is ejected.
    pub resilience: Arc<Resilience>,
    /// Run-time state: balancer position, scores, resolved addresses.
    pub slot: Slot,
}

/// The addresses behind an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// None, with the reason: the response is 503.
    None(NoEndpoints),
    /// Ready addresses, sorted, without duplicates.
    Addresses(Arc<[SocketAddr]>),
    /// A DNS name that is resolved while serving, following its TTL (ExternalName).
    Name {
        /// The name; a trailing dot makes it absolute.
        host: Arc<str>,
        /// The port to connect to.
        port: u16,
    },
}

/// Why an upstream has no endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEndpoints {
    /// The Service does not exist.
    NoService,
    /// The Service has no such port.
    NoPort,
    /// No endpoint is ready.
    NoneReady,
    /// The Service's ExternalName is not allowed.
    RefusedName,
}

impl fmt::Display for NoEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoService => "no such Service",
            Self::NoPort => "no such port",
            Self::NoneReady => "no ready endpoints",
            Self::RefusedName => "external name refused",
        })
    }
}

/// How an endpoint is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// In turn; each worker starts at a random endpoint.
    #[default]
    RoundRobin,
    /// The better of two random endpoints by an exponentially weighted average of response time (decay 10 s).
    Ewma,
    /// The one with the fewest requests in flight, over all workers. Of many endpoints, the better of two random ones.
    LeastConn,
    /// Consistent hashing of a value computed from the request.
    Hash {
        /// The text that is hashed.
        key: Template,
        /// Hash to a group of this many endpoints and choose at random within it; `None`: to one endpoint.
        subset: Option<NonZeroUsize>,
    },
}

/// Cookie affinity of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Cookie name; default `INGRESSCOOKIE`.
    pub cookie: Arc<str>,
    /// Whether the cookie names a hash key or an endpoint.
    pub mode: AffinityMode,
    /// `Path`; `None`: the path of the matched route.
    pub path: Option<Arc<str>>,
    /// `Domain`.
    pub domain: Option<Arc<str>>,
    /// `Max-Age`, seconds.
    pub max_age: Option<i64>,
    /// `Expires`, seconds from now.
    pub expires: Option<i64>,
    /// `true`: always `Secure`; `false`: `Secure` on https requests.
    pub always_secure: bool,
    /// `SameSite`.
    pub same_site: Option<SameSite>,
    /// Leave `SameSite=None` out for user agents that misread it.
    pub conditional_same_site_none: bool,
    /// A failed attempt moves the session to another endpoint and sets a new cookie.
    pub change_on_failure: bool,
}

/// The meaning of an affinity cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AffinityMode {
    /// A key on a consistent ring: scaling moves some sessions.
    Balanced,
    /// One endpoint, until it disappears.
    Persistent,
}

/// `SameSite` of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// `None`
    None,
    /// `Lax`
    Lax,
    /// `Strict`
    Strict,
}

impl SameSite {
    /// The spelling in the cookie.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Lax => "Lax",
            Self::Strict => "Strict",
        }
    }
}
