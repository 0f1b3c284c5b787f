//! The listening sockets of Gateways (gateway-api.md 2.4, 2.6, 2.7).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use headgate_table::{
    Arm, Backend, ByName, CATCH_ALL, Certificates, Listener, Plain, PublicPorts, Socket, Split,
    StreamRoute, Terminate, TlsRoute, TlsSocket, UdpListener, VirtualHosts,
};
use http::StatusCode;

use super::Pass;
use crate::build::{PathOrder, empty_host};
use crate::gateway::hostname::Hostname;
use crate::gateway::listener::{self, Place, Protocol};
use crate::gateway::universe::Universe;

/// The sockets of all Gateways.
#[derive(Default)]
pub(crate) struct Sockets {
    pub(crate) tcp: Vec<Listener>,
    pub(crate) udp: Vec<UdpListener>,
}

impl Pass<'_> {
    /// The sockets of all Gateways that are [placed](Pass::place).
    pub(crate) fn sockets(&self) -> Sockets {
        let mut sockets = Sockets::default();
        for gateway in self.state.gateways.values() {
            for (socket, on_port) in by_socket(gateway) {
                for address in &gateway.placement.bound {
                    let address = SocketAddr::new(*address, socket.local);
                    self.open(address, gateway, &on_port, &mut sockets);
                }
            }
        }
        sockets
    }

    /// Adds the socket of the listeners of one port.
    fn open(
        &self,
        address: SocketAddr,
        gateway: &Universe,
        on_port: &[&listener::Listener],
        sockets: &mut Sockets,
    ) {
        let first = on_port
            .first()
            .and_then(|first| Some((first, first.protocol?)));
        let Some((first, protocol)) = first else {
            return;
        };
        let socket = match protocol {
            Protocol::Http => Socket::Plain(Plain::Http(self.plain(gateway, on_port))),
            Protocol::Https | Protocol::TlsTerminated | Protocol::TlsPassedThrough => {
                Socket::Tls(self.tls(gateway, on_port))
            }
            Protocol::Tcp => {
                let backends = self.backends(gateway, first);
                Socket::Plain(Plain::Stream(StreamRoute::plain(backends)))
            }
            Protocol::Udp => {
                let backends = self.backends(gateway, first);
                return sockets.udp.push(UdpListener { address, backends });
            }
        };
        sockets.tcp.push(Listener {
            address,
            ports: PublicPorts {
                own: first.port,
                https: 443,
            },
            socket,
        });
    }

    /// The backends of all connections or datagrams of a listener; without a route, none that accepts them.
    fn backends(&self, gateway: &Universe, listener: &listener::Listener) -> Arc<Split> {
        let routes = self.builder.passthrough(&gateway.hosts_of(listener));
        let split = routes.get(CATCH_ALL).and_then(TlsRoute::passthrough);
        split.cloned().unwrap_or_else(no_backends)
    }

    fn plain(
        &self,
        gateway: &Universe,
        on_port: &[&listener::Listener],
    ) -> ByName<Arc<VirtualHosts>> {
        let all = on_port
            .iter()
            .find(|listener| listener.hostname == Hostname::Any);
        let other = all.and_then(|listener| self.hosts(gateway, listener));
        let mut hosts = ByName::new(other.unwrap_or_else(nothing));
        for listener in named(on_port) {
            if let Some(of_listener) = self.hosts(gateway, listener) {
                hosts.insert(&listener.hostname.host(), of_listener);
            }
        }
        hosts
    }

    /// A connection whose server name no listener or route has is refused: with an alert where requests are served, and closed
    /// without a word where connections are forwarded.
    fn tls(&self, gateway: &Universe, on_port: &[&listener::Listener]) -> TlsSocket {
        let serves = |listener: &&listener::Listener| listener.protocol == Some(Protocol::Https);
        let refuse = || match on_port.iter().any(serves) {
            true => TlsRoute::Terminate(Terminate {
                hosts: nothing(),
                certificates: Certificates::OfListener(Arc::default()),
                clients: None,
            }),
            false => TlsRoute::Passthrough(no_backends()),
        };
        let mut named = Vec::new();
        let mut other = None;
        for listener in on_port {
            for (name, route) in self.tls_routes(gateway, listener) {
                if *name == *CATCH_ALL {
                    other = Some(route); // of a listener for streams, its route follows the refusal
                } else {
                    named.push((name, route));
                }
            }
        }
        let mut socket = TlsSocket::new(other.unwrap_or_else(refuse));
        for (name, route) in named {
            socket.insert(&name, route);
        }
        socket
    }

    /// The server names of a listener, and what becomes of their connections. Of a listener for streams, a name that no route has
    /// is refused, also where a listener with a wider name would take it.
    fn tls_routes(
        &self,
        gateway: &Universe,
        listener: &listener::Listener,
    ) -> Vec<(Arc<str>, TlsRoute)> {
        let own = listener.hostname.host();
        let Some(hosts) = self.hosts(gateway, listener) else {
            return Vec::new();
        };
        let terminate = Terminate {
            hosts,
            certificates: Certificates::OfListener(listener.certificates.as_slice().into()),
            clients: listener.clients.clone(),
        };
        if listener.protocol == Some(Protocol::Https) {
            return vec![(own, TlsRoute::Terminate(terminate))];
        }
        let mut routes = vec![(own, TlsRoute::Passthrough(no_backends()))];
        let of_routes = self.builder.passthrough(&gateway.hosts_of(listener));
        routes.extend(of_routes.iter().map(|(name, route)| {
            let route = match (listener.protocol, route.backends()) {
                (Some(Protocol::TlsTerminated), Some(backends)) => TlsRoute::Stream {
                    terminate: terminate.clone(),
                    backends: backends.clone(),
                },
                _ => route.clone(),
            };
            (name.clone(), route)
        }));
        routes
    }

    fn hosts(
        &self,
        gateway: &Universe,
        listener: &listener::Listener,
    ) -> Option<Arc<VirtualHosts>> {
        self.builder.hosts(&gateway.hosts_of(listener)).cloned()
    }
}

/// A socket of a Gateway, at each of its addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct LocalSocket {
    local: u16,
    is_datagrams: bool,
}

/// The listeners of each socket that serve.
fn by_socket(gateway: &Universe) -> BTreeMap<LocalSocket, Vec<&listener::Listener>> {
    let mut sockets: BTreeMap<LocalSocket, Vec<&listener::Listener>> = BTreeMap::new();
    let served = gateway.listeners.iter();
    for listener in served.filter(|listener| listener.is_served()) {
        if let Place::Open(local) = listener.place {
            let socket = LocalSocket {
                local,
                is_datagrams: listener.protocol == Some(Protocol::Udp),
            };
            sockets.entry(socket).or_default().push(listener);
        }
    }
    sockets
}

fn named<'l>(on_port: &[&'l listener::Listener]) -> impl Iterator<Item = &'l listener::Listener> {
    let listeners = on_port.iter().copied();
    listeners.filter(|listener| listener.hostname != Hostname::Any)
}

/// No backend: connections are closed, and datagrams dropped.
fn no_backends() -> Arc<Split> {
    Arc::new(Split::new(Backend {
        arm: Arm::Status(StatusCode::SERVICE_UNAVAILABLE),
        edits: None,
    }))
}

/// No hosts: 404 for every request.
fn nothing() -> Arc<VirtualHosts> {
    let empty = empty_host(PathOrder::Specific);
    Arc::new(VirtualHosts::layered(Arc::new(empty)))
}
