//! Which policy applies to which Service port (gateway-api.md 5.1, 5.2).

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;

use super::condition::{Condition, ConditionKind, Problem};
use super::seniority::Seniority;
use crate::objects::Service;
use crate::objects::custom::{Custom, PolicyTargetRef, Spec};
use crate::{Name, Snapshot};

/// A kind of policies of Services.
pub(crate) trait ServicePolicy: Sized {
    /// What is written.
    type Spec: Spec + 'static;

    /// The policy that `object` describes.
    fn read(object: &Custom<Self::Spec>, snapshot: &Snapshot) -> Self;

    /// What it applies to.
    fn attachment(&self) -> &Attachment;

    /// The ConfigMaps that it refers to, whether or not they exist.
    fn config_maps(&self) -> &[Name];

    /// A condition besides `Accepted`.
    fn condition(&self) -> Option<Condition>;
}

/// What a policy applies to.
#[derive(Debug)]
pub(crate) struct Attachment {
    /// The policy.
    pub(super) name: Name,
    pub(super) generation: i64,
    /// Of several policies with the same target, the least applies.
    seniority: Seniority,
    pub(super) targets: Vec<Target>,
    /// Why it cannot be applied.
    pub(super) refused: Option<Problem>,
}

/// A Service, or one of its ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) service: Name,
    /// The name of the port; `None`: all ports without a policy of their own.
    pub(super) port: Option<Arc<str>>,
}

/// All policies of a kind.
pub(crate) struct Policies<P> {
    all: BTreeMap<Name, P>,
    /// By the Services that they target, whether or not these exist.
    of_service: BTreeMap<Name, BTreeSet<Name>>,
    /// By the ConfigMaps that they refer to, whether or not these exist.
    of_config_map: BTreeMap<Name, BTreeSet<Name>>,
}

impl<P> Default for Policies<P> {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            of_service: BTreeMap::new(),
            of_config_map: BTreeMap::new(),
        }
    }
}

impl<P: ServicePolicy> Policies<P> {
    /// Reads a policy anew; returns the Services that it targeted and targets.
    pub(super) fn set(&mut self, name: &Name, snapshot: &Snapshot) -> BTreeSet<Name> {
        let former = self.all.remove(name);
        let object = snapshot.get::<Custom<P::Spec>>(name);
        let current = object.map(|object| P::read(object, snapshot));
        if let Some(former) = &former {
            for service in services(former) {
                remove(&mut self.of_service, service, name);
            }
            for map in former.config_maps() {
                remove(&mut self.of_config_map, map, name);
            }
        }
        if let Some(current) = &current {
            for service in services(current) {
                let of_service = self.of_service.entry(service.clone()).or_default();
                of_service.insert(name.clone());
            }
            for map in current.config_maps() {
                let of_map = self.of_config_map.entry(map.clone()).or_default();
                of_map.insert(name.clone());
            }
        }
        let both = former.iter().chain(&current);
        let touched = both.flat_map(|policy| services(policy)).cloned().collect();
        self.all
            .extend(current.map(|current| (name.clone(), current)));
        touched
    }

    /// All of them.
    pub(super) fn names(&self) -> impl Iterator<Item = &Name> {
        self.all.keys()
    }

    /// What one of them applies to.
    pub(super) fn attachment(&self, name: &Name) -> Option<&Attachment> {
        self.all.get(name).map(P::attachment)
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
    pub(super) fn of_port(&self, service: &Name, port: Option<&str>) -> Option<&P> {
        let of_port = port.and_then(|port| self.senior(service, Some(port)));
        of_port.or_else(|| self.senior(service, None))
    }

    /// The most senior policy with exactly this target.
    fn senior(&self, service: &Name, port: Option<&str>) -> Option<&P> {
        let policies = self
            .of_service(service)
            .filter_map(|name| self.all.get(name));
        let with_target = policies.filter(|policy| {
            let mut targets = policy.attachment().targets.iter();
            targets.any(|target| target.service == *service && target.port.as_deref() == port)
        });
        with_target.min_by_key(|policy| &policy.attachment().seniority)
    }

    /// What the status of a policy says where a Gateway reaches these of its targets. It is accepted if it applies to one.
    pub(super) fn conditions(
        &self,
        policy: &Name,
        reached: &[&Target],
        snapshot: &Snapshot,
    ) -> Vec<Condition> {
        let problems = reached
            .iter()
            .map(|target| self.problem(policy, target, snapshot));
        let problems: Option<Vec<Problem>> = problems.collect();
        let unused = problems.and_then(|problems| problems.into_iter().next());
        let policy = self.all.get(policy);
        let refused = policy.and_then(|policy| policy.attachment().refused.as_ref());
        let accepted = Condition::unless(ConditionKind::Accepted, refused.or(unused.as_ref()));
        let more = policy.and_then(P::condition);
        [accepted].into_iter().chain(more).collect()
    }

    /// Why a policy does not apply to one of its targets.
    fn problem(&self, policy: &Name, target: &Target, snapshot: &Snapshot) -> Option<Problem> {
        if let Some(missing) = target.missing(snapshot) {
            return Some(missing);
        }
        let senior = self.senior(&target.service, target.port.as_deref())?;
        let senior = &senior.attachment().name;
        (senior != policy).then(|| {
            let message = format!(
                "{} {senior} has the same target, Service {}, and takes precedence",
                P::Spec::NAME,
                target.service
            );
            Problem::new("Conflicted", message)
        })
    }
}

impl Attachment {
    /// Of the policy `object` to the Services among `references`.
    pub(super) fn of<S>(
        object: &Custom<S>,
        references: &[PolicyTargetRef],
        refused: Option<Problem>,
    ) -> Self {
        let name = &object.name;
        let services = references.iter();
        let services =
            services.filter(|target| target.group.is_empty() && target.kind == "Service");
        let targets = services.map(|target| Target {
            service: Name::new(&name.namespace, &target.name),
            port: target.section_name.as_deref().map(Into::into),
        });
        Self {
            name: name.clone(),
            generation: object.generation,
            seniority: Seniority::of(object),
            targets: targets.collect(),
            refused,
        }
    }
}

impl Target {
    /// Why there is nothing that it could apply to.
    pub(super) fn missing(&self, snapshot: &Snapshot) -> Option<Problem> {
        let absent = |message| Some(Problem::new("TargetNotFound", message));
        let name = &self.service;
        let Some(service) = snapshot.get::<Service>(name) else {
            return absent(format!("there is no Service {name}"));
        };
        let port = self.port.as_deref()?;
        let mut names = service.port_names();
        if names.any(|known| known == Some(port)) {
            return None;
        }
        absent(format!(
            "Service {name} has no port with the name {}",
            port.escape_debug()
        ))
    }
}

fn services<P: ServicePolicy>(policy: &P) -> impl Iterator<Item = &Name> {
    let targets = policy.attachment().targets.iter();
    targets.map(|target| &target.service)
}

fn remove(index: &mut BTreeMap<Name, BTreeSet<Name>>, key: &Name, policy: &Name) {
    if let Some(policies) = index.get_mut(key) {
        policies.remove(policy);
        if policies.is_empty() {
            index.remove(key);
        }
    }
}
