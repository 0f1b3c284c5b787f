//! A client connection: what its requests read of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::RoutingTable;

use crate::open_listener::OpenListener;
pub(crate) use crate::tls::TlsFacts;
use crate::values::{ConnectionFacts, Proxied};
use crate::worker::Worker;

/// A client connection: what does not change from request to request.
pub(crate) struct Downstream {
    pub(crate) worker: Rc<Worker>,
    /// The TCP peer: the client, or the balancer in front of the proxy.
    pub(crate) tcp_peer: SocketAddr,
    /// The listener that accepted it.
    pub(crate) listener: Rc<OpenListener>,
    /// The proxy's address on this connection.
    pub(crate) local: SocketAddr,
    /// TLS, on the https port.
    pub(crate) tls: Option<TlsFacts>,
    /// The addresses of the PROXY header, if it was trusted.
    pub(crate) proxied: Option<Proxied>,
    /// Serial number of the connection in this process.
    pub(crate) id: u64,
    /// Requests received on it so far.
    pub(crate) requests: Cell<u64>,
}

impl Downstream {
    /// The table for a new request, which keeps it to its end: a removed listener is served from the last table that
    /// contained it.
    pub(crate) fn table(&self) -> Rc<Arc<RoutingTable>> {
        self.listener.table(&self.worker)
    }

    /// The source address of the PROXY header, or else the TCP peer.
    pub(crate) fn peer(&self) -> SocketAddr {
        let proxied = self.proxied.map(|proxied| proxied.source);
        proxied.unwrap_or(self.tcp_peer)
    }

    /// The server name of the handshake, if there was one.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }

    /// What variables read of it.
    pub(crate) fn facts(&self) -> ConnectionFacts {
        let looked_up = self.table().settings.location;
        ConnectionFacts {
            peer: self.peer(),
            local: self.local,
            tls: self.tls.clone(),
            proxied: self.proxied,
            id: self.id,
            requests: self.requests.get(),
            locations: looked_up.then(|| self.worker.shared.locations.clone()),
        }
    }
}
