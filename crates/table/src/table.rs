//! The table itself: listeners by address, upstreams by key.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{
    CallTarget, Certificate, Certificates, Endpoints, HostTls, Listener, NoEndpoints, Settings,
    SharedMap, TlsRoute, TlsSocket, UdpListener, Upstream, UpstreamKey, VirtualHosts,
};

/// Everything that the data plane serves from. Immutable once published.
#[derive(Clone)]
pub struct RoutingTable {
    /// Counts compilations; shown by the admin port.
    pub generation: u64,
    /// Settings of the whole data plane.
    pub settings: Arc<Settings>,
    /// Each address once, in order.
    listeners: Arc<[Listener]>,
    /// Each address once, in order.
    udp: Arc<[UdpListener]>,
    /// By key.
    upstreams: SharedMap<Arc<Upstream>>,
    /// Those with health checks, by key: few or none, and worked through at each table.
    checked: SharedMap<Arc<Upstream>>,
}

impl RoutingTable {
    /// A table without listeners and upstreams.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self {
            generation: 0,
            settings,
            listeners: Arc::default(),
            udp: Arc::default(),
            upstreams: SharedMap::new(),
            checked: SharedMap::new(),
        }
    }

    /// The listener at `address`.
    pub fn listener(&self, address: SocketAddr) -> Option<&Listener> {
        let listeners = &self.listeners;
        let index = listeners.binary_search_by_key(&address, |listener| listener.address);
        listeners.get(index.ok()?)
    }

    /// All listeners, in the order of their addresses.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// Replaces all listeners. Of several at one address, the first is kept.
    pub fn set_listeners(&mut self, mut listeners: Vec<Listener>) {
        listeners.sort_by_key(|listener| listener.address);
        listeners.dedup_by_key(|listener| listener.address);
        self.listeners = listeners.into();
    }

    /// The sockets for UDP, in the order of their addresses.
    pub fn udp_listeners(&self) -> &[UdpListener] {
        &self.udp
    }

    /// The socket for UDP at `address`.
    pub fn udp_listener(&self, address: SocketAddr) -> Option<&UdpListener> {
        let listeners = &self.udp;
        let index = listeners.binary_search_by_key(&address, |listener| listener.address);
        listeners.get(index.ok()?)
    }

    /// Replaces all sockets for UDP. Of several at one address, the first is kept.
    pub fn set_udp_listeners(&mut self, mut listeners: Vec<UdpListener>) {
        listeners.sort_by_key(|listener| listener.address);
        listeners.dedup_by_key(|listener| listener.address);
        self.udp = listeners.into();
    }

    /// Whether the same sockets are open with both tables: of the same kinds at the same addresses.
    pub fn has_sockets_of(&self, other: &Self) -> bool {
        let tcp = |table: &Self| -> Vec<_> {
            let sockets = table.listeners.iter();
            sockets
                .map(|one| (one.address, one.socket.kind()))
                .collect()
        };
        let udp = |one: &UdpListener| one.address;
        tcp(self) == tcp(other) && self.udp.iter().map(udp).eq(other.udp.iter().map(udp))
    }

    /// The universes of the listeners, each once, in the order of the listeners.
    pub fn universes(&self) -> Vec<&Arc<VirtualHosts>> {
        let mut universes: Vec<&Arc<VirtualHosts>> = Vec::new();
        for hosts in self.listeners.iter().flat_map(Listener::universes) {
            if !universes.iter().any(|known| Arc::ptr_eq(known, hosts)) {
                universes.push(hosts);
            }
        }
        universes
    }

    /// The certificate of the hosts of a universe that have none of their own; `None` if no listener terminates TLS for it.
    pub fn default_certificate(&self, universe: &Arc<VirtualHosts>) -> Option<&Arc<Certificate>> {
        let sockets = self.listeners.iter().filter_map(|at| at.socket.tls());
        let mut ends = sockets.flat_map(|tls| tls.routes().filter_map(|route| route.terminate()));
        ends.find_map(|end| {
            let (hosts, default) = match &end.certificates {
                Certificates::OfHosts { default, .. } => (Some(&end.hosts), default),
                Certificates::Shared(shared) => (end.hosts.beneath(), &shared.default),
                Certificates::OfListener(_) => return None,
            };
            hosts
                .is_some_and(|hosts| Arc::ptr_eq(hosts, universe))
                .then_some(default)
        })
    }

    /// The certificates of listeners, for names without one of their own; one may occur several times.
    pub fn listener_certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        let terminated = self
            .listeners
            .iter()
            .filter_map(|listener| listener.socket.tls());
        let terminated = terminated
            .flat_map(TlsSocket::routes)
            .filter_map(TlsRoute::terminate);
        terminated.flat_map(|terminate| terminate.certificates.for_other_names())
    }

    /// The certificates of all listeners and hosts; one may occur several times.
    pub fn certificates(&self) -> impl Iterator<Item = &Arc<Certificate>> {
        let hosts = self.universes().into_iter().flat_map(|hosts| hosts.iter());
        let of_hosts = hosts.filter_map(|host| match &host.tls {
            HostTls::Own(own) => Some(own),
            HostTls::Default | HostTls::None => None,
        });
        self.listener_certificates().chain(of_hosts)
    }

    /// The upstream of `target`; `None` if it is not in the table.
    pub fn target<'t>(&'t self, target: &'t CallTarget) -> Option<&'t Arc<Upstream>> {
        match target {
            CallTarget::Upstream(key) => self.upstream(key),
            CallTarget::Fixed(upstream) => Some(upstream),
        }
    }

    /// The upstream under `key`.
    pub fn upstream(&self, key: &UpstreamKey) -> Option<&Arc<Upstream>> {
        self.upstreams.get(key.as_str())
    }

    /// All upstreams, in no order.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.upstreams.iter().map(|(_, upstream)| upstream)
    }

    /// The upstreams with health checks, in no order.
    pub fn checked_upstreams(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.checked.iter().map(|(_, upstream)| upstream)
    }

    /// Inserts `upstream` under its key, or replaces the one that has it.
    pub fn insert_upstream(&mut self, upstream: Arc<Upstream>) {
        let key = upstream.key.text();
        match upstream.resilience.check {
            Some(_) => drop(self.checked.insert(key.clone(), upstream.clone())),
            None => drop(self.checked.remove(&key)),
        }
        self.upstreams.insert(key, upstream);
    }

    /// This table with no endpoint in any upstream: the configuration that replicas share, whichever endpoints each sees.
    /// Names, and reasons that are in the configuration, stay.
    pub fn without_endpoints(&self) -> Self {
        let mut bare = Self {
            upstreams: SharedMap::new(),
            checked: SharedMap::new(),
            ..self.clone()
        };
        for upstream in self.upstreams() {
            let endpoints = match &upstream.endpoints {
                Endpoints::Addresses(_) | Endpoints::None(NoEndpoints::NoneReady) => {
                    Endpoints::Addresses(Arc::default())
                }
                configured => configured.clone(),
            };
            bare.insert_upstream(Arc::new(Upstream {
                endpoints,
                ..Upstream::clone(upstream)
            }));
        }
        bare
    }

    /// Removes the upstream under `key`.
    pub fn remove_upstream(&mut self, key: &UpstreamKey) {
        self.upstreams.remove(key.as_str());
        self.checked.remove(key.as_str());
    }
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;
    use crate::{Balance, HealthCheck, Resilience, Slot};

    fn upstream(key: &str, is_checked: bool) -> Arc<Upstream> {
        let check = is_checked.then(|| HealthCheck::new(PathAndQuery::from_static("/healthz")));
        Arc::new(Upstream {
            key: UpstreamKey::new(key),
            name: key.into(),
            log_name: key.into(),
            protocol: crate::BackendProtocol::Http,
            tls: None,
            endpoints: Endpoints::Addresses(Arc::default()),
            balance: Balance::RoundRobin,
            affinity: None,
            client_ip_affinity: None,
            resilience: Arc::new(Resilience {
                check,
                ..Resilience::default()
            }),
            slot: Slot::default(),
        })
    }

    #[test]
    fn only_upstreams_with_health_checks_are_checked() {
        let mut table = RoutingTable::new(Arc::default());
        let checked = |table: &RoutingTable| {
            let keys = table.checked_upstreams();
            let mut keys: Vec<String> = keys.map(|one| one.key.to_string()).collect();
            keys.sort();
            keys
        };
        for (key, is_checked) in [("a", true), ("b", false), ("c", true), ("d", true)] {
            table.insert_upstream(upstream(key, is_checked));
        }
        assert_eq!(checked(&table), ["a", "c", "d"]);
        table.insert_upstream(upstream("a", false));
        table.remove_upstream(&UpstreamKey::new("c"));
        assert_eq!(checked(&table), ["d"]);
        assert_eq!(checked(&table.without_endpoints()), ["d"]);
    }
}
