//! What variables read of a client connection, and their values.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headgate_table::{GeoVariable, Host, TlsVariable, Variable};

use super::show;
use crate::geo::Locations;
use crate::tls::TlsFacts;

/// What variables read of a client connection.
#[derive(Clone)]
pub(crate) struct ConnectionFacts {
    /// The client, or the source of a PROXY header.
    pub(crate) peer: SocketAddr,
    /// The proxy's address.
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<TlsFacts>,
    pub(crate) proxied: Option<Proxied>,
    /// Serial number of the connection.
    pub(crate) id: u64,
    /// Requests received on it so far.
    pub(crate) requests: u64,
    /// Databases, if settings look up locations.
    pub(crate) locations: Option<Arc<Locations>>,
}

impl ConnectionFacts {
    /// What variables of a request to `host` read: a certificate that was verified for another host is none.
    pub(crate) fn of_host(mut self, host: &Host) -> Self {
        if let Some(tls) = &mut self.tls {
            tls.restrict(host);
        }
        self
    }
}

/// Addresses of a PROXY header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Proxied {
    /// The client.
    pub(crate) source: SocketAddr,
    /// The address that the client connected to.
    pub(crate) destination: SocketAddr,
}

/// Appends the value of `variable` if it is one of these.
pub(super) fn write(variable: &Variable, connection: &ConnectionFacts, out: &mut Vec<u8>) {
    let proxied = connection.proxied;
    match variable {
        Variable::RemotePort => show(out, connection.peer.port()),
        Variable::PeerAddr => show(out, connection.peer.ip().to_canonical()),
        Variable::PeerPort => show(out, connection.peer.port()),
        Variable::ProxyProtocolAddr => optional(out, proxied.map(|p| p.source.ip())),
        Variable::ProxyProtocolPort => optional(out, proxied.map(|p| p.source.port())),
        Variable::ProxyProtocolServerAddr => optional(out, proxied.map(|p| p.destination.ip())),
        Variable::ProxyProtocolServerPort => optional(out, proxied.map(|p| p.destination.port())),
        Variable::ServerAddr => show(out, connection.local.ip().to_canonical()),
        Variable::ServerPort => show(out, connection.local.port()),
        Variable::Connection => show(out, connection.id),
        Variable::ConnectionRequests => show(out, connection.requests),
        Variable::Tls(variable) => of_tls(*variable, connection, out),
        _ => {}
    }
}

fn of_tls(variable: TlsVariable, connection: &ConnectionFacts, out: &mut Vec<u8>) {
    let Some(tls) = &connection.tls else { return };
    out.extend_from_slice(tls.value(variable).as_bytes());
}

/// `$geoip2_*` of `client`; empty unless settings look up locations.
pub(super) fn location(
    variable: GeoVariable,
    connection: Option<&ConnectionFacts>,
    client: IpAddr,
    out: &mut Vec<u8>,
) {
    let locations = connection.and_then(|connection| connection.locations.as_ref());
    if let Some(locations) = locations {
        locations.write(variable, client, out);
    }
}

fn optional(out: &mut Vec<u8>, value: Option<impl Display>) {
    if let Some(value) = value {
        show(out, value);
    }
}
