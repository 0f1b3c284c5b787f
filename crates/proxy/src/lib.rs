//! The data plane: listeners, TLS, the request pipeline, upstreams, drain.
//!
//! A thread per core, each with its own runtime, listeners, connection pools and metric shards; what requests share is
//! the pointer to the routing table and the state in its slots. Nothing here knows Kubernetes: the input is a table, the
//! output is metrics and access-log lines.
//!
//! A request is read into one canonical form (`request`), goes through named steps over its route's policy (`pipeline`)
//! and is forwarded (`upstream`); `connection` enforces the deadlines and limits of client connections.

mod accept;
mod auth_cache;
mod balance;
mod body;
mod bounded;
mod buffers;
mod compress;
mod config;
mod connection;
mod current;
mod datagram;
mod details;
mod downstream;
mod drain;
mod explanation;
mod geo;
mod grpc;
mod handover;
mod health_checks;
mod incoming;
mod ipv4_text;
mod keyed_hash;
mod limit;
mod listen;
mod memory;
mod mirror;
mod open_listener;
mod passwords;
mod pipeline;
mod pipes;
mod process;
mod proxy_protocol;
mod rationed;
mod record;
mod request;
mod respond;
mod running;
mod server;
mod shedding;
mod sockets;
mod staple;
mod stream;
mod sync;
mod telemetry;
mod throttle;
mod tls;
mod trace;
mod upstream;
mod values;
mod worker;

pub use config::{AccessLog, Buckets, Config, LocationFiles, MemoryLimit, MetricLabels};
pub use explanation::{
    ChosenHost, ChosenListener, ExplainRequest, Explanation, Loser, Outcome, PossibleBackend, Step,
    StepResult,
};
pub use limit::Limit;
pub use pipeline::{ExplainError, explain};
pub use server::{Addresses, Bound, Running, Server, ServerError};
pub use telemetry::{
    CertificateFacts, ErrorLog, METRICS, Metric, Orphan, OrphanKind, ProcessCounts, PublishCounts,
    RequestCounts, ServerCounts, TapFilter, TapReceiver, TappedRequest, Telemetry, TooManyTaps,
    WorkerCounts, route_number,
};
pub use trace::TracingEnvironment;
pub use upstream::{
    EndpointReport, EndpointState, ResolvedNames, UpstreamReport, ejected_endpoints,
    unhealthy_endpoints, upstream_report,
};
