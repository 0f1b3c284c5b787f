//! Requests as they end.

use serde::{Deserialize, Serialize};

/// Which requests to watch. A request is selected if all texts that are not empty apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapFilter {
    /// Part of the host as configured or as requested, ignoring case.
    pub host: String,
    /// Beginning of the path.
    pub path: String,
    /// A status such as `404`, or a class such as `5xx`.
    pub status: String,
    /// An address or network of clients.
    pub client: String,
    /// `namespace/name` of the object of the route, or its name alone.
    pub ingress: String,
    /// Show the values of queries too.
    pub show_query: bool,
    /// Most requests a second; 0: the default, which is also the most.
    pub rate: u32,
}

/// A request, and what was lost before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TapMessage {
    /// Selected requests that were left out since the last message: beyond the rate, or the reader was slow.
    pub lost: u64,
    /// The request.
    pub event: TapEvent,
}

/// A request that has ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TapEvent {
    /// When it ended, with milliseconds.
    pub end_unix_seconds: f64,
    /// How long it took.
    pub duration_seconds: f64,
    /// Address of the client.
    pub client: String,
    /// The method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// The host that the client asked for; empty: none.
    pub authority: String,
    /// Path and query as received, the values of the query as `*` unless they were asked for.
    pub target: String,
    /// `HTTP/1.1` or such.
    pub version: String,
    /// Status of the response; 499: the client left before.
    pub status: u16,
    /// Bytes received.
    pub request_bytes: u64,
    /// Bytes sent.
    pub response_bytes: u64,
    /// The host as configured; empty: no host was found.
    pub host: String,
    /// [`RouteRow::id`](super::RouteRow::id); `null`: no route served.
    pub route: Option<String>,
    /// The object of the route, such as `Ingress shop/web`; empty: none.
    pub object: String,
    /// Path of the route as in its object.
    pub path: String,
    /// The Service of the route; empty: none.
    pub service: String,
    /// The canary that served; empty: none.
    pub canary: String,
    /// The last endpoint; empty: none was asked.
    pub endpoint: String,
    /// How many endpoints were asked.
    pub attempts: usize,
    /// Time of the last endpoint to the end of its response.
    pub endpoint_seconds: Option<f64>,
    /// Why the proxy made an error of it; empty: it did not.
    pub reason: String,
    /// `X-Request-ID`; empty: none.
    pub request_id: String,
}
