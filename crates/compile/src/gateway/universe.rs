//! One Gateway: its listeners and those of its ListenerSets, and which of them conflict (gateway-api.md 2.3, 5.4).

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::Certificate;

use super::compiler::Placement;
use super::condition::Problem;
use super::conflicts::Taken;
use super::frontend::Frontend;
use super::listener::{self, Inputs, Listener};
use super::namespaces::NamespaceRule;
use super::overlaps::Overlaps;
use super::seniority::Seniority;
use super::service::service_name;
use super::status;
use crate::objects::custom::{Custom, GatewaySpec, ListenerSetSpec};
use crate::{Kind, Name, ObjectRef, Protocol, build};

/// A Gateway with all of its listeners.
#[derive(Clone, Debug)]
pub(crate) struct Universe {
    /// The Gateway.
    pub(crate) gateway: Arc<Custom<GatewaySpec>>,
    /// Its ListenerSets, the most senior first.
    pub(crate) sets: Vec<ListenerSet>,
    /// Its own listeners, then those of its ListenerSets.
    pub(crate) listeners: Vec<Listener>,
    /// The indexes of its ListenerSets, by name.
    set_indexes: HashMap<Name, usize, RandomState>,
    /// How many ListenerSets are attached, as its listeners are placed.
    pub(crate) attached_sets: u32,
    /// The name of its Service.
    pub(crate) service: Name,
    /// Where they are.
    pub(crate) placement: Placement,
    /// What it demands of clients.
    pub(crate) frontend: Frontend,
    /// Its certificate, which endpoints get that request one.
    pub(crate) client: Option<Arc<Certificate>>,
    /// Why it has none.
    pub(crate) no_client: Option<Problem>,
}

/// A ListenerSet that names a Gateway.
#[derive(Clone, Debug)]
pub(crate) struct ListenerSet {
    /// The object.
    pub(crate) object: Arc<Custom<ListenerSetSpec>>,
    /// Why its listeners are not added.
    pub(crate) refused: Option<Problem>,
    /// The indexes of its listeners.
    listeners: Range<usize>,
}

impl Universe {
    /// The Gateway with those of `sets` that it allows. What `former` has in common with it stays the same.
    pub(crate) fn read(
        gateway: &Arc<Custom<GatewaySpec>>,
        mut sets: Vec<Arc<Custom<ListenerSetSpec>>>,
        former: Option<&Self>,
        inputs: &mut Inputs<'_>,
    ) -> Self {
        let own = reference(Kind::Gateway, &gateway.name);
        let former = former.map(|former| &former.frontend);
        let frontend = Frontend::read(gateway, former, inputs);
        let mut listeners: Vec<Listener> = Vec::new();
        for spec in &gateway.spec.listeners {
            listeners.push(Listener::read(spec, &own, &frontend, inputs));
        }
        refuse_conflicts(&mut listeners);
        let mut taken = Taken::default();
        for (index, listener) in listeners.iter().enumerate() {
            taken.add(index, listener);
        }
        sets.sort_by_cached_key(|set| Seniority::of(set));
        let namespace = &gateway.name.namespace;
        let allowed = gateway.spec.allowed_listeners.as_ref();
        let rule = NamespaceRule::of_listener_sets(allowed, namespace);
        let sets = sets.into_iter().map(|object| {
            let refused = (!rule.allows(&object.name.namespace, inputs.snapshot)).then(|| {
                let message = format!(
                    "spec.allowedListeners of Gateway {} does not allow ListenerSets of namespace {}",
                    gateway.name, object.name.namespace
                );
                Problem::new("NotAllowed", message)
            });
            let first = listeners.len();
            if refused.is_none() {
                add_set(&object, (&mut listeners, &mut taken), &frontend, inputs);
            }
            ListenerSet {
                object,
                refused,
                listeners: first..listeners.len(),
            }
        });
        let sets: Vec<ListenerSet> = sets.collect();
        let names = sets.iter().enumerate();
        let set_indexes = names.map(|(index, set)| (set.object.name.clone(), index));
        let set_indexes = set_indexes.collect();
        note_overlaps(&mut listeners);
        let client = client(gateway, inputs).transpose();
        let (client, no_client) = match client {
            Ok(client) => (client, None),
            Err(problem) => (None, Some(problem)),
        };
        let mut universe = Self {
            gateway: gateway.clone(),
            sets,
            listeners,
            service: service_name(gateway, inputs.snapshot),
            set_indexes,
            attached_sets: 0,
            placement: Placement::default(),
            frontend,
            client,
            no_client,
        };
        universe.count_sets();
        universe
    }

    /// Whether the labels of namespaces decide what is attached to it.
    pub(crate) fn selects_namespaces(&self) -> bool {
        let allowed = self.gateway.spec.allowed_listeners.as_ref();
        let of_sets = NamespaceRule::of_listener_sets(allowed, &self.gateway.name.namespace);
        let of_routes = self.listeners.iter().map(|listener| &listener.namespaces);
        let mut rules = of_routes.chain([&of_sets]);
        rules.any(|rule| matches!(rule, NamespaceRule::Selected(_)))
    }

    /// The ports of its valid listeners, as clients see them.
    pub(crate) fn ports(&self) -> BTreeSet<(u16, Protocol)> {
        let valid = self.listeners.iter().filter(|listener| listener.is_valid());
        valid.filter_map(Listener::socket).collect()
    }

    /// Sets where its listeners are.
    pub(crate) fn place(&mut self, placement: Placement) {
        for listener in &mut self.listeners {
            let socket = listener.socket();
            let place = socket.and_then(|socket| placement.ports.get(&socket));
            let shared = placement.shared.map(|ports| ports.place(listener));
            listener.place = shared.or_else(|| place.cloned()).unwrap_or_default();
        }
        self.placement = placement;
        self.count_sets();
    }

    fn count_sets(&mut self) {
        let attached = self.sets.iter();
        let attached = attached.filter(|set| status::set_problem(self, set).is_none());
        self.attached_sets = u32::try_from(attached.count()).unwrap_or(u32::MAX);
    }

    /// The Secrets and ConfigMaps that it and its ListenerSets refer to.
    pub(crate) fn references(&self) -> BTreeSet<ObjectRef> {
        let name = &self.gateway.name;
        let spec = &self.gateway.spec;
        let of_sets = self.sets.iter().flat_map(|set| {
            let listeners = set.object.spec.listeners.iter();
            listeners.map(|listener| (&set.object.name, listener))
        });
        let own = spec.listeners.iter().map(|listener| (name, listener));
        let certificates = own.chain(of_sets).flat_map(|(parent, listener)| {
            let tls = listener.tls.iter();
            let references = tls.flat_map(|tls| &tls.certificate_refs);
            references.map(move |reference| reference.object(Kind::Secret, parent))
        });
        let backend = spec.tls.iter().flat_map(|tls| &tls.backend);
        let client = backend.flat_map(|tls| &tls.client_certificate_ref);
        let client = client.map(|reference| reference.object(Kind::Secret, name));
        let frontend = spec.tls.iter().flat_map(|tls| &tls.frontend);
        let authorities = frontend.flat_map(|frontend| frontend.references());
        let authorities = authorities.map(|reference| reference.object(Kind::ConfigMap, name));
        certificates.chain(client).chain(authorities).collect()
    }

    /// The Gateway's own listeners with their indexes, in their order.
    pub(crate) fn own_listeners(&self) -> impl Iterator<Item = (usize, &Listener)> + Clone {
        self.listeners_at(0..self.gateway.spec.listeners.len())
    }

    /// The listeners of a ListenerSet with their indexes, in their order.
    pub(crate) fn listeners_of_set(
        &self,
        set: &ListenerSet,
    ) -> impl Iterator<Item = (usize, &Listener)> + Clone {
        self.listeners_at(set.listeners.clone())
    }

    /// The listeners of the Gateway or of one of its ListenerSets with their indexes, in their order.
    pub(crate) fn listeners_of(
        &self,
        parent: &ObjectRef,
    ) -> impl Iterator<Item = (usize, &Listener)> + Clone {
        self.listeners_at(match parent.kind {
            Kind::ListenerSet => self
                .set(&parent.name)
                .map_or(0..0, |set| set.listeners.clone()),
            _ => 0..self.gateway.spec.listeners.len(),
        })
    }

    /// The ListenerSet of this name.
    pub(crate) fn set(&self, name: &Name) -> Option<&ListenerSet> {
        self.sets.get(*self.set_indexes.get(name)?)
    }

    fn listeners_at(
        &self,
        indexes: Range<usize>,
    ) -> impl Iterator<Item = (usize, &Listener)> + Clone {
        let listeners = self.listeners.get(indexes.clone()).unwrap_or_default();
        indexes.zip(listeners)
    }

    /// The universe of the hosts of a listener.
    pub(crate) fn hosts_of(&self, listener: &Listener) -> build::Universe {
        let Name { namespace, name } = &self.gateway.name;
        let set = match listener.parent.kind {
            Kind::ListenerSet => format!("/{}", listener.parent.name),
            _ => String::new(),
        };
        build::Universe::layered(format!("Gateway {namespace}/{name}{set}/{}", listener.name))
    }
}

/// The certificate for endpoints, if the Gateway names one.
fn client(
    gateway: &Custom<GatewaySpec>,
    inputs: &mut Inputs<'_>,
) -> Option<Result<Arc<Certificate>, Problem>> {
    let backend = gateway.spec.tls.as_ref()?.backend.as_ref()?;
    let named = backend.client_certificate_ref.as_ref()?;
    let own = reference(Kind::Gateway, &gateway.name);
    Some(listener::certificate(
        named,
        &own,
        inputs,
        "InvalidClientCertificateRef",
    ))
}

/// Within a Gateway no listener wins a conflict.
fn refuse_conflicts(listeners: &mut [Listener]) {
    let conflicts = listeners.iter().enumerate().map(|(index, listener)| {
        let mut others = listeners
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        others.find_map(|(_, other)| listener.conflict_with(other))
    });
    let conflicts: Vec<Option<Problem>> = conflicts.collect();
    for (listener, conflict) in listeners.iter_mut().zip(conflicts) {
        listener.conflict = conflict;
    }
}

fn note_overlaps(listeners: &mut [Listener]) {
    let overlaps = Overlaps::of(listeners);
    let found = listeners.iter().enumerate().map(|(index, listener)| {
        let other = listeners.get(overlaps.first(index, listener)?)?;
        listener.overlap_with(other)
    });
    let found: Vec<Option<Problem>> = found.collect();
    for (listener, overlap) in listeners.iter_mut().zip(found) {
        listener.overlap = overlap;
    }
}

/// Of a ListenerSet, a listener that conflicts with an earlier one loses.
fn add_set(
    set: &Custom<ListenerSetSpec>,
    (listeners, taken): (&mut Vec<Listener>, &mut Taken),
    frontend: &Frontend,
    inputs: &mut Inputs<'_>,
) {
    let parent = reference(Kind::ListenerSet, &set.name);
    for spec in &set.spec.listeners {
        let mut listener = Listener::read(spec, &parent, frontend, inputs);
        listener.conflict = taken.conflict(&listener, listeners);
        // A listener that lost takes nothing from later ones.
        if listener.conflict.is_none() {
            taken.add(listeners.len(), &listener);
        }
        listeners.push(listener);
    }
}

pub(super) fn reference(kind: Kind, name: &Name) -> ObjectRef {
    ObjectRef {
        kind,
        name: name.clone(),
    }
}
