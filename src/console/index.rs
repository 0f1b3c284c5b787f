//! The hosts, routes and certificates of a table by their names.
//!
//! It is made for the first page after a change of the table, and dropped when no page is read for a while.

use std::collections::HashMap;
use std::sync::Arc;

use headgate_proxy::route_number;
use headgate_table::{
    CATCH_ALL, Certificate, Endpoints, Host, HostBehaviour, HostTls, Listener, Route, RoutingTable,
    Target, VirtualHosts, conditions_text,
};

/// An index of a table.
pub(super) struct Index {
    generation: u64,
    /// By name.
    hosts: Vec<IndexedHost>,
    /// By host, and of each host in the order in which they are tried.
    routes: Vec<IndexedRoute>,
    /// Places of routes by their ids.
    by_id: Vec<(u64, u32)>,
    /// The first to expire first.
    certificates: Vec<IndexedCertificate>,
    /// Number of upstreams.
    pub(super) upstreams: usize,
    /// Number of their endpoints.
    pub(super) endpoints: usize,
}

/// A host.
pub(super) struct IndexedHost {
    pub(super) host: Arc<Host>,
    /// The listeners that serve it; empty: all of HTTP.
    pub(super) listeners: Arc<[String]>,
    /// Its routes.
    routes: std::ops::Range<usize>,
}

/// A route.
pub(super) struct IndexedRoute {
    id: u64,
    /// Its host as configured.
    pub(super) host: Arc<str>,
    pub(super) route: Arc<Route>,
    /// Empty: none.
    pub(super) conditions: Box<str>,
}

/// A certificate, and which hosts serve it.
pub(super) struct IndexedCertificate {
    pub(super) certificate: Arc<Certificate>,
    /// Sorted.
    pub(super) hosts: Vec<Arc<str>>,
    /// It serves hosts and names without one of their own.
    pub(super) is_default: bool,
}

impl IndexedRoute {
    /// Names it in links.
    pub(super) fn id(&self) -> String {
        format!("{:016x}", self.id)
    }

    /// Names its counters; `None` before its first request.
    pub(super) fn number(&self) -> Option<u64> {
        route_number(&self.route)
    }
}

impl Index {
    pub(super) fn of(table: &RoutingTable) -> Self {
        let universes = table.universes();
        let mut found: Vec<(Arc<Host>, Arc<[String]>)> = Vec::new();
        for universe in &universes {
            let listeners = listeners(table, universe, universes.len());
            found.extend(
                universe
                    .iter()
                    .map(|host| (host.clone(), listeners.clone())),
            );
        }
        found.sort_by(|(one, at), (other, other_at)| {
            (&*one.name, at).cmp(&(&*other.name, other_at))
        });
        let mut routes = Vec::new();
        let hosts = found.into_iter().map(|(host, listeners)| {
            let begin = routes.len();
            push_routes(&host, &listeners, &mut routes);
            IndexedHost {
                host,
                listeners,
                routes: begin..routes.len(),
            }
        });
        let hosts: Vec<IndexedHost> = hosts.collect();
        let ids = routes.iter().enumerate();
        let ids = ids.map(|(place, route)| (route.id, u32::try_from(place).unwrap_or(u32::MAX)));
        let mut by_id: Vec<(u64, u32)> = ids.collect();
        by_id.sort_unstable();
        let endpoints = table.upstreams().map(|upstream| match &upstream.endpoints {
            Endpoints::None(_) => 0,
            Endpoints::Addresses(addresses) => addresses.len(),
            Endpoints::Name { .. } => 1,
        });
        Self {
            generation: table.generation,
            certificates: certificates(table, &hosts),
            upstreams: table.upstreams().count(),
            endpoints: endpoints.sum(),
            hosts,
            routes,
            by_id,
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// All hosts by name.
    pub(super) fn hosts(&self) -> &[IndexedHost] {
        &self.hosts
    }

    /// A host by its name as configured; of several listeners, the first.
    pub(super) fn host<'i>(&'i self, name: &'i str) -> Option<&'i IndexedHost> {
        self.hosts_of(name).next()
    }

    /// All routes.
    pub(super) fn routes(&self) -> &[IndexedRoute] {
        &self.routes
    }

    /// The routes of a host.
    pub(super) fn routes_of(&self, host: &IndexedHost) -> &[IndexedRoute] {
        self.routes.get(host.routes.clone()).unwrap_or_default()
    }

    /// A route by [`IndexedRoute::id`].
    pub(super) fn route(&self, id: &str) -> Option<&IndexedRoute> {
        let id = u64::from_str_radix(id, 16).ok()?;
        let place = self.by_id.partition_point(|(one, _)| *one < id);
        let (found, place) = self.by_id.get(place)?;
        (*found == id).then(|| self.routes.get(*place as usize))?
    }

    /// The host of a route.
    pub(super) fn host_of<'i>(&'i self, route: &'i IndexedRoute) -> Option<&'i IndexedHost> {
        let mut hosts = self.hosts_of(&route.host);
        hosts.find(|host| self.routes_of(host).iter().any(|one| one.id == route.id))
    }

    /// The route of a host that has these counters.
    pub(super) fn numbered<'i>(&'i self, host: &'i str, number: u64) -> Option<&'i IndexedRoute> {
        let mut routes = self.hosts_of(host).flat_map(|host| self.routes_of(host));
        routes.find(|route| route.number() == Some(number))
    }

    /// The certificates, the first to expire first.
    pub(super) fn certificates(&self) -> &[IndexedCertificate] {
        &self.certificates
    }

    fn hosts_of<'i>(&'i self, name: &'i str) -> impl Iterator<Item = &'i IndexedHost> {
        let begin = self.hosts.partition_point(|host| &*host.host.name < name);
        let rest = self.hosts.iter().skip(begin);
        rest.take_while(move |host| &*host.host.name == name)
    }
}

/// The addresses of the listeners of a universe, if there are others.
fn listeners(
    table: &RoutingTable,
    universe: &Arc<VirtualHosts>,
    universes: usize,
) -> Arc<[String]> {
    if universes < 2 {
        return Arc::default();
    }
    let serves = |listener: &&Listener| {
        let mut all = listener.universes().into_iter();
        all.any(|one| Arc::ptr_eq(one, universe))
    };
    let listeners = table.listeners().iter().filter(serves);
    listeners
        .map(|listener| listener.address.to_string())
        .collect()
}

fn push_routes(host: &Host, listeners: &[String], routes: &mut Vec<IndexedRoute>) {
    let HostBehaviour::Routes { paths, .. } = &host.behaviour else {
        return;
    };
    let begin = routes.len();
    let of_host = hash(BASIS, std::iter::once(&*host.name));
    for (tried, conditions, route) in paths.listing() {
        let conditions = conditions.map(conditions_text).unwrap_or_default();
        let conditions: Box<str> = conditions.trim().into();
        let parts = [tried, kind(route), &*conditions, &*route.path];
        let at = listeners.iter().map(String::as_str);
        let mut id = hash(of_host, parts.into_iter().chain(at));
        // Two candidates of one path that nothing distinguishes.
        while routes.iter().skip(begin).any(|one| one.id == id) {
            id = id.wrapping_add(1);
        }
        routes.push(IndexedRoute {
            id,
            host: host.name.clone(),
            route: route.clone(),
            conditions,
        });
    }
}

/// `Exact`, `Prefix` or `RegularExpression`.
pub(super) fn kind(route: &Route) -> &'static str {
    match route.kind {
        headgate_table::PathKind::Exact => "Exact",
        headgate_table::PathKind::Prefix => "Prefix",
        headgate_table::PathKind::Expression => "RegularExpression",
    }
}

const BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits, continued: links stay what they are in every replica and version.
fn hash<'t>(begun: u64, texts: impl Iterator<Item = &'t str>) -> u64 {
    texts.fold(begun, |hash, text| {
        let next = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        next(text.as_bytes().iter().fold(hash, next), &0)
    })
}

fn certificates(table: &RoutingTable, hosts: &[IndexedHost]) -> Vec<IndexedCertificate> {
    type Key<'c> = (&'c str, &'c str);
    let mut all: HashMap<Key<'_>, IndexedCertificate> = HashMap::default();
    fn entry<'m, 'c>(
        all: &'m mut HashMap<Key<'c>, IndexedCertificate>,
        certificate: &'c Arc<Certificate>,
    ) -> &'m mut IndexedCertificate {
        let key = (&*certificate.source, &*certificate.fingerprint);
        all.entry(key).or_insert_with(|| IndexedCertificate {
            certificate: certificate.clone(),
            hosts: Vec::new(),
            is_default: false,
        })
    }
    for certificate in table.listener_certificates() {
        entry(&mut all, certificate).is_default = true;
    }
    for IndexedHost { host, .. } in hosts {
        if let HostTls::Own(certificate) = &host.tls {
            let entry = entry(&mut all, certificate);
            if entry.hosts.last() != Some(&host.name) {
                entry.hosts.push(host.name.clone());
            }
        }
    }
    let mut all: Vec<IndexedCertificate> = all.into_values().collect();
    all.sort_unstable_by(|one, other| {
        let [one, other] = [one, other].map(|one| &one.certificate);
        (one.not_after, &one.source).cmp(&(other.not_after, &other.source))
    });
    all
}

/// Whether a host serves the default certificate because its own is missing or unusable.
pub(super) fn lacks_certificate(host: &Host) -> bool {
    host.tls == HostTls::Default && *host.name != *CATCH_ALL
}

/// `forward`, `defaultBackend` or `closed`.
pub(super) fn target(route: &Route) -> &'static str {
    match &route.target {
        Target::Forward(_) => "forward",
        Target::DefaultBackend(_) => "defaultBackend",
        Target::Closed(_) => "closed",
    }
}
