//! The state that is carried over from one table to the next: universes of hosts, and referenced upstreams.

use std::collections::BTreeMap;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Host, HostBehaviour, PathIndex, RegexName, RoutingTable, SharedMap, Slot, Target,
    TlsRoute, UpstreamKey, VirtualHosts,
};

use super::draft::{HostDraft, PathOrder, RouteDraft, SplitDraft, Universe};
use super::hosts::{self, Conflict};
use super::passthrough::Passthrough;
use super::upstream::{self, Inputs, UpstreamPolicy, UpstreamProblem};
use super::upstreams::{UpstreamDraft, Upstreams};
use crate::Name;

/// Universes of hosts, and the upstreams that their routes and objects refer to.
#[derive(Default)]
pub struct Builder {
    /// Shared with the tables, so that a universe that no change affects is the same in the next one.
    universes: BTreeMap<Universe, Arc<VirtualHosts>>,
    passthrough: Passthrough,
    upstreams: Upstreams,
}

impl Builder {
    /// The hosts of a universe; `None` before its first host is set.
    pub fn hosts(&self, universe: &Universe) -> Option<&Arc<VirtualHosts>> {
        self.universes.get(universe)
    }

    /// Sets the host of `draft` with `routes` in `universe`, replacing the one of the same name. `root` serves what no route
    /// matches; without it the route for `/` does. Unreachable routes are skipped and returned as conflicts.
    pub fn set_host<P: Ord>(
        &mut self,
        universe: &Universe,
        draft: HostDraft,
        root: Option<RouteDraft<P>>,
        routes: Vec<RouteDraft<P>>,
    ) -> Vec<Conflict> {
        let former = self.hosts_mut(universe).get(&draft.name).cloned();
        let upstreams = &mut self.upstreams;
        let (host, conflicts) = hosts::build(draft, root, routes, former.as_deref(), upstreams);
        self.release(former.as_deref());
        self.hosts_mut(universe).insert(Arc::new(host));
        conflicts
    }

    /// Removes the host `name` from `universe`.
    pub fn remove_host(&mut self, universe: &Universe, name: &str) {
        let hosts = self.hosts_mut(universe);
        let former = hosts.get(name).cloned();
        hosts.remove(name);
        self.release(former.as_deref());
    }

    /// Adds a universe without hosts, unless it is known.
    pub fn add_universe(&mut self, universe: &Universe) {
        self.universe(universe);
    }

    /// Removes a universe with all of its hosts.
    pub fn remove_universe(&mut self, universe: &Universe) {
        let Some(hosts) = self.universes.remove(universe) else {
            return;
        };
        for host in hosts.iter() {
            self.release(Some(host));
        }
        self.passthrough.remove(universe, &mut self.upstreams);
    }

    /// Sets the hosts of `routes` in their universes, without certificates. For sources that describe only the routes of a
    /// host; one call must have all routes of a host.
    pub fn set_routes<P: Ord + Clone>(&mut self, routes: &[RouteDraft<P>]) -> Vec<Conflict> {
        let mut of_host: BTreeMap<(Universe, Arc<str>), Vec<RouteDraft<P>>> = BTreeMap::new();
        for route in routes {
            for universe in &route.universes {
                for host in &route.hosts {
                    let key = (universe.clone(), host.clone());
                    of_host.entry(key).or_default().push(route.clone());
                }
            }
        }
        let mut conflicts = Vec::new();
        for ((universe, name), routes) in of_host {
            let draft = HostDraft::of_routes(name, PathOrder::Literal);
            conflicts.extend(self.set_host(&universe, draft, None, routes));
        }
        conflicts
    }

    /// Passes connections with the server name `name` through to backends, undecrypted; `None` terminates their TLS. Of a
    /// universe without TLS, those of the name `_` are all connections or datagrams.
    pub fn set_passthrough(
        &mut self,
        universe: &Universe,
        name: &Arc<str>,
        split: Option<&SplitDraft>,
    ) {
        let upstreams = &mut self.upstreams;
        self.passthrough.set(universe, name, split, upstreams);
    }

    /// The server names of a universe that are passed through, for its TLS listeners.
    pub fn passthrough(&self, universe: &Universe) -> SharedMap<TlsRoute> {
        self.passthrough.routes(universe)
    }

    /// Sets the host of `alias` in `universe` to the one with the name `owner`; `None` removes the alias.
    pub fn set_alias(&mut self, universe: &Universe, alias: &str, owner: Option<&str>) {
        let hosts = self.hosts_mut(universe);
        let owner = owner.and_then(|owner| hosts.get(owner).cloned());
        hosts.set_alias(alias, owner);
    }

    /// Sets the aliases of `universe` that are regular expressions.
    pub fn set_regex_names(&mut self, universe: &Universe, names: Arc<[RegexName]>) {
        self.hosts_mut(universe).set_regex_names(names);
    }

    fn hosts_mut(&mut self, universe: &Universe) -> &mut VirtualHosts {
        Arc::make_mut(self.universe(universe))
    }

    fn universe(&mut self, universe: &Universe) -> &mut Arc<VirtualHosts> {
        let new = || {
            Arc::new(if universe.is_layered() {
                VirtualHosts::layered(Arc::new(empty_host(PathOrder::Specific)))
            } else {
                VirtualHosts::new(Arc::new(empty_host(PathOrder::Literal)))
            })
        };
        self.universes.entry(universe.clone()).or_insert_with(new)
    }

    fn release(&mut self, host: Option<&Host>) {
        for key in host.into_iter().flat_map(hosts::upstreams) {
            self.upstreams.release(key);
        }
    }
}

/// The catch-all of a new universe.
pub(crate) fn empty_host(order: PathOrder) -> Host {
    let draft = HostDraft::of_routes(CATCH_ALL.into(), order);
    let (host, _) = hosts::build::<()>(draft, None, Vec::new(), None, &mut Upstreams::default());
    host
}

// === upstreams ===

impl Builder {
    /// Keeps the upstream of `draft` built for an object that refers to it, even if no route does: its problems are findings.
    pub fn acquire(&mut self, draft: UpstreamDraft) {
        let key = draft.key();
        self.upstreams.acquire(&key, || draft);
    }

    /// Undoes one [`Builder::acquire`].
    pub fn release_upstream(&mut self, key: &UpstreamKey) {
        self.upstreams.release(key);
    }

    /// Marks the upstreams of a Service for rebuilding, because the Service, its endpoints or their policy changed.
    pub fn touch(&mut self, service: &Name) {
        self.upstreams.touch(service);
    }

    /// Marks all upstreams for rebuilding.
    pub fn touch_all(&mut self) {
        self.upstreams.touch_all();
    }

    /// The Service port and transport of an upstream.
    pub fn upstream(&self, key: &UpstreamKey) -> Option<&UpstreamDraft> {
        self.upstreams.get(key)
    }

    /// The keys of upstreams to rebuild or, if [`Builder::upstream`] returns `None`, to remove.
    pub fn take_touched(&mut self) -> impl Iterator<Item = UpstreamKey> + use<> {
        self.upstreams.take_dirty().into_iter()
    }

    /// Builds the upstream `key` from its Service port and `policy` and inserts it into `table`, or removes it from `table`.
    pub fn build_upstream(
        &self,
        key: UpstreamKey,
        policy: UpstreamPolicy,
        inputs: Inputs<'_>,
        table: &mut RoutingTable,
    ) -> UpstreamProblem {
        let Some(draft) = self.upstreams.get(&key) else {
            table.remove_upstream(&key);
            return UpstreamProblem::default();
        };
        let former = table.upstream(&key);
        let slot = former.map_or_else(Slot::default, |former| former.slot.clone());
        let (upstream, problem) = upstream::build(key, draft, policy, inputs, slot);
        table.insert_upstream(Arc::new(upstream));
        problem
    }

    /// The primaries of those routes of a host that have the upstream `key` as an alternative.
    pub fn primaries_beside(
        &self,
        universe: &Universe,
        host: &str,
        key: &UpstreamKey,
    ) -> Vec<UpstreamKey> {
        let host = self.hosts(universe).and_then(|hosts| hosts.get(host));
        let paths = host.and_then(|host| match &host.behaviour {
            HostBehaviour::Routes { paths, .. } => Some(paths),
            HostBehaviour::Redirect { .. } => None,
        });
        let routes = paths.into_iter().flat_map(PathIndex::routes);
        let splits = routes.filter_map(|route| match &route.target {
            Target::Forward(split) => Some(split),
            Target::DefaultBackend(_) | Target::Closed(_) => None,
        });
        let beside = splits.filter(|split| {
            let mut others = split.alternatives().into_iter().flat_map(|all| all.list());
            others.any(|other| other.backend.upstream() == Some(key))
        });
        let primaries = beside.filter_map(|split| split.primary().upstream());
        primaries.cloned().collect()
    }
}
