//! Hosts, routes and their endpoints.

use serde::{Deserialize, Serialize};

use super::{Explained, FindingRow, Page, Search, Series, Traffic};

/// A host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostRow {
    /// As configured: `shop.example`, `*.shop.example`, or `_` for every unknown name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// The listeners that serve it, if others do not.
    pub listeners: Vec<String>,
    /// Number of its routes.
    pub routes: usize,
    /// The host that it redirects to, if it does nothing else.
    pub redirects_to: Option<String>,
    /// `none`, `default` (TLS without a certificate of its own) or `own`.
    pub tls: String,
    /// The Secret of its own certificate.
    pub certificate: Option<String>,
    /// Its requests; `null`: not kept, because others were busier.
    pub traffic: Option<Traffic>,
}

/// A host with its routes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HostPage {
    /// The host.
    pub host: HostRow,
    /// The last hour.
    pub hour: Series,
    /// Its routes in the order in which they are tried, at most [`MAX_LIMIT`](super::MAX_LIMIT).
    pub routes: Page<RouteRow>,
}

/// Which routes, in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFilter {
    /// Words in host, path, namespace, object or Service; which part of the list.
    pub search: Search,
    /// Only routes of this host, as configured.
    pub host: Option<String>,
    /// Only routes of objects in this namespace.
    pub namespace: Option<String>,
    /// Only routes of this Ingress, HTTPRoute or GRPCRoute, by name.
    pub object: Option<String>,
    /// Only routes that lead to this Service, by name.
    pub service: Option<String>,
    /// The order.
    pub sort: RouteSort,
}

/// The order of routes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteSort {
    /// By host, and of a host in the order in which they are tried.
    #[default]
    Host,
    /// Most requests first.
    Requests,
    /// Most responses with a status from 400 first.
    Errors,
    /// Largest 99th percentile first.
    Latency,
}

impl RouteSort {
    /// All orders.
    pub const ALL: [Self; 4] = [Self::Host, Self::Requests, Self::Errors, Self::Latency];

    /// In queries: `host`, `requests`, `errors` or `latency`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::Latency => "latency",
        }
    }
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RouteRow {
    /// Names the route in links; the same as long as host, path and conditions are.
    pub id: String,
    /// Its host as configured.
    pub host: String,
    /// As in its object.
    pub path: String,
    /// `Exact`, `Prefix` or `RegularExpression`.
    pub path_type: String,
    /// Conditions besides the path, such as a header field; empty: none.
    pub conditions: String,
    /// Kind of its object; empty for a built-in route.
    pub kind: String,
    /// Namespace of its object.
    pub namespace: String,
    /// Name of its object.
    pub name: String,
    /// The Service and port of its path; empty: none.
    pub service: String,
    /// `forward`, `defaultBackend` or `closed`.
    pub target: String,
    /// Why it is closed.
    pub closed: Option<String>,
    /// Number of canaries and other backends besides the first.
    pub alternatives: usize,
    /// Endpoints of all backends that get requests.
    pub ready_endpoints: usize,
    /// Endpoints of all backends.
    pub endpoints: usize,
    /// Its requests; `null`: not kept, because others were busier.
    pub traffic: Option<Traffic>,
}

/// A route with everything about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RoutePage {
    /// The route.
    pub route: RouteRow,
    /// Everything that differs from the defaults, as in `/debug/table`.
    pub facts: Vec<String>,
    /// The last ten minutes.
    pub recent: Series,
    /// Where its requests go.
    pub backends: Vec<RouteBackend>,
    /// A `GET` of its path, whose steps are those of the route with the annotations and keys that they come from; `null` if
    /// it cannot be explained now.
    pub explained: Option<Explained>,
    /// The findings about its object, the gravest first.
    pub findings: Vec<FindingRow>,
}

/// A Service that a route leads to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RouteBackend {
    /// `namespace/service/port`.
    pub name: String,
    /// `primary`, `canary`, `fallback` or `defaultBackend`.
    pub role: String,
    /// Its configured share of the requests that no rule decides, from 0 to 1.
    pub share: Option<f64>,
    /// Its protocol, such as `HTTP` or `GRPC`.
    pub protocol: String,
    /// How an endpoint is chosen, in words.
    pub balance: String,
    /// Requests that use a connection or wait for one now, from all routes.
    pub requests: usize,
    /// Of these, waiting for a new connection.
    pub pending: usize,
    /// Why there are no endpoints; empty if there are some.
    pub problem: String,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint of a Service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Address and port.
    pub address: String,
    /// `sound`, `failing`, `starting`, `unreachable`, `ejected` or `unhealthy`.
    pub state: String,
    /// The state in words.
    pub detail: String,
    /// Consecutive failures, where they decide.
    pub failures: Option<u32>,
    /// How long it is left out still.
    pub left_out_seconds: Option<u64>,
    /// Its share of the requests of the route, from 0 to 1: of a sample while the page is followed, before that as configured;
    /// `null` where requests decide (hashing, affinity).
    pub share: Option<f64>,
    /// Connections that this Service has opened to it and that are open, kept ones too.
    pub connections: usize,
    /// Average of its response time, of the same sample; before that the moving average by which the Service is balanced; `null`:
    /// not known.
    pub average_seconds: Option<f64>,
}
