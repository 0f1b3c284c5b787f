//! BackendTLSPolicies: which routes they concern, and their statuses.

use std::collections::BTreeMap;

use super::Pass;
use super::touched::Touched;
use crate::gateway::policy::Target;
use crate::gateway::status::{ParentStatus, Status, StatusBody};
use crate::gateway::universe::reference;
use crate::objects::custom::{GATEWAY_GROUP, ParentRef};
use crate::{Kind, Name};

/// Gateways that the API allows a status to name.
const MOST_ANCESTORS: usize = 16;

impl Pass<'_> {
    /// Reads a policy. The routes of the Services that it targeted or targets are compiled anew.
    pub(super) fn policy(&mut self, name: &Name, touched: &mut Touched) {
        touched.policies.insert(name.clone());
        for service in self.state.policies.set(name, self.snapshot) {
            touched
                .routes
                .extend(self.state.services.users(&service).cloned());
            touched
                .policies
                .extend(self.state.policies.of_service(&service).cloned());
        }
    }

    /// Makes the status of a policy: one part for each Gateway through which a route reaches a target.
    pub(super) fn report(&mut self, name: &Name) {
        let object = reference(Kind::BackendTlsPolicy, name);
        self.state.statuses.remove(&object);
        let Some(policy) = self.state.policies.get(name) else {
            return;
        };
        let mut gateways: BTreeMap<&Name, Vec<&Target>> = BTreeMap::new();
        for target in &policy.targets {
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
            conditions: self
                .state
                .policies
                .conditions(policy, &reached, self.snapshot),
        });
        let ancestors: Vec<ParentStatus> = ancestors.collect();
        if !ancestors.is_empty() {
            let status = Status {
                generation: policy.generation,
                body: StatusBody::Policy { ancestors },
            };
            self.state.statuses.insert(object, status);
        }
    }
}
