//! Canaries and other splits.

use serde::{Deserialize, Serialize};

use super::Traffic;

/// A route with more than one backend.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CanaryRow {
    /// [`RouteRow::id`](super::RouteRow::id).
    pub route: String,
    /// Its host as configured.
    pub host: String,
    /// As in its object.
    pub path: String,
    /// Kind of the object of the route.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The time that [`CanaryBackend::actual_share`] is about.
    pub window_seconds: u64,
    /// The first backend, then the others.
    pub backends: Vec<CanaryBackend>,
}

/// A side of a canary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CanaryBackend {
    /// `namespace/service/port`.
    pub name: String,
    /// `primary` or `canary`.
    pub role: String,
    /// Its configured share of the requests that no rule decides, from 0 to 1.
    pub configured_share: f64,
    /// Header fields and cookies that send requests to it, in words.
    pub rules: Vec<String>,
    /// Its share of the requests of the last ten minutes, from 0 to 1; `null` without requests.
    pub actual_share: Option<f64>,
    /// Endpoints that get requests.
    pub ready_endpoints: usize,
    /// All endpoints.
    pub endpoints: usize,
    /// Its requests within [`CanaryRow::window_seconds`]; `null`: not kept, because others were busier.
    pub traffic: Option<Traffic>,
}
