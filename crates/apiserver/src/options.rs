//! Options of a server.

use std::net::SocketAddr;
use std::time::Duration;

use headgate_testkit::NetworkNamespace;

/// Options of a server; [`super::ApiServer::start`] uses the defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on. Default: a free port of `127.0.0.1`.
    pub listen: SocketAddr,
    /// The network namespace of that address; requests of the server itself leave from the caller's. Default: the caller's.
    pub network_namespace: Option<NetworkNamespace>,
    /// HTTPS, with a certificate of a generated CA. Default: HTTP.
    pub tls: bool,
    /// The version that `/version` reports. Default: `v1.36.0`.
    pub version: String,
    /// Whether a watch may request the initial events (the WatchList feature); otherwise it gets 422.
    /// Default: true.
    pub streaming_lists: bool,
    /// Whether the namespace of an object must exist; otherwise it is created with its first object. Default: false.
    pub namespaces_must_exist: bool,
    /// Time between the bookmarks of a watch that requested them. Default: a minute.
    pub bookmark_interval: Duration,
    /// Whether Deployments, DaemonSets, StatefulSets, Jobs and Pods are ready or finished as soon as they are created,
    /// for clients that wait for that. Default: false.
    pub play_workloads: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            network_namespace: None,
            tls: false,
            version: "v1.36.0".to_owned(),
            streaming_lists: true,
            namespaces_must_exist: false,
            bookmark_interval: Duration::from_secs(60),
            play_workloads: false,
        }
    }
}
