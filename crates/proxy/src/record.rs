//! What is known of one request when it ends: the source of its access-log line and its metrics.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use headgate_table::Route;
use http::header::{AUTHORIZATION, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, Uri, Version};

use crate::upstream::Attempts;

/// One request from its head to the end of its response. Steps fill it in as they learn things.
pub(crate) struct Record {
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
    pub(crate) attempts: Attempts,
    /// The default backend answered (its requests are logged only when asked for).
    pub(crate) default_backend: bool,
    /// Leave this request out of the access log (health paths, `enable-access-log: "false"`).
    pub(crate) unlogged: bool,
    /// Name of the limit that refused the request, for the metric of refusals.
    pub(crate) refused_by: Option<&'static str>,
    /// The request's place among those that its client may have in flight; given back when the record is dropped.
    pub(crate) permit: Option<headgate_limit::Permit>,
}

impl Record {
    /// What the head of a request of `client` says; its id and length are the caller's to add.
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
            body_bytes_sent: 0,
            route: None,
            host: None,
            host_is_literal: false,
            upstream: None,
            alternative: None,
            attempts: Attempts::default(),
            default_backend: false,
            unlogged: false,
            refused_by: None,
            permit: None,
        }
    }
}
