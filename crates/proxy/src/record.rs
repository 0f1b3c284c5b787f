//! What is known of one request when it ends: the source of its access-log line and its metrics.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::Route;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use smallvec::SmallVec;

use crate::worker::Worker;

/// One request from its head to the end of its answer. Steps fill it in as they learn things; dropping it writes it, so
/// that a client that goes away is recorded too.
pub(crate) struct Record {
    /// The worker that serves it.
    pub(crate) worker: Rc<Worker>,
    /// When its head was complete.
    pub(crate) start: Instant,
    /// The client, after real-IP processing.
    pub(crate) client: IpAddr,
    /// As received.
    pub(crate) method: Method,
    /// As received.
    pub(crate) target: Uri,
    /// As received.
    pub(crate) version: Version,
    /// `Referer`
    pub(crate) referer: Option<HeaderValue>,
    /// `User-Agent`
    pub(crate) user_agent: Option<HeaderValue>,
    /// `Authorization`
    pub(crate) authorization: Option<HeaderValue>,
    /// `X-Request-ID` as the upstream gets it, or would have got it; `None` when there is none.
    pub(crate) request_id: Option<HeaderValue>,
    /// Bytes of head and body received, about.
    pub(crate) request_length: u64,
    /// Status sent; 499 when the client went away before there was one.
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the response body handed to the connection.
    pub(crate) body_bytes_sent: u64,
    /// The route, once found. `None`: answered before routing.
    pub(crate) route: Option<Arc<Route>>,
    /// The host as configured (`shop.example`, `*.x`, `_`) and whether the request named it literally.
    pub(crate) host: Option<Arc<str>>,
    /// The request's host is literally a configured host or alias (metrics carry a host label only then).
    pub(crate) host_is_literal: bool,
    /// Log name of the upstream that was chosen.
    pub(crate) upstream: Option<Arc<str>>,
    /// Log name of the canary, when it served.
    pub(crate) alternative: Option<Arc<str>>,
    /// Tries at endpoints, in order.
    pub(crate) attempts: SmallVec<[Attempt; 1]>,
    /// The default backend answered (its requests are logged only when asked for).
    pub(crate) default_backend: bool,
    /// Leave this request out of the access log (health paths, `enable-access-log: "false"`).
    pub(crate) unlogged: bool,
    /// Name of the limit that refused the request, for the metric of refusals.
    pub(crate) refused_by: Option<&'static str>,
    /// The request's place among those that its client may have in flight; given back when the record is dropped.
    pub(crate) permit: Option<headgate_limit::Permit>,
}

/// One try at an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Where.
    pub(crate) endpoint: SocketAddr,
    /// When it began.
    pub(crate) start: Instant,
    /// Time to a connection; zero on a pooled one; `None` when it failed.
    pub(crate) connect: Option<Duration>,
    /// Time to the response head.
    pub(crate) header: Option<Duration>,
    /// Status of the endpoint, or the one that its failure stands for (502, 504).
    pub(crate) status: Option<StatusCode>,
    /// What is learnt while the response body streams; shared with the body.
    pub(crate) progress: Rc<Progress>,
}

/// How far the response body of a try got.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Time from the start of the try to the end of the response body; `None` until then.
    pub(crate) response: Cell<Option<Duration>>,
    /// Bytes of the response body received.
    pub(crate) bytes: Cell<u64>,
}

impl Drop for Record {
    fn drop(&mut self) {
        let worker = self.worker.clone();
        worker.telemetry.observe(self);
    }
}
