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
    /// See [`TlsSocket::share`].
    is_shared: bool,
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
    /// Those of a listener whose universe is [over](VirtualHosts::over) the hosts of another one.
    Shared(SharedCertificates),
}

/// The certificates of a listener, and of the hosts beneath its own.
#[derive(Clone, Debug)]
pub struct SharedCertificates {
    /// Those of the listener, as in [`Certificates::OfListener`].
    pub listener: Arc<[Arc<Certificate>]>,
    /// The listener has a hostname, so that its certificates come first, if they are valid for the name. Without one, a
    /// certificate of the host beneath comes first, and names that only the hosts beneath serve get what they have.
    pub has_hostname: bool,
    /// As in [`Certificates::OfHosts`], for the hosts beneath.
    pub default: Arc<Certificate>,
    /// As in [`Certificates::OfHosts`], for the hosts beneath.
    pub reject_unknown: bool,
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
                    Some(other) if tls.is_shared => Ok(other),
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

    /// The universes of all routes, and those beneath them. One may occur several times.
    pub fn universes(&self) -> Vec<&Arc<VirtualHosts>> {
        let own: Vec<_> = match &self.socket {
            Socket::Plain(Plain::Http(hosts)) => hosts.values().collect(),
            Socket::Plain(Plain::Stream(_)) => Vec::new(),
            Socket::Tls(tls) => tls.routes().filter_map(TlsRoute::hosts).collect(),
        };
        let all = own.into_iter();
        all.flat_map(|hosts| [Some(hosts), hosts.beneath()])
            .flatten()
            .collect()
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
        let passes_through = routes.any(|route| route.passthrough().is_some());
        Self {
            routes,
            passes_through,
            is_shared: false,
        }
    }

    /// Handles `name` by the listener of another source of objects (`None`: all names without a route of their own). Names that
    /// are passed through stay so. From now on a request is served by the hosts of its own name, whatever server name the
    /// connection has: the routes must not differ in what they demand of clients.
    pub fn share(&mut self, name: Option<&str>, terminate: Terminate) {
        self.is_shared = true;
        let route = TlsRoute::Terminate(terminate);
        match name {
            None => self.routes.set_other(route),
            Some(name) if self.route(Some(name)).passthrough().is_some() => {}
            Some(name) => self.routes.insert(name, route),
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

    /// The default of [`Certificates::OfHosts`] for names without a route of their own, and whether unknown ones are refused.
    pub fn of_hosts(&self) -> Option<(&Arc<Certificate>, bool)> {
        match &self.routes.other().terminate()?.certificates {
            Certificates::OfHosts {
                default,
                reject_unknown,
            } => Some((default, *reject_unknown)),
            Certificates::Shared(shared) => Some((&shared.default, shared.reject_unknown)),
            Certificates::OfListener(_) => None,
        }
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
            } => of_hosts(&self.hosts, name, (default, *reject_unknown)),
            Certificates::OfListener(list) => of_listener(list, name),
            Certificates::Shared(shared) => shared.certificate(&self.hosts, name),
        }
    }
}

impl Certificates {
    /// The certificates for names without one of their own.
    pub fn for_other_names(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        let (default, list) = match self {
            Self::OfHosts { default, .. } => (Some(default), &[][..]),
            Self::OfListener(list) => (None, &**list),
            Self::Shared(shared) => (Some(&shared.default), &*shared.listener),
        };
        default.into_iter().chain(list)
    }
}

impl SharedCertificates {
    fn certificate<'t>(
        &'t self,
        hosts: &'t VirtualHosts,
        name: Option<&str>,
    ) -> Option<&'t Arc<Certificate>> {
        let beneath = hosts.beneath()?;
        let own = || name.and_then(|name| beneath.own_certificate(name, &self.default));
        if self.has_hostname {
            let valid = name.and_then(|name| valid_for(&self.listener, name));
            return valid.or_else(own).or_else(|| self.listener.first());
        }
        own().or_else(|| match hosts.has_routes_for(name) {
            true => of_listener(&self.listener, name),
            false => of_hosts(beneath, name, (&self.default, self.reject_unknown)),
        })
    }
}

fn of_hosts<'t>(
    hosts: &'t VirtualHosts,
    name: Option<&str>,
    (default, reject_unknown): (&'t Arc<Certificate>, bool),
) -> Option<&'t Arc<Certificate>> {
    let known = name.and_then(|name| hosts.certificate(name, default));
    known.or_else(|| (!reject_unknown).then(|| hosts.catch_all_certificate(default)))
}

fn of_listener<'t>(
    list: &'t [Arc<Certificate>],
    name: Option<&str>,
) -> Option<&'t Arc<Certificate>> {
    let valid = name.and_then(|name| valid_for(list, name));
    valid.or_else(|| list.first())
}

fn valid_for<'t>(list: &'t [Arc<Certificate>], name: &str) -> Option<&'t Arc<Certificate>> {
    list.iter().find(|certificate| certificate.covers(name))
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
