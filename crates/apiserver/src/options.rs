//! How a server is started.

use std::net::SocketAddr;
use std::time::Duration;

use headgate_testkit::NetworkNamespace;

/// How a server is started; [`Options::default`] is what [`super::ApiServer::start`] uses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address to listen on. Default: a free port of `127.0.0.1`.
    pub listen: SocketAddr,
    /// The network namespace of that address, which what the server asks itself need not be in. Default: the caller's.
    pub network_namespace: Option<NetworkNamespace>,
    /// HTTPS with a certificate of an authority of its own. Default: HTTP.
    pub tls: bool,
    /// What `/version` tells. Default: `v1.36.0`.
    pub version: String,
    /// Whether a watch may ask for the initial events (the WatchList feature); else that is refused with 422.
    /// Default: yes.
    pub streaming_lists: bool,
    /// Whether an object needs its namespace to exist; else it is made with its first object. Default: no.
    pub namespaces_must_exist: bool,
    /// Pause between the bookmarks of a watch that asked for them. Default: a minute.
    pub bookmark_interval: Duration,
    /// Whether Deployments, DaemonSets, StatefulSets, Jobs and Pods reach their goal as soon as they are made, for
    /// clients that wait for it. Default: no.
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
