//! Requests and their latencies.

use serde::{Deserialize, Serialize};

/// Requests that ended within a short time until now. They are counted as in the metrics: a request that no route served is in
/// none of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// The time that the numbers are about; 0: nothing was measured yet.
    pub window_seconds: u64,
    /// Requests within this time.
    pub requests: u64,
    /// Requests a second.
    pub requests_per_second: f64,
    /// Responses with a status from 400 to 499 a second.
    pub client_errors_per_second: f64,
    /// Responses with a status from 500 a second.
    pub server_errors_per_second: f64,
    /// Their share of the requests, from 0 to 1; `null` without requests.
    pub client_error_share: Option<f64>,
    /// Their share of the requests, from 0 to 1; `null` without requests.
    pub server_error_share: Option<f64>,
    /// Half of the requests took at most this time, as exact as `--time-buckets`; `null` without requests.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 requests took at most this time; `null` without requests.
    pub p99_seconds: Option<f64>,
}

/// Traffic over a longer time, for a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Series {
    /// The time of one point.
    pub step_seconds: u64,
    /// End of the time of the last point; 0 without points.
    pub end_unix_seconds: u64,
    /// Oldest first, without gaps.
    pub points: Vec<Point>,
}

/// A point of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// Requests a second; `null`: not kept, because others were busier.
    pub requests_per_second: Option<f64>,
    /// Responses with a status from 400 to 499 a second.
    pub client_errors_per_second: Option<f64>,
    /// Responses with a status from 500 a second.
    pub server_errors_per_second: Option<f64>,
    /// `null` without requests.
    pub p50_seconds: Option<f64>,
    /// `null` without requests.
    pub p99_seconds: Option<f64>,
}
