//! Streams and datagrams: bytes that are forwarded as they are.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::{Split, StreamFormat};

/// Where the connections of a listener for TCP are forwarded to, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRoute {
    /// The backends to choose from.
    pub backends: Arc<Split>,
    /// Connections begin with a PROXY header, v1 or v2.
    pub accepts_proxy: bool,
    /// Endpoints receive a PROXY header, v1.
    pub sends_proxy: bool,
}

/// A socket for UDP. TCP listeners may have the same address.
#[derive(Clone, Debug, PartialEq)]
pub struct UdpListener {
    /// The address that the socket is bound to.
    pub address: SocketAddr,
    /// The backends to choose from.
    pub backends: Arc<Split>,
}

/// Settings of all streams and datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamSettings {
    /// A session ends when both sides are silent for this long; default 10 minutes.
    pub idle_timeout: Duration,
    /// Endpoints that are tried before connecting fails, the first included; default 3. `None`: all of them.
    pub tries: Option<NonZeroU32>,
    /// Time for all these attempts, after which no further one begins; default 10 minutes. `None`: unlimited.
    pub tries_timeout: Option<Duration>,
    /// Datagrams that endpoints send in response to each datagram of a client; the session ends with the last. Default 1.
    pub responses: u32,
    /// Write an access log; default true.
    pub log: bool,
    /// The format of its lines; `None`: the default one (behaviour.md 10).
    pub format: Option<Arc<StreamFormat>>,
}

impl StreamRoute {
    /// Without PROXY headers.
    pub fn plain(backends: Arc<Split>) -> Self {
        Self {
            backends,
            accepts_proxy: false,
            sends_proxy: false,
        }
    }
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(600),
            tries: NonZeroU32::new(3),
            tries_timeout: Some(Duration::from_secs(600)),
            responses: 1,
            log: true,
            format: None,
        }
    }
}
