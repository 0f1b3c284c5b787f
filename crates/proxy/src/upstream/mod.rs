//! The side of the endpoints: which one a request goes to, the connection it takes, what is sent, what comes back, and
//! when another one is tried.
//!
//! What a request looks like upstream is decided before (the head is final but for its framing), and what a client sees of
//! a failure is decided after: this module says what went wrong and whose fault it was. It knows no client, no route and
//! no worker: requests come in as a [`Call`], whoever they are from.

mod address;
mod affinity;
mod attempt;
mod balance;
mod call;
mod connect;
mod exchange;
mod options;
mod payload;
mod pool;
mod read_ahead;
mod request_body;
mod request_head;
mod resolve;
mod response_body;
mod retry;
mod spool;
mod target;
mod timer;
mod tls;
mod trailers;
mod tunnel;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::Template;

pub(crate) use address::LocalAddresses;
pub(crate) use affinity::bound_to;
#[cfg(test)]
pub(crate) use attempt::Progress;
pub(crate) use attempt::{Attempt, Attempts};
pub(crate) use call::{Call, Reply};
pub(crate) use options::CallOptions;
pub(crate) use payload::{Length, Payload};
pub(crate) use request_body::{BodyRules, RequestBodyError};
pub(crate) use resolve::Resolver;
pub(crate) use response_body::{BodyError, UpstreamBody};
pub(crate) use tunnel::Tunnel;

use self::pool::Pools;
use crate::current::CurrentTable;

/// What all workers share for sending requests.
pub(crate) struct Environment {
    /// Names of ExternalName Services.
    pub(crate) resolver: Resolver,
    /// Where this process listens; never endpoints.
    pub(crate) local: LocalAddresses,
    /// Endpoints may have loopback addresses.
    pub(crate) loopback: bool,
    /// Number of workers.
    pub(crate) workers: usize,
}

/// What one worker sends requests with.
pub(crate) struct Upstreams {
    environment: Arc<Environment>,
    /// Number of the worker, from 0.
    worker: usize,
    table: CurrentTable,
    pools: Pools,
}

impl Upstreams {
    /// Those of `worker`, counted from 0. Kept connections follow the settings and endpoints of `table`.
    pub(crate) fn new(environment: Arc<Environment>, worker: usize, table: CurrentTable) -> Self {
        Self {
            environment,
            worker,
            table,
            pools: Pools::default(),
        }
    }
}

/// What choosing an endpoint, and the cookie of a new session, may depend on. A call for a client has the client's; a call
/// of our own has what it wants to be balanced by.
pub(crate) trait SelectionInput {
    /// The client, after real-IP processing.
    fn client(&self) -> IpAddr;

    /// The text of `template`, which a consistent hash is made of.
    fn evaluate(&self, template: &Template) -> String;

    /// Whether the client came by https: its session cookies are `Secure` then. Default: no.
    fn https(&self) -> bool {
        false
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

/// Why a call has no response, split by fault: the cluster's state, the endpoint, the source of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// There is nowhere to send it.
    #[error("the upstream has no endpoints")]
    NoEndpoints,
    /// The endpoint refused the connection or the handshake.
    #[error("connecting to the upstream failed")]
    Connect,
    /// Connecting took longer than the connect timeout.
    #[error("connecting to the upstream took too long")]
    ConnectTimeout,
    /// The endpoint took nothing of the request for longer than the send timeout.
    #[error("the upstream did not take the request in time")]
    SendTimeout,
    /// The endpoint did not respond for longer than the read timeout.
    #[error("the upstream did not answer in time")]
    ReadTimeout,
    /// The connection broke before there was a response.
    #[error("the upstream closed the connection without an answer")]
    Broken,
    /// The head of the response is larger than the options allow.
    #[error("the head of the upstream's response is too large")]
    HeadTooLarge,
    /// The response is not HTTP, or not one to this request.
    #[error("the upstream's response is invalid")]
    InvalidResponse,
    /// The body of the request could not be read to its end.
    #[error(transparent)]
    RequestBody(#[from] RequestBodyError),
}
