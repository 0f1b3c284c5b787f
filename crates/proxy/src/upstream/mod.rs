//! Requests to upstreams: load balancing, connections, request and response, retries.
//!
//! The head of a request is final but for its framing, and what a client sees of a failure is decided elsewhere: this
//! module reports what failed and whose fault it is. It knows no client, route or worker: every request is a [`Call`].

mod address;
mod affinity;
mod attempt;
mod balance;
mod call;
mod collect;
mod connect;
mod dials;
mod exchange;
mod explain;
mod fastcgi;
mod fault;
mod gather;
mod health;
mod http1;
mod load;
mod options;
mod payload;
mod pool;
mod raw;
mod read_ahead;
mod replay;
mod report;
mod request_body;
mod request_buffers;
mod request_head;
mod resolve;
mod response_body;
mod retry;
mod retry_window;
mod spool;
mod stored_body;
mod target;
mod timer;
mod tls;
mod trailers;
mod tunnel;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Template, Upstream};

pub(crate) use address::LocalAddresses;
pub(crate) use affinity::bound_to;
#[cfg(test)]
pub(crate) use attempt::Progress;
pub(crate) use attempt::{Attempt, Attempts};
pub(crate) use call::{Call, Reply};
pub(crate) use collect::Incomplete;
pub(crate) use explain::Choice;
pub(crate) use fastcgi::Params;
pub(crate) use fault::Fault;
pub(crate) use gather::read_body;
pub use health::EndpointState;
pub(crate) use options::{CallOptions, Protocol, Security};
pub(crate) use payload::{Length, Payload};
pub(crate) use raw::{RawAttempt, RawAttempts, RawConnection, RawIo, Tries};
pub use report::{EndpointReport, UpstreamReport, upstream_report};
pub(crate) use request_body::{BodyRules, RequestBodyError};
pub(crate) use request_buffers::RequestBuffers;
pub use resolve::ResolvedNames;
pub(crate) use resolve::Resolver;
pub(crate) use response_body::{BodyError, UpstreamBody};
use spool::Disk;
pub(crate) use spool::DiskSpace;
pub(crate) use timer::{LazyTimer, after};
pub(crate) use tunnel::Tunnel;

use self::balance::UpstreamState;
use self::gather::Places;
use self::pool::Pools;
use crate::buffers::ResponseBuffers;
use crate::current::CurrentTable;
use crate::limit::Limit;
use crate::pipes::Pipes;

/// What the upstreams of all workers share.
pub(crate) struct Environment {
    pub(crate) resolver: Arc<Resolver>,
    /// Where this process listens.
    pub(crate) local: LocalAddresses,
    /// Endpoints may have loopback addresses.
    pub(crate) loopback: bool,
    pub(crate) workers: usize,
    /// What is held of their responses.
    pub(crate) buffers: Arc<ResponseBuffers>,
    /// What is held of request bodies.
    pub(crate) bodies: Arc<RequestBuffers>,
    /// For bodies that do not stay in memory.
    pub(crate) disk: Arc<DiskSpace>,
}

/// Sends the requests of one worker.
pub(crate) struct Upstreams {
    environment: Arc<Environment>,
    /// Number of the worker, from 0.
    worker: usize,
    table: CurrentTable,
    pools: Pools,
    /// Lent to what the kernel moves from socket to socket.
    pub(crate) pipes: Rc<Pipes>,
}

impl Upstreams {
    /// Sets whether the health checks of `endpoint` of `upstream` pass.
    pub(crate) fn set_healthy(&self, upstream: &Upstream, endpoint: SocketAddr, healthy: bool) {
        if let Ok(state) = UpstreamState::of(upstream, self.environment.workers) {
            state.checked(upstream, endpoint, healthy);
        }
    }

    /// For `worker`, counted from 0. Kept connections follow the settings and endpoints of `table`.
    pub(crate) fn new(environment: Arc<Environment>, worker: usize, table: CurrentTable) -> Self {
        Self {
            environment,
            worker,
            table,
            pools: Pools::default(),
            pipes: Rc::default(),
        }
    }

    /// Where bodies are stored; room for one of `largest` bytes is there unless settings say otherwise.
    fn disk(&self, largest: u64) -> Disk {
        let most = self.table.get().settings.client.temporary_files;
        self.environment.disk.disk(most, largest)
    }

    /// Where a body of at most `largest` bytes is kept that is read to its end, `memory` bytes in any case.
    fn places(&self, memory: usize, largest: u64) -> Places {
        Places {
            memory,
            buffers: self.environment.bodies.clone(),
            disk: self.disk(largest),
        }
    }
}

/// What the choice of an endpoint and the cookie of a new session may depend on: properties of a client's request, or of
/// a call of the process itself.
pub(crate) trait SelectionInput {
    /// The client, after real-IP processing.
    fn client(&self) -> IpAddr;

    /// The text of `template`, which consistent hashing hashes.
    fn evaluate(&self, template: &Template) -> String;

    /// Whether the client came by https: its session cookies are `Secure` then. Default: no.
    fn https(&self) -> bool {
        false
    }

    /// The endpoint of the session that the request belongs to. Default: none.
    fn session_endpoint(&self) -> Option<SocketAddr> {
        None
    }

    /// The first cookie of that name. Default: none.
    fn cookie(&self, _name: &str) -> Option<&str> {
        None
    }

    /// `User-Agent`; empty when there is none, which is the default.
    fn user_agent(&self) -> &str {
        ""
    }

    /// `Path` of the session cookie where the upstream's affinity names none. `None`, the default: no cookie is made.
    fn session_path(&self) -> Option<&str> {
        None
    }
}

/// A bound on the requests to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// On requests that use a connection or wait for one.
    Connections,
    /// On requests that wait for a new connection.
    Pending,
    /// On retries in a time.
    Retries,
}

impl Bound {
    /// The key of the ConfigMap, or the field of a policy, that sets it.
    pub(crate) fn setting(self) -> &'static str {
        match self {
            Self::Connections => "upstream-max-connections",
            Self::Pending => "upstream-max-pending-requests",
            Self::Retries => "retryConstraint",
        }
    }

    /// The limit in metrics.
    pub(crate) fn limit(self) -> Limit {
        match self {
            Self::Connections => Limit::UpstreamConnections,
            Self::Pending => Limit::UpstreamPending,
            Self::Retries => Limit::RetryBudget,
        }
    }
}

/// Endpoints of `upstream` that are ejected now.
pub fn ejected_endpoints(upstream: &Upstream) -> usize {
    let state = upstream.slot.get::<UpstreamState>();
    state.map_or(0, |state| state.health.ejected())
}

/// Endpoints of `upstream` whose health checks have failed.
pub fn unhealthy_endpoints(upstream: &Upstream) -> usize {
    let state = upstream.slot.get::<UpstreamState>();
    state.map_or(0, |state| state.health.unhealthy())
}

/// A call of the process itself, which depends on no client.
pub(crate) struct NoClient;

impl SelectionInput for NoClient {
    fn client(&self) -> IpAddr {
        Ipv4Addr::UNSPECIFIED.into()
    }

    fn evaluate(&self, template: &Template) -> String {
        template.as_text().unwrap_or_default().to_owned()
    }
}

/// Why a call has no response, by fault: the state of the cluster, the endpoint, or the source of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    #[error("the upstream has no endpoints")]
    NoEndpoints,
    /// The upstream has as many requests as its bounds allow.
    #[error("too many requests: {}", .0.setting())]
    Overloaded(Bound),
    /// The endpoint refused the connection or the handshake.
    #[error("cannot connect to the upstream")]
    Connect,
    /// Connecting took longer than the connect timeout.
    #[error("connecting to the upstream timed out")]
    ConnectTimeout,
    /// The endpoint read nothing of the request for longer than the send timeout.
    #[error("sending to the upstream timed out")]
    SendTimeout,
    /// The endpoint did not respond for longer than the read timeout.
    #[error("the upstream timed out")]
    ReadTimeout,
    /// The connection broke before there was a response.
    #[error("the upstream closed the connection before its response")]
    Broken,
    /// The head of the response is larger than the options allow.
    #[error("the response head of the upstream is too large")]
    HeadTooLarge,
    /// The response is not HTTP, or not one to this request.
    #[error("the response of the upstream is invalid")]
    InvalidResponse,
    /// The body of the request could not be read to its end.
    #[error(transparent)]
    RequestBody(#[from] RequestBodyError),
}
