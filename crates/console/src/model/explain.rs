//! What would happen to a request, and why: the JSON of `headgate explain`.

use serde::{Deserialize, Serialize};

use super::FindingRow;

/// The request to explain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainForm {
    /// Such as `https://shop.example/cart`.
    pub url: String,
    /// The method; empty: `GET`.
    pub method: String,
    /// Header fields, each `Name: value`.
    pub header: Vec<String>,
    /// Address of the client; empty: 127.0.0.1.
    pub from: String,
}

/// The explanation of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Explained {
    /// Version of this form.
    pub version: u32,
    /// The table that was asked.
    pub generation: u64,
    /// The request, without the values of `Authorization` and `Cookie`.
    pub request: ExplainedRequest,
    /// The listener that receives it.
    pub listener: Option<ExplainedListener>,
    /// The host that serves it.
    pub host: Option<ExplainedHost>,
    /// The entry of a ConfigMap of TCP or UDP services.
    pub entry: Option<ExplainedEntry>,
    /// The route.
    pub route: Option<ExplainedRoute>,
    /// In the order in which they are decided.
    pub steps: Vec<ExplainedStep>,
    /// How it ends.
    pub outcome: ExplainedOutcome,
    /// The backends that may get it.
    pub backends: Vec<ExplainedBackend>,
    /// What could have served it and does not.
    pub losers: Vec<ExplainedLoser>,
    /// Findings about the objects.
    pub findings: Vec<FindingRow>,
}

/// The request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedRequest {
    /// `null` for a stream.
    pub method: Option<String>,
    /// The URL.
    pub url: String,
    /// Each `name: value`; secret values are `(hidden)`.
    pub headers: Vec<String>,
    /// Address of the client.
    pub client: String,
    /// The path that is compared: decoded and normalised.
    pub path: String,
}

/// The listener of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedListener {
    /// Address and port.
    pub address: String,
    /// `http`, `https`, `tcp` or `udp`.
    pub scheme: String,
    /// Its name in a Gateway.
    pub name: Option<String>,
    /// The Gateway.
    pub object: Option<String>,
}

/// The host of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedHost {
    /// As configured.
    pub name: String,
    /// The name that the client sent.
    pub requested: String,
    /// Why this host.
    pub because: String,
    /// Its paths are regular expressions.
    pub regex: bool,
    /// The certificate of the handshake.
    pub certificate: Option<String>,
}

/// An entry of a ConfigMap of TCP or UDP services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedEntry {
    /// The port.
    pub key: String,
    /// The ConfigMap.
    pub object: String,
    /// The Service and port.
    pub service: String,
}

/// The route of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedRoute {
    /// As in its object.
    pub path: String,
    /// `Exact`, `Prefix` or `RegularExpression`.
    #[serde(rename = "type")]
    pub path_type: String,
    /// Its object, or `built-in`.
    pub object: String,
    /// The Service and port.
    pub service: Option<String>,
}

/// A step of the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedStep {
    /// Its name.
    pub name: String,
    /// `passes`, `responds` or `depends`.
    pub result: String,
    /// The configuration and the reason.
    pub detail: String,
    /// The annotations with their Ingress, or keys with the ConfigMap; empty: a default.
    pub from: Vec<String>,
}

/// How a request ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ExplainedOutcome {
    /// Nothing listens for it.
    NotReceived {
        /// Why not.
        because: String,
    },
    /// It is forwarded to one of the backends.
    Forwarded {
        /// Path and query that the backend gets.
        target: String,
    },
    /// The proxy responds.
    Response {
        /// The status.
        status: u16,
        /// `Location` of a redirect.
        location: Option<String>,
    },
    /// The connection is closed without a response.
    #[default]
    Closed,
    /// The TLS connection is passed through.
    PassedThrough,
    /// The bytes are forwarded as they are.
    Streamed,
}

/// A backend that may get a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedBackend {
    /// Annotations that make it a canary.
    pub from: Vec<String>,
    /// `namespace/service/port`.
    pub name: String,
    /// `primary`, `canary`, `fallback` or `default backend`.
    pub role: String,
    /// Why it is chosen, or its share.
    pub because: String,
    /// The endpoints that may get it.
    pub endpoints: Vec<String>,
    /// How one of them is chosen.
    pub balance: String,
    /// Those of the endpoints that have failed.
    pub troubles: Vec<String>,
}

/// What could have served a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ExplainedLoser {
    /// `listener`, `host` or `path`.
    pub kind: String,
    /// Its name, its path with the type, or its scheme and address.
    pub name: String,
    /// The object of a path; empty for others.
    pub object: String,
    /// Why it does not serve.
    pub because: String,
}
