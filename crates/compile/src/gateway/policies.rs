//! Which policy applies to which Service port (gateway-api.md 5.1).

use std::collections::{BTreeMap, BTreeSet};

use super::condition::{Condition, ConditionKind, Problem};
use super::policy::{Policy, Target};
use crate::objects::custom::{BackendTlsPolicySpec, Custom};
use crate::{Name, Snapshot};

/// All BackendTLSPolicies.
#[derive(Default)]
pub(crate) struct Policies {
    all: BTreeMap<Name, Policy>,
    /// By the Services that they target, whether or not these exist.
    of_service: BTreeMap<Name, BTreeSet<Name>>,
    /// By the ConfigMaps that they refer to, whether or not these exist.
    of_config_map: BTreeMap<Name, BTreeSet<Name>>,
}

impl Policies {
    /// Reads a policy anew; returns the Services that it targeted and targets.
    pub(super) fn set(&mut self, name: &Name, snapshot: &Snapshot) -> BTreeSet<Name> {
        let former = self.all.remove(name);
        let object = snapshot.get::<Custom<BackendTlsPolicySpec>>(name);
        let current = object.map(|object| Policy::read(object, snapshot));
        if let Some(former) = &former {
            for service in services(former) {
                remove(&mut self.of_service, service, name);
            }
            for map in &former.config_maps {
                remove(&mut self.of_config_map, map, name);
            }
        }
        if let Some(current) = &current {
            for service in services(current) {
                let of_service = self.of_service.entry(service.clone()).or_default();
                of_service.insert(name.clone());
            }
            for map in &current.config_maps {
                let of_map = self.of_config_map.entry(map.clone()).or_default();
                of_map.insert(name.clone());
            }
        }
        let both = former.iter().chain(&current);
        let touched = both.flat_map(services).cloned().collect();
        self.all
            .extend(current.map(|current| (name.clone(), current)));
        touched
    }

    /// All of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.all.keys()
    }

    /// One of them.
    pub(super) fn get(&self, name: &Name) -> Option<&Policy> {
        self.all.get(name)
    }

    /// Those that target a Service.
    pub(super) fn of_service(&self, service: &Name) -> impl Iterator<Item = &Name> {
        self.of_service.get(service).into_iter().flatten()
    }

    /// Those that refer to a ConfigMap.
    pub(super) fn of_config_map(&self, map: &Name) -> impl Iterator<Item = &Name> {
        self.of_config_map.get(map).into_iter().flatten()
    }

    /// The policy of a port of a Service: one for this port, or else one for the whole Service.
    pub(super) fn of_port(&self, service: &Name, port: Option<&str>) -> Option<&Policy> {
        let of_port = port.and_then(|port| self.senior(service, Some(port)));
        of_port.or_else(|| self.senior(service, None))
    }

    /// The most senior policy with exactly this target.
    fn senior(&self, service: &Name, port: Option<&str>) -> Option<&Policy> {
        let policies = self
            .of_service(service)
            .filter_map(|name| self.all.get(name));
        let with_target = policies.filter(|policy| {
            let mut targets = policy.targets.iter();
            targets.any(|target| target.service == *service && target.port.as_deref() == port)
        });
        with_target.min_by_key(|policy| &policy.seniority)
    }

    /// What the status of a policy says where a Gateway reaches these of its targets. It is accepted if it applies to one.
    pub(super) fn conditions(
        &self,
        policy: &Policy,
        reached: &[&Target],
        snapshot: &Snapshot,
    ) -> Vec<Condition> {
        let problems = reached
            .iter()
            .map(|target| self.problem(policy, target, snapshot));
        let problems: Option<Vec<Problem>> = problems.collect();
        let unused = problems.and_then(|problems| problems.into_iter().next());
        let refused = policy.refused.as_ref().or(unused.as_ref());
        vec![
            Condition::unless(ConditionKind::Accepted, refused),
            Condition::unless(ConditionKind::ResolvedRefs, policy.unresolved.as_ref()),
        ]
    }

    /// Why a policy does not apply to one of its targets.
    fn problem(&self, policy: &Policy, target: &Target, snapshot: &Snapshot) -> Option<Problem> {
        if let Some(missing) = target.missing(snapshot) {
            return Some(missing);
        }
        let senior = self.senior(&target.service, target.port.as_deref())?;
        (senior.name != policy.name).then(|| {
            let message = format!(
                "BackendTLSPolicy {} has the same target, Service {}, and takes precedence",
                senior.name, target.service
            );
            Problem::new("Conflicted", message)
        })
    }
}

fn services(policy: &Policy) -> impl Iterator<Item = &Name> {
    policy.targets.iter().map(|target| &target.service)
}

fn remove(index: &mut BTreeMap<Name, BTreeSet<Name>>, key: &Name, policy: &Name) {
    if let Some(policies) = index.get_mut(key) {
        policies.remove(policy);
        if policies.is_empty() {
            index.remove(key);
        }
    }
}
