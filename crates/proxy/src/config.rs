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
    /// Fetch intermediate certificates that chains lack, from their authorities; default false.
    pub completes_chains: bool,
    /// Databases of locations.
    pub locations: LocationFiles,
    /// Where access-log lines go.
    pub access_log: AccessLog,
    /// Labels that every metric carries.
    pub labels: MetricLabels,
    /// Label request metrics with the host; default true.
    pub metrics_per_host: bool,
    /// Also for hosts that no object names; default false.
    pub metrics_per_undefined_host: bool,
    /// Report `2xx` instead of `200`; default false.
    pub status_classes: bool,
    /// Request metrics to leave out, with or without `nginx_ingress_controller_`; other metrics are always there.
    pub excluded_metrics: Vec<String>,
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
