//! The side of the endpoints: which one a request goes to, the connection it takes, what is sent, what comes back, and
//! when another one is tried.
//!
//! What a request looks like upstream is decided before (the head is final but for its framing), and what a client sees of
//! a failure is decided after: this module says what went wrong and whose fault it was.

mod address;
mod affinity;
mod balance;
mod connect;
mod endpoints;
mod exchange;
mod forward;
mod payload;
mod pool;
mod read_ahead;
mod request_body;
mod request_head;
mod resolve;
mod response_body;
mod retry;
mod spool;
mod timer;
mod tls;
mod trailers;
mod tunnel;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Route, RoutingTable, Template, Upstream};

pub(crate) use address::Own;
pub(crate) use affinity::bound_to;
pub(crate) use endpoints::has_endpoints;
pub(crate) use forward::forward;
pub(crate) use pool::Pools;
pub(crate) use resolve::Resolver;
pub(crate) use response_body::UpstreamBody;

use crate::worker::Worker;

/// A request on its way to an upstream.
pub(crate) struct Forward<'r> {
    /// The worker that serves it.
    pub(crate) worker: &'r Rc<Worker>,
    /// The table it is served from.
    pub(crate) table: &'r Rc<Arc<RoutingTable>>,
    /// Its route.
    pub(crate) route: &'r Route,
    /// The upstream that was chosen.
    pub(crate) upstream: &'r Arc<Upstream>,
    /// Method, target in origin form, and final fields with `Host` and without hop-by-hop ones, but the pair of an upgrade.
    pub(crate) head: http::request::Parts,
    /// The client's body.
    pub(crate) body: hyper::body::Incoming,
    /// The client's side of an upgrade, when it asked for one.
    pub(crate) upgrade: Option<hyper::upgrade::OnUpgrade>,
    /// What else choices depend on.
    pub(crate) request: &'r dyn ClientRequest,
}

/// What choosing an endpoint and its cookie may ask about the client's request.
pub(crate) trait ClientRequest {
    /// The client, after real-IP processing.
    fn client(&self) -> IpAddr;
    /// Whether the client came by https.
    fn https(&self) -> bool;
    /// The first cookie of that name.
    fn cookie(&self, name: &str) -> Option<&str>;
    /// The text of `template` for this request.
    fn evaluate(&self, template: &Template) -> String;
    /// `User-Agent`; empty when there is none.
    fn user_agent(&self) -> &str;
}

/// Why a request got no answer from an upstream, split by fault: the cluster's state, the endpoint, the client, ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ForwardError {
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
    /// The endpoint did not answer for longer than the read timeout.
    #[error("the upstream did not answer in time")]
    ReadTimeout,
    /// The connection broke before there was an answer.
    #[error("the upstream closed the connection without an answer")]
    Broken,
    /// The head of the response is larger than the route allows.
    #[error("the head of the upstream's response is too large")]
    HeadTooLarge,
    /// The response is not HTTP, or not one to this request.
    #[error("the upstream's response is invalid")]
    InvalidResponse,
    /// The client's body is larger than the route allows.
    #[error("the request body is too large")]
    ClientBodyTooLarge,
    /// The client stopped sending its body.
    #[error("the request body did not come in time")]
    ClientBodyTimeout,
    /// The client broke the framing of its body; nothing after it on the connection can be believed.
    #[error("the request body is malformed")]
    ClientBodyMalformed,
    /// The client went away while sending its body.
    #[error("the client went away")]
    ClientGone,
    /// The request body could not be kept in a temporary file.
    #[error("the request body could not be buffered")]
    Spool,
}
