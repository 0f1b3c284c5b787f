//! The Gateway on the ports of Ingresses: its listeners share the sockets with them.
//!
//! A request is served by the route of the Gateway that matches it, else by the Ingresses, so that a host can be moved from one
//! to the other path by path. Client certificates are the one thing that a listener cannot have here: they belong to a
//! connection, which carries requests of Ingresses too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use headgate_table::{
    Certificates, Listener, Plain, SharedCertificates, Socket, Terminate, VirtualHosts,
};

use super::Pass;
use crate::finding::{Finding, Severity, Subject};
use crate::gateway::condition::Problem;
use crate::gateway::hostname::Hostname;
use crate::gateway::listener::{self, Place, Protocol};
use crate::gateway::universe::Universe;
use crate::{Kind, Name, ObjectRef};

/// Most routes that a finding names.
const MAX_NAMED: usize = 3;

/// The ports of Ingresses, as clients see them. `None`: they have no such listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IngressPorts {
    http: Option<u16>,
    https: Option<u16>,
}

impl IngressPorts {
    /// Those of the listeners of Ingresses, among which may be those of TCP services.
    pub(super) fn of(listeners: &[Listener]) -> Self {
        let port = |is_tls: bool| {
            let suits = |one: &&Listener| match &one.socket {
                Socket::Plain(Plain::Http(_)) => !is_tls,
                Socket::Plain(Plain::Stream(_)) => false,
                Socket::Tls(_) => is_tls,
            };
            let found = listeners.iter().find(suits);
            found.map(|listener| listener.ports.own)
        };
        Self {
            http: port(false),
            https: port(true),
        }
    }

    /// Where a listener is.
    pub(crate) fn place(&self, listener: &listener::Listener) -> Place {
        let port = match listener.protocol {
            Some(Protocol::Http) => self.http,
            Some(Protocol::Https) => self.https,
            _ => None,
        };
        if port != Some(listener.port) {
            let message = format!(
                "a Gateway on the ports of Ingresses has {self}, and no other listeners; a second Gateway can have this one"
            );
            return Place::Taken(Problem::new("PortUnavailable", message));
        }
        if listener.clients.is_some() {
            let message = "spec.tls.frontend is for connections, and those of this port carry requests for Ingresses too; \
                a second Gateway can demand client certificates";
            return Place::Taken(Problem::new("PortUnavailable", message));
        }
        Place::Shared
    }
}

impl fmt::Display for IngressPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = [("HTTP", self.http), ("HTTPS", self.https)];
        let ports = ports
            .into_iter()
            .filter_map(|(protocol, port)| Some(format!("{protocol} on port {}", port?)));
        f.write_str(&ports.collect::<Vec<_>>().join(" and "))
    }
}

impl Pass<'_> {
    /// The Gateway on the ports of Ingresses, if there is one.
    fn on_ingress_ports(&self) -> Option<&Universe> {
        let name = self.options.gateway.as_ref()?.on_ingress_ports.as_ref()?;
        self.state.gateways.get(name)
    }

    /// Whether a Gateway is on the ports of Ingresses.
    pub(super) fn shares(&self, gateway: &Universe) -> bool {
        let options = self.options.gateway.as_ref();
        let shared = options.and_then(|own| own.on_ingress_ports.as_ref());
        shared == Some(&gateway.gateway.name)
    }

    /// Adds the listeners of the Gateway on the ports of Ingresses, which is [placed](Pass::place), to `ingresses`.
    pub(crate) fn share(&self, ingresses: &mut [Listener]) {
        let Some(gateway) = self.on_ingress_ports() else {
            return;
        };
        let beneath = ingresses
            .iter()
            .find_map(|one| one.universes().pop().cloned());
        let Some(beneath) = beneath else { return };
        let served = gateway.listeners.iter();
        let served = served.filter(|one| one.is_served() && one.place == Place::Shared);
        let served: Vec<_> = served
            .filter_map(|one| {
                let hosts = self.builder.hosts(&gateway.hosts_of(one))?;
                let hosts = VirtualHosts::clone(hosts).over(beneath.clone());
                Some((one, Arc::new(hosts)))
            })
            .collect();
        for ingress in ingresses {
            for (listener, hosts) in &served {
                add(ingress, listener, hosts);
            }
        }
    }

    /// The findings about Ingresses with a host that routes of the Gateway on their ports serve too.
    pub(crate) fn shared_hosts<'i>(
        &self,
        ingresses: impl Iterator<Item = (&'i Arc<str>, &'i Name)>,
    ) -> Vec<Finding> {
        let Some(gateway) = self.on_ingress_ports() else {
            return Vec::new();
        };
        let routes = self.routes_by_hostname(gateway);
        if routes.is_empty() {
            return Vec::new();
        }
        let findings = ingresses.filter_map(|(host, ingress)| {
            let of_host = routes_of(&routes, &Hostname::of_host(host));
            let named: Vec<String> = of_host.iter().take(MAX_NAMED).map(ToString::to_string).collect();
            let others = of_host.len().checked_sub(MAX_NAMED).filter(|more| *more > 0);
            let others = others.map_or_else(String::new, |more| format!(" and {more} others"));
            (!named.is_empty()).then(|| Finding {
                severity: Severity::Info,
                subject: Subject::Object(ObjectRef {
                    kind: Kind::Ingress,
                    name: ingress.clone(),
                }),
                field: "spec.rules".into(),
                message: format!(
                    "host {host} is also served by {}{others} of Gateway {}; this Ingress serves the requests that none of their rules matches",
                    named.join(", "),
                    gateway.gateway.name
                )
                .into(),
            })
        });
        findings.collect()
    }

    /// The routes of a Gateway's listeners that share a socket, by hostname.
    fn routes_by_hostname(&self, gateway: &Universe) -> BTreeMap<&Hostname, BTreeSet<&ObjectRef>> {
        let served = gateway.listeners.iter();
        let served = served.filter(|one| one.is_served() && one.place == Place::Shared);
        let universes: BTreeSet<_> = served.map(|one| gateway.hosts_of(one)).collect();
        let mut routes: BTreeMap<&Hostname, BTreeSet<&ObjectRef>> = BTreeMap::new();
        for (host, of_host) in &self.state.hosts {
            if universes.contains(&host.universe) {
                routes.entry(&host.hostname).or_default().extend(of_host);
            }
        }
        routes
    }
}

/// The routes that may get requests for a host of Ingresses. Those for a name below a wildcard host are among them; of the host
/// for all other names, only those that are for all names.
fn routes_of<'r>(
    routes: &BTreeMap<&Hostname, BTreeSet<&'r ObjectRef>>,
    host: &Hostname,
) -> BTreeSet<&'r ObjectRef> {
    let mut found = BTreeSet::new();
    let mut add = |of_name: &BTreeSet<&'r ObjectRef>| found.extend(of_name.iter().copied());
    for name in host.and_wider() {
        routes.get(&name).into_iter().for_each(&mut add);
    }
    if let Hostname::Below(_) = host {
        let below = routes.iter().filter(|(name, _)| host.covers(name));
        below.for_each(|(_, of_name)| add(of_name));
    }
    found
}

/// Adds a listener of a Gateway with its universe to a socket of Ingresses.
fn add(ingress: &mut Listener, listener: &listener::Listener, hosts: &Arc<VirtualHosts>) {
    let hostname = listener.hostname.host();
    let hostname = (listener.hostname != Hostname::Any).then_some(&*hostname);
    match (&mut ingress.socket, listener.protocol) {
        (Socket::Plain(Plain::Http(all)), Some(Protocol::Http)) => match hostname {
            Some(name) => all.insert(name, hosts.clone()),
            None => all.set_other(hosts.clone()),
        },
        (Socket::Tls(tls), Some(Protocol::Https)) => {
            let Some((default, reject_unknown)) = tls.of_hosts() else {
                return;
            };
            let certificates = Certificates::Shared(SharedCertificates {
                listener: listener.certificates.as_slice().into(),
                has_hostname: hostname.is_some(),
                default: default.clone(),
                reject_unknown,
            });
            let terminate = Terminate {
                hosts: hosts.clone(),
                certificates,
                clients: None,
            };
            tls.share(hostname, terminate);
        }
        _ => {}
    }
}
