//! The first page.

use serde::{Deserialize, Serialize};

use super::{CertificateRow, Counts, RouteRow, Series, Traffic};

/// The state and the traffic of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Time of this answer.
    pub now_unix_seconds: u64,
    /// The process.
    pub instance: Instance,
    /// `starting`, `serving` or `draining`.
    pub phase: String,
    /// All requests that a route served.
    pub traffic: Traffic,
    /// The last ten minutes.
    pub recent: Series,
    /// The last hour.
    pub hour: Series,
    /// Error responses that the proxy made, by reason, most frequent first.
    pub errors: Vec<Cause>,
    /// Requests and connections that a limit refused, by limit, most frequent first.
    pub refusals: Vec<Cause>,
    /// Connections of clients.
    pub connections: Connections,
    /// The worker threads.
    pub workers: Vec<WorkerLoad>,
    /// Processor, memory and files.
    pub process: Process,
    /// The routing table in service.
    pub table: Table,
    /// Findings by severity.
    pub findings: Counts,
    /// The certificates that expire next, at most five.
    pub certificates: Vec<CertificateRow>,
    /// The API server and the leader; `null` without a cluster.
    pub cluster: Option<Cluster>,
    /// The routes with most requests, at most ten.
    pub busiest: Vec<RouteRow>,
    /// The listeners of the process.
    pub addresses: Vec<AddressRow>,
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Instance {
    /// `controller`, `serve` or `demo`.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// Namespace of the Pod; empty outside of a cluster.
    pub namespace: String,
    /// Name of the Pod; empty outside of a cluster.
    pub pod: String,
    /// When the process started.
    pub started_unix_seconds: u64,
}

/// How often something happened, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The reason or limit, as in the metrics.
    pub name: String,
    /// A second, within the window of [`Overview::traffic`].
    pub per_second: f64,
    /// Since the start of the process.
    pub total: u64,
}

/// Connections of clients.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// Open now.
    pub active: u64,
    /// Of these, in a handshake or reading the head of a request.
    pub reading: u64,
    /// Of these, serving a request or a stream.
    pub writing: u64,
    /// Of these, idle between requests.
    pub waiting: u64,
    /// Accepted a second, within the window of [`Overview::traffic`].
    pub accepted_per_second: f64,
}

/// The load of a worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WorkerLoad {
    /// Number of the worker, from 0.
    pub index: usize,
    /// Connections open now.
    pub connections: u64,
    /// Requests a second, within the window of [`Overview::traffic`], also those that no route served.
    pub requests_per_second: f64,
    /// Share of the requests of all workers, from 0 to 1; `null` without requests.
    pub share: Option<f64>,
}

/// Processor, memory and files of the process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Processors in use, such as 1.5, within the window of [`Overview::traffic`].
    pub cpus: f64,
    /// Memory in use.
    pub resident_bytes: u64,
    /// Limit of the container; `null`: no limit.
    pub memory_limit_bytes: Option<u64>,
    /// Files that are open.
    pub open_files: u64,
    /// Files that may be open.
    pub max_open_files: u64,
}

/// The routing table in service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// Counts the changes since the start.
    pub generation: u64,
    /// When it was published; `null` before the first one.
    pub published_unix_seconds: Option<u64>,
    /// Its objects are from the object cache, because the API server has not responded yet.
    pub is_stale: bool,
    /// Number of hosts.
    pub hosts: usize,
    /// Number of routes.
    pub routes: usize,
    /// Number of upstreams.
    pub upstreams: usize,
    /// Number of their ready endpoints.
    pub endpoints: usize,
    /// Number of endpoints that are ejected or unhealthy.
    pub left_out_endpoints: usize,
    /// How long changes took.
    pub propagation: Propagation,
}

/// The time from the arrival of a changed object to its being served.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Propagation {
    /// Changes since the start of the process.
    pub changes: u64,
    /// Of the last change; `null` before the first one.
    pub last_seconds: Option<f64>,
    /// Half of the changes took at most this time.
    pub p50_seconds: Option<f64>,
    /// 99 of 100 changes took at most this time.
    pub p99_seconds: Option<f64>,
}

/// The API server and the leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// URL of the API server.
    pub server: String,
    /// The API server responds, and everything that is needed can be read.
    pub is_healthy: bool,
    /// What cannot be read, with the reason.
    pub problems: Vec<String>,
    /// `leader`, `follower`, or `none` without leader election.
    pub role: String,
    /// Identity of the leader, if known.
    pub leader: Option<String>,
}

/// An address that the process listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AddressRow {
    /// `http`, `https`, `admin` or `console`.
    pub name: String,
    /// Address and port.
    pub address: String,
}
