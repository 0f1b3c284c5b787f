//! What changed objects affect.

use std::collections::BTreeSet;

use super::Pass;
use crate::gateway::grants::Grants;
use crate::gateway::route::KINDS;
use crate::gateway::service::plain_name;
use crate::gateway::state::Host;
use crate::gateway::universe::{Universe, reference};
use crate::objects::custom::{Custom, GatewaySpec, ListenerSetSpec, ListenerSpec, ObjectReference};
use crate::policies;
use crate::{Changes, Kind, Name, ObjectRef};

/// What is compiled anew.
#[derive(Default)]
pub(super) struct Touched {
    /// Whether the statuses of GatewayClasses are.
    pub(super) classes: bool,
    /// Gateways.
    pub(super) gateways: BTreeSet<Name>,
    /// Routes.
    pub(super) routes: BTreeSet<ObjectRef>,
    /// Hosts of listeners.
    pub(super) hosts: BTreeSet<Host>,
    /// Gateways whose attached routes are counted.
    pub(super) counted: BTreeSet<Name>,
    /// Policies whose statuses are made.
    pub(super) policies: BTreeSet<ObjectRef>,
}

impl Pass<'_> {
    /// What the changes affect, or everything.
    pub(super) fn touched(
        &mut self,
        changes: &Changes,
        of_policies: &policies::Touched,
        fresh: bool,
    ) -> Touched {
        let mut touched = Touched::default();
        let by_labels = self.selects_namespaces();
        let concerns_all = |kind| match kind {
            Kind::GatewayClass => true,
            Kind::Namespace => by_labels,
            _ => false,
        };
        let kinds = || changes.objects().map(|object| object.kind);
        let of_classes = |kind| {
            use Kind::{CustomResourceDefinition, GatewayClass, HeadgateParameters};
            matches!(
                kind,
                GatewayClass | CustomResourceDefinition | HeadgateParameters
            )
        };
        let all = fresh || changes.everything || kinds().any(concerns_all);
        if all || kinds().any(|kind| kind == Kind::ReferenceGrant) {
            self.state.grants = Grants::read(self.snapshot);
        }
        if all {
            self.everything(&mut touched);
        }
        touched.classes = all || kinds().any(of_classes);
        for object in changes.objects() {
            self.object(object, &mut touched);
        }
        for gateway in of_policies.of(Kind::Gateway) {
            let routes = self.state.routes_of_gateway(&gateway.name);
            touched.routes.extend(routes.cloned());
        }
        for kind in [Kind::HttpRoute, Kind::GrpcRoute] {
            touched.routes.extend(of_policies.of(kind).cloned());
        }
        touched
    }

    /// Whether the labels of namespaces decide what is attached to a Gateway.
    fn selects_namespaces(&self) -> bool {
        let mut gateways = self.state.gateways.values();
        gateways.any(Universe::selects_namespaces)
    }

    fn everything(&mut self, touched: &mut Touched) {
        for policy in self.policies_of_services() {
            self.policy(&policy, touched);
        }
        for set in self.snapshot.all::<Custom<ListenerSetSpec>>() {
            self.state.sets.set(&set.name, Some(set));
        }
        touched
            .gateways
            .extend(self.snapshot.names(Kind::Gateway).cloned());
        touched.gateways.extend(self.state.gateways.keys().cloned());
        for kind in KINDS {
            let names = self.snapshot.names(kind);
            let routes = names.map(|name| ObjectRef {
                kind,
                name: name.clone(),
            });
            touched.routes.extend(routes);
        }
        touched.routes.extend(self.state.routes.keys().cloned());
    }

    fn object(&mut self, object: &ObjectRef, touched: &mut Touched) {
        match object.kind {
            Kind::Gateway => {
                touched.gateways.extend(self.namesakes(&object.name));
                touched.gateways.insert(object.name.clone());
            }
            Kind::ListenerSet => {
                let set = self.snapshot.get::<Custom<ListenerSetSpec>>(&object.name);
                let gateways = self.state.sets.set(&object.name, set);
                touched.gateways.extend(gateways);
            }
            Kind::BackendTlsPolicy | Kind::BackendTrafficPolicy => self.policy(object, touched),
            Kind::ConfigMap => {
                let policies = self.state.policies.of_config_map(&object.name);
                let policies = policies.map(|name| reference(Kind::BackendTlsPolicy, name));
                for policy in policies.collect::<Vec<_>>() {
                    self.policy(&policy, touched);
                }
                let gateways = self.state.referring(object);
                touched.gateways.extend(gateways.cloned());
                touched.routes.extend(self.users_of(object));
            }
            Kind::Secret => {
                let gateways = self.state.referring(object);
                touched.gateways.extend(gateways.cloned());
                touched.routes.extend(self.users_of(object));
            }
            Kind::ReferenceGrant => self.users_of_grants(&object.name.namespace, touched),
            Kind::Service => {
                touched
                    .policies
                    .extend(self.state.policies_of(&object.name));
                let routes = self.state.services.changed(&object.name, self.snapshot);
                touched.routes.extend(routes);
            }
            kind if KINDS.contains(&kind) => drop(touched.routes.insert(object.clone())),
            _ => {}
        }
    }

    /// The other Gateways whose Services would have the name of that of a Gateway, as it was or as it is.
    fn namesakes(&self, gateway: &Name) -> Vec<Name> {
        let former = self.state.gateways.get(gateway);
        let former = former.map(|former| plain_name(&former.gateway));
        let current = self.snapshot.get::<Custom<GatewaySpec>>(gateway);
        let current = current.map(|current| plain_name(current));
        let names: Vec<Name> = former.into_iter().chain(current).collect();
        let others = self.snapshot.all::<Custom<GatewaySpec>>();
        let others = others.filter(|other| {
            other.name != *gateway
                && other.name.namespace == gateway.namespace
                && names.contains(&plain_name(other))
        });
        others.map(|other| other.name.clone()).collect()
    }

    /// The objects of other namespaces that refer to objects of `namespace`, whose ReferenceGrants have changed.
    fn users_of_grants(&self, namespace: &str, touched: &mut Touched) {
        touched
            .routes
            .extend(self.state.services.users_from_outside(namespace));
        let refers = |own: &str, reference: &ObjectReference| {
            own != namespace && reference.namespace.as_deref() == Some(namespace)
        };
        let gateways = self.state.gateways.iter().filter(|(name, gateway)| {
            let mut own = gateway.gateway.spec.references();
            let of_gateway = own.any(|reference| refers(&name.namespace, reference));
            of_gateway
                || gateway.sets.iter().any(|set| {
                    let listeners = set.object.spec.listeners.iter();
                    let mut references = listeners.flat_map(ListenerSpec::references);
                    references.any(|reference| refers(&set.object.name.namespace, reference))
                })
        });
        touched
            .gateways
            .extend(gateways.map(|(name, _)| name.clone()));
    }

    /// The routes whose policies refer to a Secret or ConfigMap.
    fn users_of(&self, object: &ObjectRef) -> impl Iterator<Item = ObjectRef> {
        let users = self.state.users.get(object);
        users.into_iter().flatten().cloned()
    }
}
