//! What is known of Gateways and routes from one compilation to the next.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::{Forwarding, UpstreamKey};

use super::applied::{self, Pool};
use super::attach::Attachment;
use super::backend::Origin;
use super::condition::Problem;
use super::counts::Counts;
use super::findings::Reports;
use super::grants::Grants;
use super::hostname::Hostname;
use super::listener::Protocol;
use super::policies::Policies;
use super::ports::PortRecord;
use super::route::CompiledRoute;
use super::service::GatewayService;
use super::status::Status;
use super::statuses::Statuses;
use super::tls_policy::TlsPolicy;
use super::traffic_policy::TrafficPolicy;
use super::universe::{Universe, reference};
use crate::build::UpstreamDraft;
use crate::ingress::settings::Settings;
use crate::objects::Service;
use crate::objects::custom::{Custom, GATEWAY_GROUP, ListenerSetSpec, ParentRef};
use crate::policies::Policies as HeadgatePolicies;
use crate::{ConfigMap, Kind, Name, ObjectRef, Snapshot, build};

/// Gateways, routes, and their relations.
#[derive(Default)]
pub(crate) struct State {
    pub(super) grants: Grants,
    pub(super) policies: Policies<TlsPolicy>,
    pub(super) traffic: Policies<TrafficPolicy>,
    /// The Gateways of served classes.
    pub(super) gateways: BTreeMap<Name, Universe>,
    /// The ListenerSets of each Gateway.
    pub(super) sets: Sets,
    /// Routes with a parent that is served.
    pub(super) routes: HashMap<ObjectRef, Arc<Route>, RandomState>,
    /// All routes by the Gateways and ListenerSets that they name.
    children: HashMap<ObjectRef, BTreeSet<ObjectRef>, RandomState>,
    /// The Gateways and ListenerSets that a route names.
    parents: HashMap<ObjectRef, Vec<ObjectRef>, RandomState>,
    /// Routes by the Services that they refer to.
    pub(super) services: Services,
    /// How many routes each listener of each Gateway has.
    pub(super) counts: Counts,
    /// The routes of each host of each listener.
    pub(super) hosts: BTreeMap<Host, BTreeSet<ObjectRef>>,
    /// Gateways and ListenerSets whose attached routes are to be counted, and their statuses made anew.
    pub(super) uncounted: BTreeSet<ObjectRef>,
    /// Gateways by the Secrets and ConfigMaps that they and their ListenerSets refer to.
    pub(super) references: HashMap<ObjectRef, BTreeSet<Name>, RandomState>,
    /// The hosts of routes, or the places of listeners, changed in this compilation.
    pub(crate) hosts_changed: bool,
    /// Local ports.
    pub(super) record: Record,
    /// The Services of Gateways, as they should be.
    pub(super) services_of_gateways: Vec<GatewayService>,
    /// A Gateway or the record changed since these were made.
    pub(super) services_outdated: bool,
    /// The pools of upstreams that policies configure, with the number of routes that use each.
    pub(super) pools: HashMap<Arc<str>, (usize, Pool), RandomState>,
    /// Routes by the Secrets and ConfigMaps that their policies refer to.
    pub(super) users: HashMap<ObjectRef, BTreeSet<ObjectRef>, RandomState>,
    /// The defaults of what policies leave out.
    pub(super) defaults: PolicyDefaults,
    /// While there are policies: the routes that the last compilation read, and their Gateways.
    pub(super) recompiled: BTreeSet<ObjectRef>,
    /// The statuses of all objects that are served.
    pub(crate) statuses: Statuses,
    /// What findings are made of besides them.
    pub(super) reports: Reports,
}

/// The record of local ports, as it was read last.
#[derive(Default)]
pub(super) struct Record {
    map: Option<Arc<ConfigMap>>,
    ports: PortRecord,
}

/// The defaults of what policies leave out.
pub(super) struct PolicyDefaults {
    pub(super) settings: Settings,
    pub(super) forwarding: Arc<Forwarding>,
}

/// ListenerSets and the Gateways that they name.
#[derive(Default)]
pub(super) struct Sets {
    gateways: BTreeMap<Name, Name>,
    sets: BTreeMap<Name, BTreeSet<Name>>,
}

/// Services with the routes that refer to them.
#[derive(Default)]
pub(super) struct Services(HashMap<Name, Users, RandomState>);

/// The routes that refer to a Service.
#[derive(Default)]
struct Users {
    /// The version that they were compiled with.
    seen: Option<Arc<Service>>,
    routes: BTreeSet<ObjectRef>,
}

/// A host of a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    pub(super) universe: build::Universe,
    pub(super) hostname: Hostname,
}

/// A route with the listeners that it is attached to.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// One of `variants`: they differ only in the connections to their backends and in what HeadgatePolicies configure.
    pub(super) compiled: Arc<CompiledRoute>,
    /// What it is compiled to, for each origin of its requests.
    pub(super) variants: Vec<Arc<CompiledRoute>>,
    pub(super) parents: Vec<Parent>,
    /// The hosts that it is served by, with what each serves.
    pub(super) hosts: BTreeMap<Host, Arc<CompiledRoute>>,
}

/// A parent of a route that is served.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    /// As the route has it.
    pub(super) reference: ParentRef,
    /// The Gateway whose listeners they are.
    pub(super) gateway: Name,
    /// The listeners, or why there are none.
    pub(super) attached: Result<Vec<Attachment>, Problem>,
}

impl PolicyDefaults {
    /// Those of `settings`.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            forwarding: Arc::new(settings.upstream.forwarding.clone()),
            settings,
        }
    }
}

impl Default for PolicyDefaults {
    fn default() -> Self {
        Self::new(applied::defaults(&Settings::default()))
    }
}

impl State {
    /// The Services of Gateways, as they should be.
    pub(crate) fn services_of_gateways(&self) -> &[GatewayService] {
        &self.services_of_gateways
    }

    /// The hosts that a route with these parents is served by, with the origin of their requests.
    pub(super) fn hosts_of(
        &self,
        parents: &[Parent],
        policies: &HeadgatePolicies,
    ) -> BTreeMap<Host, Origin> {
        let mut hosts = BTreeMap::new();
        for parent in parents {
            let Some(gateway) = self.gateways.get(&parent.gateway) else {
                continue;
            };
            for attachment in parent.attached.iter().flatten() {
                let Some(listener) = gateway.listeners.get(attachment.listener) else {
                    continue;
                };
                let universe = gateway.hosts_of(listener);
                let own = reference(Kind::Gateway, &parent.gateway);
                let of_listener = (listener.parent == own)
                    .then(|| policies.of(&own, Some(&listener.name)))
                    .flatten();
                let defaults = policies.of(&own, None).into_iter().chain(of_listener);
                let origin = Origin {
                    client: gateway.client.clone(),
                    is_passthrough: listener.protocol == Some(Protocol::TlsPassedThrough),
                    defaults: defaults.cloned().collect(),
                };
                for hostname in &attachment.hostnames {
                    let host = Host {
                        universe: universe.clone(),
                        hostname: hostname.clone(),
                    };
                    hosts.insert(host, origin.clone());
                }
            }
        }
        hosts
    }

    /// While there are policies: the routes that the last compilation read, and their Gateways.
    pub(crate) fn recompiled(&self) -> impl Iterator<Item = &ObjectRef> {
        self.recompiled.iter()
    }

    /// Sets the status of an object, or removes it.
    pub(crate) fn set_status(&mut self, object: ObjectRef, status: Option<Status>) {
        match status {
            Some(status) => self.statuses.insert(object, status),
            None => self.statuses.remove(&object),
        }
    }

    /// Whether this controller serves a Gateway.
    pub(crate) fn serves(&self, gateway: &Name) -> bool {
        self.gateways.contains_key(gateway)
    }

    /// A Gateway refers to other objects than before.
    pub(super) fn refer(
        &mut self,
        gateway: &Name,
        former: Option<&Universe>,
        current: Option<&Universe>,
    ) {
        for object in former.into_iter().flat_map(Universe::references) {
            if let Some(gateways) = self.references.get_mut(&object) {
                gateways.remove(gateway);
                if gateways.is_empty() {
                    self.references.remove(&object);
                }
            }
        }
        for object in current.into_iter().flat_map(Universe::references) {
            let gateways = self.references.entry(object).or_default();
            gateways.insert(gateway.clone());
        }
    }

    /// The Gateways that refer to a Secret or ConfigMap, or one of whose ListenerSets does.
    pub(super) fn referring(&self, object: &ObjectRef) -> impl Iterator<Item = &Name> {
        self.references.get(object).into_iter().flatten()
    }

    /// The Gateways that a route names and that are served.
    pub(crate) fn gateways_of_route(&self, route: &ObjectRef) -> BTreeSet<Name> {
        let parents = self.routes.get(route).into_iter();
        let parents = parents.flat_map(|route| &route.parents);
        parents.map(|parent| parent.gateway.clone()).collect()
    }

    /// The routes that name a Gateway or one of its ListenerSets.
    pub(crate) fn routes_of_gateway(&self, gateway: &Name) -> impl Iterator<Item = &ObjectRef> {
        let sets = self.sets.of_gateway(gateway).into_iter();
        let sets = sets.map(|set| reference(Kind::ListenerSet, &set));
        let parents = sets.chain([reference(Kind::Gateway, gateway)]);
        parents.flat_map(|parent| self.routes_of(&parent).collect::<Vec<_>>())
    }

    /// The routes that name a Gateway or ListenerSet.
    pub(super) fn routes_of(&self, parent: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        self.children.get(parent).into_iter().flatten()
    }

    /// Replaces the Gateways and ListenerSets that a route names.
    pub(super) fn set_parents(&mut self, route: &ObjectRef, parents: Vec<ObjectRef>) {
        for former in self.parents.remove(route).into_iter().flatten() {
            if let Some(children) = self.children.get_mut(&former) {
                children.remove(route);
                if children.is_empty() {
                    self.children.remove(&former);
                }
            }
        }
        for parent in &parents {
            let children = self.children.entry(parent.clone()).or_default();
            children.insert(route.clone());
        }
        if !parents.is_empty() {
            self.parents.insert(route.clone(), parents);
        }
    }

    /// The Gateway of a parent: itself, or that of a ListenerSet.
    pub(super) fn gateway_of(&self, parent: &ObjectRef) -> Option<Name> {
        match parent.kind {
            Kind::ListenerSet => self.sets.gateways.get(&parent.name).cloned(),
            _ => Some(parent.name.clone()),
        }
    }
}

impl Record {
    /// Reads the record again if it changed; returns whether it did.
    pub(super) fn update(&mut self, map: Option<&Arc<ConfigMap>>) -> bool {
        let is_same = match (map, &self.map) {
            (Some(current), Some(known)) => Arc::ptr_eq(current, known),
            (None, None) => true,
            _ => false,
        };
        if !is_same {
            self.ports = map.map(|map| PortRecord::read(map)).unwrap_or_default();
            self.map = map.cloned();
        }
        !is_same
    }

    pub(super) fn ports(&self) -> &PortRecord {
        &self.ports
    }
}

impl Route {
    /// The Gateways that it is attached to and accepted by.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Name> {
        let parents = self.parents.iter();
        let parents = parents.filter(|parent| parent.attached.is_ok());
        let parents = parents.filter(|_| self.compiled.refused.is_none());
        parents.map(|parent| &parent.gateway)
    }

    /// The upstreams besides those of its backends, once per reference.
    pub(super) fn other_upstreams(&self) -> impl Iterator<Item = &UpstreamDraft> {
        let variants = self.variants.iter();
        variants.flat_map(|variant| {
            let of_policies = variant.applied.iter();
            let of_policies = of_policies.flat_map(|applied| &applied.upstreams);
            variant.mirrors.iter().chain(of_policies)
        })
    }

    /// The pools of its upstreams, once per reference.
    pub(super) fn pools(&self) -> impl Iterator<Item = &Pool> {
        let variants = self.variants.iter();
        let applied = variants.flat_map(|variant| &variant.applied);
        applied.map(|applied| applied.pool())
    }

    /// The Secrets and ConfigMaps that its policies refer to.
    pub(super) fn uses(&self) -> impl Iterator<Item = &ObjectRef> {
        let variants = self.variants.iter();
        let applied = variants.flat_map(|variant| &variant.applied);
        applied.flat_map(|applied| &applied.uses)
    }

    /// The upstreams of all variants; one may occur several times.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = UpstreamKey> {
        let variants = self.variants.iter();
        variants.flat_map(|compiled| compiled.upstreams())
    }

    /// The listeners that it is attached to, each once, with their Gateways, if it is accepted.
    pub(super) fn listeners(&self) -> BTreeSet<(&Name, usize)> {
        let parents = self.parents.iter();
        let parents = parents.filter(|_| self.compiled.refused.is_none());
        let listeners = parents.flat_map(|parent| {
            let attached = parent.attached.iter().flatten();
            attached.map(|attachment| (&parent.gateway, attachment.listener))
        });
        listeners.collect()
    }
}

impl Sets {
    /// The ListenerSets that name a Gateway.
    pub(super) fn of_gateway(&self, gateway: &Name) -> Vec<Name> {
        self.sets
            .get(gateway)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Replaces a ListenerSet; returns the Gateways that it named and names.
    pub(super) fn set(
        &mut self,
        name: &Name,
        set: Option<&Arc<Custom<ListenerSetSpec>>>,
    ) -> BTreeSet<Name> {
        let former = self.gateways.remove(name);
        if let Some(sets) = former.as_ref().and_then(|former| self.sets.get_mut(former)) {
            sets.remove(name);
        }
        let current = set.and_then(|set| {
            let parent = &set.spec.parent_ref;
            let group = parent.group.as_deref().unwrap_or(GATEWAY_GROUP);
            let kind = parent.kind.as_deref().unwrap_or("Gateway");
            let namespace = parent.namespace.as_deref().unwrap_or(&name.namespace);
            let is_gateway = group == GATEWAY_GROUP && kind == "Gateway";
            is_gateway.then(|| Name::new(namespace, &parent.name))
        });
        if let Some(gateway) = &current {
            self.gateways.insert(name.clone(), gateway.clone());
            self.sets
                .entry(gateway.clone())
                .or_default()
                .insert(name.clone());
        }
        former.into_iter().chain(current).collect()
    }
}

impl Services {
    pub(super) fn add(&mut self, service: &Name, route: &ObjectRef, snapshot: &Snapshot) {
        let users = self.0.entry(service.clone()).or_default();
        users.seen = snapshot.get::<Service>(service).cloned();
        users.routes.insert(route.clone());
    }

    pub(super) fn remove(&mut self, service: &Name, route: &ObjectRef) {
        if let Some(users) = self.0.get_mut(service) {
            users.routes.remove(route);
            if users.routes.is_empty() {
                self.0.remove(service);
            }
        }
    }

    /// The routes that refer to a Service.
    pub(super) fn users(&self, service: &Name) -> impl Iterator<Item = &ObjectRef> {
        let users = self.0.get(service);
        users.into_iter().flat_map(|users| &users.routes)
    }

    /// The routes that refer to an object of `namespace` from another one.
    pub(super) fn users_from_outside(&self, namespace: &str) -> BTreeSet<ObjectRef> {
        let within = self
            .0
            .iter()
            .filter(|(name, _)| *name.namespace == *namespace);
        let routes = within.flat_map(|(_, users)| &users.routes);
        let outside = routes.filter(|route| *route.name.namespace != *namespace);
        outside.cloned().collect()
    }

    /// The routes to compile again because a Service changed. Its endpoints do not concern them.
    pub(super) fn changed(&self, service: &Name, snapshot: &Snapshot) -> Vec<ObjectRef> {
        let Some(users) = self.0.get(service) else {
            return Vec::new();
        };
        let is_same = match (snapshot.get::<Service>(service), &users.seen) {
            (Some(current), Some(seen)) => Arc::ptr_eq(current, seen),
            (None, None) => true,
            _ => false,
        };
        if is_same {
            return Vec::new();
        }
        users.routes.iter().cloned().collect()
    }
}
