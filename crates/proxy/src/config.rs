//! Configuration of sockets and limits.

use std::net::IpAddr;
use std::sync::Arc;

/// Configuration of the data plane that does not change while it runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses to listen on; empty: all of IPv4 and IPv6.
    pub bind: Vec<IpAddr>,
    /// Port for plain HTTP; 0: any free one.
    pub http_port: u16,
    /// Port for HTTPS; 0: any free one.
    pub https_port: u16,
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Endpoints may have loopback addresses; off in a cluster, on when serving files.
    pub loopback_upstreams: bool,
    /// Most open client connections of all workers; beyond, new ones are closed at once.
    pub max_connections: usize,
    /// Bytes of responses that wait for their clients, of all workers; beyond, each response has one piece at a time. Default
    /// [`Config::RESPONSE_BUFFERS`].
    pub response_buffers: usize,
    /// Bytes in memory of request bodies that are read before they are sent, of all workers; beyond, bodies go to files. Default
    /// [`Config::REQUEST_BUFFERS`].
    pub request_buffers: usize,
    /// The memory of the container; `None`: no limit. Near it, load is shed.
    pub memory: Option<MemoryLimit>,
    /// Fetch intermediate certificates that chains lack, from their authorities; default false.
    pub completes_chains: bool,
    /// Databases of locations.
    pub locations: LocationFiles,
    /// Where access-log lines go.
    pub access_log: AccessLog,
    /// Where the lines of TCP and UDP sessions go.
    pub stream_log: AccessLog,
    /// What the environment says about traces.
    pub tracing: crate::TracingEnvironment,
    /// The commit of this build, for `nginx_ingress_controller_build_info`; `unknown` where the build does not say.
    pub commit: &'static str,
    /// Labels that every metric carries.
    pub labels: MetricLabels,
    /// Label request metrics with the host; default true.
    pub metrics_per_host: bool,
    /// Also for hosts that no object names; default false.
    pub metrics_per_undefined_host: bool,
    /// Count the requests of all hosts for [`Telemetry::read_requests`](crate::Telemetry::read_requests), also those that are in
    /// no metric; default false.
    pub counts_all_hosts: bool,
    /// Report `2xx` instead of `200`; default false.
    pub status_classes: bool,
    /// Request metrics to leave out, with or without `nginx_ingress_controller_`; other metrics are always there.
    pub excluded_metrics: Vec<String>,
    /// Buckets of request metrics.
    pub buckets: Buckets,
}

impl Config {
    /// Default of [`Config::response_buffers`].
    pub const RESPONSE_BUFFERS: usize = 8 << 20;

    /// Default of [`Config::request_buffers`].
    pub const REQUEST_BUFFERS: usize = 128 << 20;
}

/// The limit of a container's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// Bytes.
    pub bytes: u64,
    /// The control group (version 2) with `memory.current` and `memory.stat`.
    pub directory: std::path::PathBuf,
}

/// Upper bounds of the buckets of request metrics, inclusive and ascending; the last bucket, without a bound, is always there.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// Times in seconds; default 0.005 to 10.
    pub time: Vec<f64>,
    /// `request_size` and `response_size` in bytes; default 10 to 100.
    pub length: Vec<f64>,
    /// `bytes_sent` in bytes; default 10 to 10,000,000.
    pub size: Vec<f64>,
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            time: vec![
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
            ],
            length: (1..=10).map(|tens| f64::from(tens * 10)).collect(),
            size: (1..=7).map(|power| 10_f64.powi(power)).collect(),
        }
    }
}

/// Databases of locations, in the MaxMind format.
#[derive(Clone, Debug, Default)]
pub struct LocationFiles {
    /// Their directory.
    pub directory: std::path::PathBuf,
    /// Their names without `.mmdb`, such as `GeoLite2-City`.
    pub editions: Vec<String>,
}

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Appended to a file.
    File(std::path::PathBuf),
    /// One datagram for each line to a syslog server.
    Syslog {
        /// Name or address.
        host: Arc<str>,
        /// UDP port.
        port: u16,
    },
}

/// Labels that every metric carries.
#[derive(Clone, Debug, Default)]
pub struct MetricLabels {
    /// `controller_namespace`
    pub namespace: Arc<str>,
    /// `controller_class`
    pub class: Arc<str>,
    /// `controller_pod`
    pub pod: Arc<str>,
}
