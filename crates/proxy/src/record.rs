//! The record of one request: the source of its access-log line and its metrics.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use headgate_table::Route;
use http::header::{AUTHORIZATION, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri, Version};

use crate::details::Details;
use crate::limit::Limit;
use crate::trace::RequestSpan;
use crate::upstream::{Attempts, Fault};

/// One request from its head to the end of its response. Steps fill it in.
pub(crate) struct Record {
    /// Time when its head was complete.
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
    /// `X-Request-ID` of the upstream request, or the one it would have; `None` if there is none.
    pub(crate) request_id: Option<HeaderValue>,
    /// Approximate number of bytes received, head and body.
    pub(crate) request_length: u64,
    /// Status sent; 499 if the client closed the connection before.
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the response head, as HTTP/1 writes it; 0 if there was no response.
    pub(crate) head_bytes_sent: u64,
    /// Bytes of the response body handed to the connection.
    pub(crate) body_bytes_sent: u64,
    /// `None`: a response came before routing.
    pub(crate) route: Option<Arc<Route>>,
    /// The host as configured: `shop.example`, `*.x`, `_`.
    pub(crate) host: Option<Arc<str>>,
    /// The request's host is literally a configured host or alias (metrics have a host label only then).
    pub(crate) host_is_literal: bool,
    /// Log name of the upstream that was chosen.
    pub(crate) upstream: Option<Arc<str>>,
    /// Log name of the alternative, such as a canary, if it served.
    pub(crate) alternative: Option<Arc<str>>,
    pub(crate) attempts: Attempts,
    /// Attempts of requests that were made on its behalf, if its span is exported.
    pub(crate) subrequests: RefCell<Vec<Attempts>>,
    /// The default backend served (its requests are logged only if settings say so).
    pub(crate) default_backend: bool,
    /// Leave this request out of the access log (health paths, `enable-access-log: "false"`).
    pub(crate) unlogged: bool,
    /// The limit that refused the request.
    pub(crate) refused_by: Option<Limit>,
    /// Why the response is an error that the proxy made, or why a response was cut.
    pub(crate) reason: Option<Fault>,
    /// The whole response was handed to the connection.
    pub(crate) complete: bool,
    /// What log formats and templates of responses read besides.
    pub(crate) details: Option<Box<Details>>,
    /// Its place in a trace, if its route is traced.
    pub(crate) span: Option<Rc<RequestSpan>>,
    /// Counts the request among those that its client has in flight, until the record is dropped.
    pub(crate) permit: Option<headgate_limit::Permit>,
}

impl Record {
    /// The record of a request with `head` of `client`; the caller adds its id and length.
    pub(crate) fn new(head: &Parts, client: IpAddr) -> Self {
        Self {
            start: Instant::now(),
            client,
            method: head.method.clone(),
            target: head.uri.clone(),
            version: head.version,
            referer: head.headers.get(REFERER).cloned(),
            user_agent: head.headers.get(USER_AGENT).cloned(),
            authorization: head.headers.get(AUTHORIZATION).cloned(),
            request_id: None,
            request_length: 0,
            status: None,
            head_bytes_sent: 0,
            body_bytes_sent: 0,
            route: None,
            host: None,
            host_is_literal: false,
            upstream: None,
            alternative: None,
            attempts: Attempts::default(),
            subrequests: RefCell::default(),
            default_backend: false,
            unlogged: false,
            refused_by: None,
            reason: None,
            complete: false,
            details: None,
            span: None,
            permit: None,
        }
    }
}
