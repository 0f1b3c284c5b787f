//! The listeners for HTTP and HTTPS, which serve the same universe.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use headgate_table::{
    Certificates, Listener, Plain, PublicPorts, SharedMap, Socket, Terminate, TlsRoute, TlsSocket,
    VirtualHosts,
};

/// The addresses of the listeners for HTTP and HTTPS. They are known once the sockets are bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpListeners {
    /// For plain HTTP; default 0.0.0.0:80.
    pub http: Vec<SocketAddr>,
    /// For HTTPS; default 0.0.0.0:443.
    pub https: Vec<SocketAddr>,
}

impl Default for HttpListeners {
    fn default() -> Self {
        let on = |port| vec![SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))];
        Self {
            http: on(80),
            https: on(443),
        }
    }
}

/// Listeners at `addresses` that serve `hosts`, over TLS with `certificates`, except for the server names of `passthrough`.
pub fn http_listeners(
    addresses: &HttpListeners,
    hosts: &Arc<VirtualHosts>,
    certificates: Certificates,
    passthrough: SharedMap<TlsRoute>,
) -> Vec<Listener> {
    let https = addresses.https.first().map_or(443, SocketAddr::port);
    let listener = |address: &SocketAddr, socket: Socket| Listener {
        address: *address,
        ports: PublicPorts {
            own: address.port(),
            https,
        },
        socket,
    };
    let plain = || Socket::Plain(Plain::Http(hosts.clone().into()));
    let terminate = TlsRoute::Terminate(Terminate {
        hosts: hosts.clone(),
        certificates,
        clients: None,
    });
    let tls = TlsSocket::with_exact(passthrough, terminate);
    let http = addresses.http.iter();
    let http = http.map(|address| listener(address, plain()));
    let https = addresses.https.iter();
    let https = https.map(|address| listener(address, Socket::Tls(tls.clone())));
    http.chain(https).collect()
}
