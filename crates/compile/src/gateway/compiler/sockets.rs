//! The listening sockets of Gateways (gateway-api.md 2.4, 2.6, 2.7).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headgate_table::{
    ByName, Certificates, Listener, Plain, PublicPorts, Socket, Terminate, TlsRoute, TlsSocket,
    VirtualHosts,
};

use super::Pass;
use crate::gateway::hostname::Hostname;
use crate::gateway::listener::{self, Protocol};
use crate::gateway::universe::Universe;

impl Pass<'_> {
    /// The sockets of all Gateways, each on the addresses of its spec, or else on those of `addresses`.
    pub(crate) fn listeners(&self, addresses: &[IpAddr]) -> Vec<Listener> {
        let mut listeners = Vec::new();
        for gateway in self.state.gateways.values() {
            let own = gateway.gateway.spec.addresses.iter();
            let own = own.filter_map(|address| address.value.as_deref()?.parse().ok());
            let own: Vec<IpAddr> = own.collect();
            let addresses = if own.is_empty() { addresses } else { &own };
            for (port, on_port) in by_port(gateway) {
                let Some(socket) = self.socket(gateway, &on_port) else {
                    continue;
                };
                listeners.extend(addresses.iter().map(|address| Listener {
                    address: SocketAddr::new(*address, port),
                    ports: PublicPorts {
                        own: port,
                        https: 443,
                    },
                    socket: socket.clone(),
                }));
            }
        }
        listeners
    }

    fn socket(&self, gateway: &Universe, on_port: &[&listener::Listener]) -> Option<Socket> {
        let first = on_port.first()?;
        match first.protocol? {
            Protocol::Http => Some(Socket::Plain(Plain::Http(self.plain(gateway, on_port)))),
            Protocol::Https => Some(Socket::Tls(self.tls(gateway, on_port))),
            _ => None,
        }
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

    /// A handshake whose name no listener has is refused.
    fn tls(&self, gateway: &Universe, on_port: &[&listener::Listener]) -> TlsSocket {
        let terminate = |listener: &listener::Listener| {
            let hosts = self.hosts(gateway, listener)?;
            Some(TlsRoute::Terminate(Terminate {
                hosts,
                certificates: Certificates::OfListener(listener.certificates.clone().into()),
            }))
        };
        let refuse = || {
            TlsRoute::Terminate(Terminate {
                hosts: nothing(),
                certificates: Certificates::OfListener(Arc::default()),
            })
        };
        let all = on_port
            .iter()
            .find(|listener| listener.hostname == Hostname::Any);
        let other = all.and_then(|listener| terminate(listener));
        let mut socket = TlsSocket::new(other.unwrap_or_else(refuse));
        for listener in named(on_port) {
            if let Some(route) = terminate(listener) {
                socket.insert(&listener.hostname.host(), route);
            }
        }
        socket
    }

    fn hosts(
        &self,
        gateway: &Universe,
        listener: &listener::Listener,
    ) -> Option<Arc<VirtualHosts>> {
        let hosts = self.builder.hosts(&gateway.hosts_of(listener))?;
        Some(Arc::new(hosts.clone()))
    }
}

/// The listeners of each port that serve.
fn by_port(gateway: &Universe) -> BTreeMap<u16, Vec<&listener::Listener>> {
    let mut ports: BTreeMap<u16, Vec<&listener::Listener>> = BTreeMap::new();
    for listener in gateway
        .listeners
        .iter()
        .filter(|listener| listener.is_served())
    {
        ports.entry(listener.port).or_default().push(listener);
    }
    ports
}

fn named<'l>(on_port: &[&'l listener::Listener]) -> impl Iterator<Item = &'l listener::Listener> {
    let listeners = on_port.iter().copied();
    listeners.filter(|listener| listener.hostname != Hostname::Any)
}

/// No hosts: 404 for every request.
fn nothing() -> Arc<VirtualHosts> {
    Arc::new(VirtualHosts::layered(Arc::new(crate::build::empty_host())))
}
