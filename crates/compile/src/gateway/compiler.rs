//! Compiles Gateways and their routes: their part of the next table, at a cost proportional to the changes.
//!
//! The phases are: Gateways with their listeners, routes with the listeners that they are attached to, the hosts that these
//! affect, and statuses.

mod applied;
mod counts;
mod places;
mod policies;
mod shared;
mod sockets;
mod touched;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_table::UpstreamKey;

use self::touched::Touched;
use super::attach::{self, Candidate};
use super::backend::{self, Origin};
use super::class::{self, Definitions};
use super::hostname::Hostname;
use super::listener;
use super::route::{CompiledRoute, Serves, WrittenRoute};
use super::state::{Host, Parent, Route, State};
use super::status;
use super::universe::{Universe, reference};
use crate::build::certificates::Certificates;
use crate::build::{self, Builder, HostDraft, PathOrder, UpstreamPolicy};
use crate::findings::Findings;
use crate::ingress;
use crate::ingress::settings::Settings;
use crate::objects::custom::{Custom, GatewayClassSpec, GatewaySpec, ListenerSetSpec, ParentRef};
use crate::policies::{Policies as HeadgatePolicies, Touched as HeadgateTouched};
use crate::{Changes, Kind, Name, ObjectRef, Options, Snapshot};

pub(crate) use self::places::{OtherSockets, Placement};

/// Builds an upstream of routes of the Gateway API: HeadgatePolicies configure it, else the settings of the process.
pub(crate) fn upstream(key: UpstreamKey, state: &mut State, pass: &mut ingress::Pass<'_>) {
    let Some(draft) = pass.builder.upstream(&key) else {
        return;
    };
    let service = draft.port.service.clone();
    let plain = UpstreamPolicy::plain(&draft.port);
    let defaults = pass.settings_resilience();
    let pool = draft.transport.pool();
    let policy = match pool.and_then(|pool| state.pools.get(pool)) {
        Some((_, pool)) => pool.settings.over(plain, &defaults),
        None => UpstreamPolicy {
            resilience: defaults,
            ..plain
        },
    };
    let bound = state.traffic.of(&service);
    let policy = policy.with_retry_rate(bound.and_then(|bound| bound.retries));
    let inputs = build::Inputs {
        snapshot: pass.snapshot,
        options: pass.options.endpoints,
    };
    let (builder, table) = (&pass.builder, &mut *pass.table);
    let problem = builder.build_upstream(key.clone(), policy, inputs, table);
    if state.reports.set(&key, &service, problem) {
        let users = state.services.users(&service).cloned();
        state.reports.touched.extend(users);
    }
}

/// One compilation of Gateways in progress.
pub(crate) struct Pass<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) builder: &'a mut Builder,
    pub(crate) certificates: &'a mut Certificates,
    pub(crate) findings: &'a mut Findings,
    pub(crate) policies: &'a HeadgatePolicies,
    /// The settings of the ConfigMap.
    pub(crate) settings: &'a Settings,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) options: &'a Options,
}

impl Pass<'_> {
    /// Compiles what `changes` affects, or everything.
    pub(crate) fn run(&mut self, changes: &Changes, of_policies: &HeadgateTouched, fresh: bool) {
        self.state.statuses.begin();
        self.state.recompiled.clear();
        if self.options.gateway.is_none() {
            return;
        }
        let all = self.defaults_of_policies() || fresh;
        let mut touched = self.touched(changes, of_policies, all);
        if touched.classes || !touched.gateways.is_empty() {
            self.classes();
        }
        for name in std::mem::take(&mut touched.gateways) {
            self.gateway(&name, &mut touched);
        }
        let routes = std::mem::take(&mut touched.routes);
        for route in &routes {
            self.route(route, &mut touched);
        }
        self.state.hosts_changed = fresh || !touched.hosts.is_empty();
        for host in &touched.hosts {
            self.host(host);
        }
        if !self.policies.is_empty() {
            let gateways = touched.counted.iter();
            let gateways = gateways.map(|name| reference(Kind::Gateway, name));
            self.state.recompiled = routes.into_iter().chain(gateways).collect();
        }
        for policy in &touched.policies {
            self.report(policy);
        }
    }

    /// Reads a Gateway with its ListenerSets; all routes that name one of them are attached anew.
    fn gateway(&mut self, name: &Name, touched: &mut Touched) {
        let former = self.state.gateways.remove(name);
        self.state.services_outdated = true;
        let sets = self.state.sets.of_gateway(name);
        let former_sets = former.iter().flat_map(|former| &former.sets);
        let all_sets = sets.iter().chain(former_sets.map(|set| &set.object.name));
        let parents = all_sets.map(|set| reference(Kind::ListenerSet, set));
        for parent in parents.chain([reference(Kind::Gateway, name)]) {
            touched
                .routes
                .extend(self.state.routes_of(&parent).cloned());
        }
        for set in former.iter().flat_map(|former| &former.sets) {
            self.state
                .statuses
                .remove(&reference(Kind::ListenerSet, &set.object.name));
        }
        self.state.statuses.remove(&reference(Kind::Gateway, name));
        let gateway = self.snapshot.get::<Custom<GatewaySpec>>(name);
        let current = gateway
            .filter(|gateway| self.is_served(gateway))
            .map(|gateway| {
                let sets = sets
                    .iter()
                    .filter_map(|set| self.snapshot.get::<Custom<ListenerSetSpec>>(set));
                let sets = sets.cloned().collect();
                let mut inputs = listener::Inputs {
                    snapshot: self.snapshot,
                    grants: &self.state.grants,
                    certificates: self.certificates,
                };
                Universe::read(gateway, sets, former.as_ref(), &mut inputs)
            });
        self.universes(former.as_ref(), current.as_ref());
        self.state.refer(name, former.as_ref(), current.as_ref());
        if let Some(current) = current {
            self.state.gateways.insert(name.clone(), current);
            self.state.recount(name);
            touched.counted.insert(name.clone());
        }
    }

    /// Adds the universes of new listeners and removes those of listeners that are gone.
    fn universes(&mut self, former: Option<&Universe>, current: Option<&Universe>) {
        let of = |gateway: Option<&Universe>| -> BTreeSet<_> {
            let listeners = gateway.into_iter().flat_map(|gateway| {
                gateway
                    .listeners
                    .iter()
                    .map(|listener| gateway.hosts_of(listener))
            });
            listeners.collect()
        };
        let (former, current) = (of(former), of(current));
        for gone in former.difference(&current) {
            self.builder.remove_universe(gone);
        }
        for new in current.difference(&former) {
            self.builder.add_universe(new);
        }
    }

    /// Makes the statuses of all classes of this controller.
    fn classes(&mut self) {
        self.state.statuses.remove_kind(Kind::GatewayClass);
        let own = self.options.gateway.as_ref();
        let has_services = own.is_some_and(|own| own.ports.is_some());
        let definitions = Definitions::read(self.snapshot, has_services);
        let gateways = self.snapshot.all::<Custom<GatewaySpec>>();
        let used: BTreeSet<&str> = gateways
            .map(|gateway| &*gateway.spec.gateway_class_name)
            .collect();
        for class in self.snapshot.all::<Custom<GatewayClassSpec>>() {
            if self.is_own(class) {
                let object = reference(Kind::GatewayClass, &class.name);
                let status = class::status(
                    class,
                    &definitions,
                    used.contains(&*class.name.name),
                    self.snapshot,
                );
                self.state.statuses.insert(object, status);
            }
        }
    }

    /// Whether this controller serves the class of a Gateway.
    fn is_served(&self, gateway: &Custom<GatewaySpec>) -> bool {
        let class = Name::new("", &gateway.spec.gateway_class_name);
        let class = self.snapshot.get::<Custom<GatewayClassSpec>>(&class);
        class.is_some_and(|class| self.is_own(class))
    }

    /// Whether a class is of this controller.
    fn is_own(&self, class: &Custom<GatewayClassSpec>) -> bool {
        let own = self.options.gateway.as_ref();
        own.is_some_and(|own| *own.controller == *class.spec.controller_name)
    }

    /// Compiles a route and attaches it to its listeners.
    fn route(&mut self, object: &ObjectRef, touched: &mut Touched) {
        let former = self.state.routes.remove(object);
        if let Some(former) = &former {
            self.detach(object, former, touched);
        }
        self.state.statuses.remove(object);
        let Some(route) = WrittenRoute::of(object, self.snapshot) else {
            self.state.set_parents(object, Vec::new());
            return;
        };
        let namespace = &object.name.namespace;
        let parents = route.parents().iter();
        let named = parents
            .clone()
            .filter_map(|parent| attach::parent(parent, namespace));
        self.state.set_parents(object, named.collect());
        let hostnames = route.hostnames();
        let candidate = Candidate {
            kind: object.kind,
            namespace,
            hostnames: &hostnames,
        };
        let parents = parents.filter_map(|parent| self.parent(parent, candidate));
        let parents: Vec<Parent> = parents.collect();
        if parents.is_empty() {
            return;
        }
        let route_state = self.variants(object, route, (parents, former.as_deref()));
        let status = status::of_route(&route_state, route.generation());
        self.state.statuses.insert(object.clone(), status);
        self.attach(object, route_state, touched);
    }

    /// Compiles a route once for each origin of its requests.
    fn variants(
        &mut self,
        object: &ObjectRef,
        route: WrittenRoute<'_>,
        (parents, former): (Vec<Parent>, Option<&Route>),
    ) -> Route {
        let mut counters = applied::counters(former);
        let origins = self.state.hosts_of(&parents, self.policies);
        let mut compile = |origin: &Origin| {
            let applied = self.applied(object, &route.rules(), (origin, &mut counters));
            let mut compiled = route.compile(backend::Inputs {
                snapshot: self.snapshot,
                grants: &self.state.grants,
                policies: &self.state.policies,
                traffic: &self.state.traffic,
                origin,
                applied: &applied,
            });
            compiled.applied = applied::distinct(applied);
            Arc::new(compiled)
        };
        let mut variants: Vec<(Origin, Arc<CompiledRoute>)> = Vec::new();
        let mut hosts = BTreeMap::new();
        for (host, origin) in origins {
            let known = variants.iter().find(|(known, _)| *known == origin);
            let compiled = known.map(|(_, compiled)| compiled.clone());
            let compiled = compiled.unwrap_or_else(|| {
                let compiled = compile(&origin);
                variants.push((origin, compiled.clone()));
                compiled
            });
            hosts.insert(host, compiled);
        }
        let first = variants.first().map(|(_, first)| first.clone());
        Route {
            compiled: first.unwrap_or_else(|| compile(&Origin::default())),
            variants: variants.into_iter().map(|(_, compiled)| compiled).collect(),
            parents,
            hosts,
        }
    }

    /// The outcome for one parent; `None`: it is not served here.
    fn parent(&self, reference: &ParentRef, candidate: Candidate<'_>) -> Option<Parent> {
        let parent = attach::parent(reference, candidate.namespace)?;
        let gateway = self.state.gateway_of(&parent)?;
        let universe = self.state.gateways.get(&gateway)?;
        Some(Parent {
            reference: reference.clone(),
            gateway,
            attached: attach::attach(
                candidate,
                reference,
                &parent,
                universe.listeners_of(&parent),
                self.snapshot,
            ),
        })
    }

    fn attach(&mut self, object: &ObjectRef, route: Route, touched: &mut Touched) {
        for host in route.hosts.keys() {
            let routes = self.state.hosts.entry(host.clone()).or_default();
            routes.insert(object.clone());
        }
        for service in &route.compiled.services {
            self.state.services.add(service, object, self.snapshot);
            touched.policies.extend(self.state.policies_of(service));
        }
        for other in route.other_upstreams() {
            self.builder.acquire(other.clone());
        }
        self.use_policies(object, &route);
        touched.hosts.extend(route.hosts.keys().cloned());
        touched
            .counted
            .extend(route.parents.iter().map(|parent| parent.gateway.clone()));
        self.state.counts.add(&route);
        self.state.recount_parents(&route);
        self.state.routes.insert(object.clone(), Arc::new(route));
    }

    fn detach(&mut self, object: &ObjectRef, route: &Route, touched: &mut Touched) {
        self.state.counts.remove(route);
        self.state.recount_parents(route);
        for host in route.hosts.keys() {
            if let Some(routes) = self.state.hosts.get_mut(host) {
                routes.remove(object);
                if routes.is_empty() {
                    self.state.hosts.remove(host);
                }
            }
        }
        for service in &route.compiled.services {
            self.state.services.remove(service, object);
            touched.policies.extend(self.state.policies_of(service));
        }
        for other in route.other_upstreams() {
            self.builder.release_upstream(&other.key());
        }
        self.release_policies(object, route);
        touched.hosts.extend(route.hosts.keys().cloned());
        touched
            .counted
            .extend(route.parents.iter().map(|parent| parent.gateway.clone()));
    }

    /// Builds a host from the routes that are attached to it, or removes it.
    fn host(&mut self, host: &Host) {
        if self.builder.hosts(&host.universe).is_none() {
            return;
        }
        let routes = self.state.hosts.get(host);
        if routes.is_none() {
            let name = host.hostname.host();
            self.builder.set_passthrough(&host.universe, &name, None);
            if host.hostname != Hostname::Any {
                return self.builder.remove_host(&host.universe, &name);
            }
        }
        let mut drafts = Vec::new();
        let mut streams = Vec::new();
        for object in routes.into_iter().flatten() {
            let route = self.state.routes.get(object);
            let compiled = route.and_then(|route| route.hosts.get(host));
            match compiled.map(|compiled| &compiled.serves) {
                Some(Serves::Requests(of_route)) => drafts.extend(of_route.iter().cloned()),
                Some(Serves::Streams { seniority, split }) => streams.push((seniority, split)),
                None => {}
            }
        }
        let senior = streams.into_iter().min_by_key(|(seniority, _)| *seniority);
        let split = senior.and_then(|(_, split)| split.as_deref());
        let name = host.hostname.host();
        self.builder.set_passthrough(&host.universe, &name, split);
        let draft = HostDraft::of_routes(name, PathOrder::Specific);
        // Several routes may have the same matches; the most senior serves, and the API asks for no more.
        self.builder.set_host(&host.universe, draft, None, drafts);
    }
}
