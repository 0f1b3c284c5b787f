//! Where clients connect, and what a connection there leads to.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Certificate, SharedMap, Split, VirtualHosts};

/// A listening socket.
#[derive(Clone)]
pub struct Listener {
    /// Where the socket is bound.
    pub address: SocketAddr,
    /// The ports that clients know it and its counterpart by.
    pub ports: PublicPorts,
    /// What its connections lead to.
    pub socket: Socket,
}

/// Ports as clients see them. They differ from the socket's where a balancer or a Service maps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicPorts {
    /// The port that clients of this listener connect to.
    pub own: u16,
    /// The port for https that redirects name.
    pub https: u16,
}

/// What the connections of a listener lead to.
#[derive(Clone)]
pub enum Socket {
    /// Without TLS.
    Plain(Plain),
    /// They begin with a TLS handshake, whose server name decides.
    Tls(TlsSocket),
}

/// What connections without TLS lead to.
#[derive(Clone)]
pub enum Plain {
    /// HTTP requests, for the hosts of a universe.
    Http(Arc<VirtualHosts>),
    /// Bytes, passed on to a backend.
    Stream(Arc<Split>),
}

/// What handshakes lead to, by server name (RFC 6066 section 3).
#[derive(Clone)]
pub struct TlsSocket {
    /// By exact name.
    exact: SharedMap<TlsRoute>,
    /// `*.x` of any depth, by `x`.
    suffixes: SharedMap<TlsRoute>,
    /// For all other names and for none.
    other: TlsRoute,
    /// Some routes are passthrough.
    passes_through: bool,
}

/// What is done with a TLS connection.
#[derive(Clone)]
pub enum TlsRoute {
    /// TLS ends here.
    Terminate(Terminate),
    /// The connection is passed on undecrypted.
    Passthrough(Arc<Split>),
}

/// Where requests of TLS connections go, and the certificates that they are received with.
#[derive(Clone)]
pub struct Terminate {
    /// The universe of hosts.
    pub hosts: Arc<VirtualHosts>,
    /// The certificates.
    pub certificates: Certificates,
}

/// Which certificate a server name gets.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// That of the host which the name leads to.
    OfHosts {
        /// Where that host has none.
        default: Arc<Certificate>,
        /// Refuse handshakes for names that no host has, and without a name.
        reject_unknown: bool,
    },
    /// The listener's: the first that is valid for the name, else the first of all. Empty: none.
    OfListener(Arc<[Arc<Certificate>]>),
}

impl Listener {
    /// The universe for requests of a connection with server name `name` (over plain text it does not matter). `None`: there
    /// are no requests here.
    pub fn hosts(&self, name: Option<&str>) -> Option<&Arc<VirtualHosts>> {
        match &self.socket {
            Socket::Plain(Plain::Http(hosts)) => Some(hosts),
            Socket::Plain(Plain::Stream(_)) => None,
            Socket::Tls(tls) => tls.route(name).hosts(),
        }
    }

    /// How TLS ends on connections with server name `name`; `None`: it does not, or there is none.
    pub fn terminate(&self, name: Option<&str>) -> Option<&Terminate> {
        self.socket.tls()?.route(name).terminate()
    }

    /// Every universe that some connection leads to. One may come several times.
    pub fn universes(&self) -> Vec<&Arc<VirtualHosts>> {
        match &self.socket {
            Socket::Plain(_) => self.hosts(None).into_iter().collect(),
            Socket::Tls(tls) => tls.routes().filter_map(TlsRoute::hosts).collect(),
        }
    }
}

impl Socket {
    /// What handshakes lead to, where connections begin with one.
    pub fn tls(&self) -> Option<&TlsSocket> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => Some(tls),
        }
    }

    /// The backends of a socket for streams.
    pub fn stream(&self) -> Option<&Arc<Split>> {
        match self {
            Self::Plain(Plain::Stream(split)) => Some(split),
            Self::Plain(Plain::Http(_)) | Self::Tls(_) => None,
        }
    }
}

impl TlsSocket {
    /// A socket on which all server names lead to `other`.
    pub fn new(other: TlsRoute) -> Self {
        Self {
            exact: SharedMap::new(),
            suffixes: SharedMap::new(),
            passes_through: other.terminate().is_none(),
            other,
        }
    }

    /// Lets `name` (lower-case, or `*.x` for any depth below `x`) lead to `route`.
    pub fn insert(&mut self, name: &str, route: TlsRoute) {
        self.passes_through |= route.terminate().is_none();
        match name.strip_prefix("*.") {
            Some(parent) => drop(self.suffixes.insert(parent.into(), route)),
            None => drop(self.exact.insert(name.into(), route)),
        }
    }

    /// What a handshake with server name `name` (lower-case, no final dot) leads to: the exact name, the longest suffix, or
    /// what is left for all others.
    pub fn route(&self, name: Option<&str>) -> &TlsRoute {
        if self.exact.is_empty() && self.suffixes.is_empty() {
            return &self.other;
        }
        let named = name.and_then(|name| self.exact.get(name).or_else(|| self.suffix(name)));
        named.unwrap_or(&self.other)
    }

    /// Whether some server names lead to [`TlsRoute::Passthrough`].
    pub fn passes_through(&self) -> bool {
        self.passes_through
    }

    /// All routes, that for other names last.
    pub fn routes(&self) -> impl Iterator<Item = &TlsRoute> {
        let exact = self.exact.iter().map(|(_, route)| route);
        let suffixes = self.suffixes.iter().map(|(_, route)| route);
        exact.chain(suffixes).chain([&self.other])
    }

    fn suffix(&self, name: &str) -> Option<&TlsRoute> {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(route) = self.suffixes.get(parent) {
                return Some(route);
            }
            rest = parent;
        }
        None
    }
}

impl TlsRoute {
    /// How TLS ends here, if it does.
    pub fn terminate(&self) -> Option<&Terminate> {
        match self {
            Self::Terminate(terminate) => Some(terminate),
            Self::Passthrough(_) => None,
        }
    }

    /// The backends that the connection is passed on to, if it is.
    pub fn passthrough(&self) -> Option<&Arc<Split>> {
        match self {
            Self::Terminate(_) => None,
            Self::Passthrough(split) => Some(split),
        }
    }

    /// The universe of hosts, where TLS ends here.
    pub fn hosts(&self) -> Option<&Arc<VirtualHosts>> {
        self.terminate().map(|terminate| &terminate.hosts)
    }
}

impl Terminate {
    /// The certificate for a handshake with server name `name` (lower-case, no final dot). `None`: refuse the handshake.
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
