//! Listening sockets, and how their connections are handled.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{ByName, Certificate, ListenerClients, SharedMap, Split, StreamRoute, VirtualHosts};

/// A listening socket.
#[derive(Clone)]
pub struct Listener {
    /// The address that the socket is bound to.
    pub address: SocketAddr,
    /// Its port and the https port as clients see them.
    pub ports: PublicPorts,
    /// How its connections are handled.
    pub socket: Socket,
}

/// Ports as clients see them. They differ from the socket's if a load balancer or a Service maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPorts {
    /// The port that clients of this listener connect to.
    pub own: u16,
    /// The https port that redirects use.
    pub https: u16,
}

/// How the connections of a listener are handled.
#[derive(Clone)]
pub enum Socket {
    /// Without TLS.
    Plain(Plain),
    /// With a TLS handshake, whose server name selects the route.
    Tls(TlsSocket),
}

/// What the connections of a socket begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// HTTP in plain text.
    Http,
    /// A TLS handshake.
    Tls,
    /// Bytes that only the backend understands.
    Stream,
}

/// How connections without TLS are handled.
#[derive(Clone)]
pub enum Plain {
    /// HTTP requests, each for the hosts of the universe that serves its host name.
    Http(ByName<Arc<VirtualHosts>>),
    /// Bytes, forwarded to a backend.
    Stream(StreamRoute),
}

/// TLS routes by server name (RFC 6066 section 3).
#[derive(Clone)]
pub struct TlsSocket {
    routes: ByName<TlsRoute>,
    /// Some routes are passthrough.
    passes_through: bool,
}

/// How a TLS connection is handled.
#[derive(Clone)]
pub enum TlsRoute {
    /// TLS is terminated here, and the connection carries HTTP requests.
    Terminate(Terminate),
    /// TLS is terminated here, and the bytes are forwarded to a backend.
    Stream {
        /// How TLS is terminated. It has no hosts.
        terminate: Terminate,
        /// The backends to choose from.
        backends: Arc<Split>,
    },
    /// The connection is forwarded undecrypted.
    Passthrough(Arc<Split>),
}

/// The hosts that serve requests of terminated TLS connections, and their certificates.
#[derive(Clone)]
pub struct Terminate {
    /// The universe of hosts.
    pub hosts: Arc<VirtualHosts>,
    /// The certificates.
    pub certificates: Certificates,
    /// Certificates of clients, where the listener demands them; `None`: as the hosts do.
    pub clients: Option<Arc<ListenerClients>>,
}

/// Which certificate is served for a server name.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// The certificate of the host that serves the name.
    OfHosts {
        /// Used if that host has no certificate.
        default: Arc<Certificate>,
        /// Refuse handshakes for names that only the catch-all serves, and without a name.
        reject_unknown: bool,
    },
    /// Certificates of the listener: the first that is valid for the name, else the first one. Empty: handshakes are refused.
    OfListener(Arc<[Arc<Certificate>]>),
}

/// Why a connection does not serve a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHosts {
    /// It carries no HTTP requests.
    NotHttp,
    /// Its server name has led to other hosts than the host of the request would (RFC 9110 section 15.5.20).
    Misdirected,
}

impl Listener {
    /// The port that clients see of a connection whose socket has port `local`: that of the listener where a Service leads from it
    /// to another one, as for Gateways; else that of the socket, which may be any free one.
    pub fn public_port(&self, local: u16) -> u16 {
        match self.ports.own {
            own if own != self.address.port() => own,
            _ => local,
        }
    }

    /// The universe for a request for `host` (lower-case, without port and final dot) on a connection with this server name,
    /// which is ignored without TLS.
    ///
    /// # Errors
    /// The connection carries no HTTP requests, or not those for `host`.
    pub fn hosts(
        &self,
        server_name: Option<&str>,
        host: &str,
    ) -> Result<&Arc<VirtualHosts>, NoHosts> {
        match &self.socket {
            Socket::Plain(Plain::Http(hosts)) => Ok(hosts.get(Some(host))),
            Socket::Plain(Plain::Stream(_)) => Err(NoHosts::NotHttp),
            Socket::Tls(tls) => {
                let hosts = tls.route(server_name).hosts().ok_or(NoHosts::NotHttp)?;
                match tls.hosts(host) {
                    Some(other) if !Arc::ptr_eq(hosts, other) => Err(NoHosts::Misdirected),
                    _ => Ok(hosts),
                }
            }
        }
    }

    /// How TLS is terminated for server name `name`; `None`: it is passed through, or the listener has no TLS.
    pub fn terminate(&self, name: Option<&str>) -> Option<&Terminate> {
        self.socket.tls()?.route(name).terminate()
    }

    /// The universes of all routes. One may occur several times.
    pub fn universes(&self) -> Vec<&Arc<VirtualHosts>> {
        match &self.socket {
            Socket::Plain(Plain::Http(hosts)) => hosts.values().collect(),
            Socket::Plain(Plain::Stream(_)) => Vec::new(),
            Socket::Tls(tls) => tls.routes().filter_map(TlsRoute::hosts).collect(),
        }
    }
}

impl Socket {
    /// What its connections begin with.
    pub fn kind(&self) -> SocketKind {
        match self {
            Self::Plain(Plain::Http(_)) => SocketKind::Http,
            Self::Plain(Plain::Stream(_)) => SocketKind::Stream,
            Self::Tls(_) => SocketKind::Tls,
        }
    }

    /// The TLS routes, if connections begin with a handshake.
    pub fn tls(&self) -> Option<&TlsSocket> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls),
        }
    }

    /// The route, if connections are streams without TLS.
    pub fn stream(&self) -> Option<&StreamRoute> {
        match self {
            Self::Plain(Plain::Stream(route)) => Some(route),
            Self::Plain(Plain::Http(_)) | Self::Tls(_) => None,
        }
    }
}

impl TlsSocket {
    /// A socket that handles all server names by `other`.
    pub fn new(other: TlsRoute) -> Self {
        Self::with_exact(SharedMap::new(), other)
    }

    /// A socket that handles the names of `exact` (lower-case) by their routes, and all others by `other`.
    pub fn with_exact(exact: SharedMap<TlsRoute>, other: TlsRoute) -> Self {
        let routes = ByName::with_exact(exact, other);
        let passes_through = routes.values().any(|route| route.passthrough().is_some());
        Self {
            routes,
            passes_through,
        }
    }

    /// Adds `route` for `name` (lower-case, or `*.x` for any depth below `x`).
    pub fn insert(&mut self, name: &str, route: TlsRoute) {
        self.passes_through |= route.passthrough().is_some();
        self.routes.insert(name, route);
    }

    /// The route for a handshake with server name `name` (lower-case, no final dot): by exact name, by the longest suffix, or
    /// the one for all others.
    pub fn route(&self, name: Option<&str>) -> &TlsRoute {
        self.routes.get(name)
    }

    /// The universe that a handshake for `host` would lead to, if that can differ from other names.
    fn hosts(&self, host: &str) -> Option<&Arc<VirtualHosts>> {
        if self.routes.is_uniform() {
            return None;
        }
        self.route(Some(host)).hosts()
    }

    /// Whether some routes are [`TlsRoute::Passthrough`].
    pub fn passes_through(&self) -> bool {
        self.passes_through
    }

    /// All routes, the one for all other names last.
    pub fn routes(&self) -> impl Iterator<Item = &TlsRoute> {
        self.routes.values()
    }

    /// The names whose connections are forwarded, undecrypted or not, with their routes and backends, in no order; `None` is all
    /// other names.
    pub fn forwarded(&self) -> impl Iterator<Item = (Option<String>, &TlsRoute, &Arc<Split>)> {
        let named = self.routes.named();
        let named = named.map(|(name, route)| (Some(name), route));
        let all = named.chain([(None, self.routes.other())]);
        all.filter_map(|(name, route)| Some((name, route, route.backends()?)))
    }
}

impl TlsRoute {
    /// How TLS is terminated, if it is.
    pub fn terminate(&self) -> Option<&Terminate> {
        match self {
            Self::Terminate(terminate) | Self::Stream { terminate, .. } => Some(terminate),
            Self::Passthrough(_) => None,
        }
    }

    /// The backends, if the connection is forwarded, undecrypted or not.
    pub fn backends(&self) -> Option<&Arc<Split>> {
        match self {
            Self::Terminate(_) => None,
            Self::Stream { backends, .. } | Self::Passthrough(backends) => Some(backends),
        }
    }

    /// The backends, if the connection is passed through.
    pub fn passthrough(&self) -> Option<&Arc<Split>> {
        match self {
            Self::Terminate(_) | Self::Stream { .. } => None,
            Self::Passthrough(split) => Some(split),
        }
    }

    /// The universe of hosts, if TLS is terminated.
    pub fn hosts(&self) -> Option<&Arc<VirtualHosts>> {
        self.terminate().map(|terminate| &terminate.hosts)
    }
}

impl Terminate {
    /// The certificate for a handshake with server name `name` (lower-case, no final dot); `None` refuses the handshake.
    pub fn certificate(&self, name: Option<&str>) -> Option<&Arc<Certificate>> {
        match &self.certificates {
            Certificates::OfHosts {
                default,
                reject_unknown,
            } => {
                let known = name.and_then(|name| self.hosts.certificate(name, default));
                known.or_else(|| {
                    (!reject_unknown).then(|| self.hosts.catch_all_certificate(default))
                })
            }
            Certificates::OfListener(list) => name
                .and_then(|name| list.iter().find(|certificate| certificate.covers(name)))
                .or_else(|| list.first()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_see_the_port_of_the_listener_or_that_of_the_socket() {
        let public_port = |address: u16, own| {
            let split = Split::new(crate::Backend {
                arm: crate::Arm::Status(http::StatusCode::NOT_FOUND),
                edits: None,
            });
            let listener = Listener {
                address: ([0, 0, 0, 0], address).into(),
                ports: PublicPorts { own, https: 443 },
                socket: Socket::Plain(Plain::Stream(StreamRoute::plain(Arc::new(split)))),
            };
            let socket = if address == 0 { 32768 } else { address };
            listener.public_port(socket)
        };
        assert_eq!(public_port(20003, 8080), 8080, "behind a Service");
        assert_eq!(public_port(8080, 8080), 8080);
        assert_eq!(public_port(0, 0), 32768, "any free port");
    }
}
