//! BackendTLSPolicies and XBackendTrafficPolicies: which routes they concern, and their statuses.

use std::collections::{BTreeMap, BTreeSet};

use super::Pass;
use super::touched::Touched;
use crate::gateway::policies::{Policies, ServicePolicy, Target};
use crate::gateway::state::State;
use crate::gateway::status::{ParentStatus, Status, StatusBody};
use crate::gateway::universe::reference;
use crate::objects::custom::{GATEWAY_GROUP, ParentRef};
use crate::{Kind, Name, ObjectRef};

/// Gateways that the API allows a status to name.
const MOST_ANCESTORS: usize = 16;

impl State {
    /// The policies that target a Service.
    pub(super) fn policies_of(&self, service: &Name) -> impl Iterator<Item = ObjectRef> {
        let tls = self.policies.of_service(service);
        let tls = tls.map(|name| reference(Kind::BackendTlsPolicy, name));
        let traffic = self.traffic.of_service(service);
        tls.chain(traffic.map(|name| reference(Kind::BackendTrafficPolicy, name)))
    }
}

impl Pass<'_> {
    /// All policies of Services, also those that are gone.
    pub(super) fn policies_of_services(&self) -> BTreeSet<ObjectRef> {
        let kinds = [Kind::BackendTlsPolicy, Kind::BackendTrafficPolicy];
        let known = kinds.into_iter().flat_map(|kind| {
            let names = self.snapshot.names(kind);
            names.map(move |name| reference(kind, name))
        });
        let tls = self.state.policies.names();
        let tls = tls.map(|name| reference(Kind::BackendTlsPolicy, name));
        let traffic = self.state.traffic.names();
        let traffic = traffic.map(|name| reference(Kind::BackendTrafficPolicy, name));
        known.chain(tls).chain(traffic).collect()
    }

    /// Reads a policy. The routes of the Services that it targeted or targets are compiled anew, and with a policy of traffic
    /// their upstreams are built anew.
    pub(super) fn policy(&mut self, object: &ObjectRef, touched: &mut Touched) {
        touched.policies.insert(object.clone());
        let is_of_traffic = object.kind == Kind::BackendTrafficPolicy;
        let services = match is_of_traffic {
            true => self.state.traffic.set(&object.name, self.snapshot),
            false => self.state.policies.set(&object.name, self.snapshot),
        };
        for service in services {
            touched
                .routes
                .extend(self.state.services.users(&service).cloned());
            touched.policies.extend(self.state.policies_of(&service));
            if is_of_traffic {
                self.builder.touch(&service);
            }
        }
    }

    /// Makes the status of a policy: one part for each Gateway through which a route reaches a target.
    pub(super) fn report(&mut self, object: &ObjectRef) {
        self.state.statuses.remove(object);
        let status = match object.kind {
            Kind::BackendTrafficPolicy => self.status(&self.state.traffic, &object.name),
            _ => self.status(&self.state.policies, &object.name),
        };
        if let Some(status) = status {
            self.state.statuses.insert(object.clone(), status);
        }
    }

    fn status<P: ServicePolicy>(&self, policies: &Policies<P>, name: &Name) -> Option<Status> {
        let attachment = policies.attachment(name)?;
        let mut gateways: BTreeMap<&Name, Vec<&Target>> = BTreeMap::new();
        for target in &attachment.targets {
            let routes = self.state.services.users(&target.service);
            let routes = routes.filter_map(|route| self.state.routes.get(route));
            for gateway in routes.flat_map(|route| route.gateways()) {
                let reached = gateways.entry(gateway).or_default();
                if !reached.contains(&target) {
                    reached.push(target);
                }
            }
        }
        let ancestors = gateways.into_iter().take(MOST_ANCESTORS);
        let ancestors = ancestors.map(|(gateway, reached)| ParentStatus {
            parent: ParentRef {
                group: Some(GATEWAY_GROUP.to_owned()),
                kind: Some(Kind::Gateway.as_str().to_owned()),
                namespace: Some(gateway.namespace.to_string()),
                name: gateway.name.to_string(),
                ..ParentRef::default()
            },
            conditions: policies.conditions(name, &reached, self.snapshot),
        });
        let ancestors: Vec<ParentStatus> = ancestors.collect();
        (!ancestors.is_empty()).then_some(Status {
            generation: attachment.generation,
            body: StatusBody::Policy { ancestors },
        })
    }
}
