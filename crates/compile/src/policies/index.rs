//! Policies by their targets, and what a change of them affects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::values::{TargetKind, Values};
use crate::gateway::Seniority;
use crate::objects::custom::{Custom, GATEWAY_GROUP, HeadgatePolicySpec, PolicyTargetRef};
use crate::{Changes, Kind, Name, ObjectRef, Snapshot};

/// All policies by their targets.
#[derive(Default)]
pub(crate) struct Policies {
    /// The policies of each target, the most senior first: it has effect, the others have none.
    by_target: BTreeMap<Target, BTreeMap<Seniority, Arc<Custom<HeadgatePolicySpec>>>>,
    targets: BTreeMap<Name, (Seniority, Vec<Target>)>,
    none: Arc<Values>,
}

/// An object, or a section of one: a listener of a Gateway, or a rule of a route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) object: ObjectRef,
    /// Its name.
    pub(crate) section: Option<Arc<str>>,
}

/// What changed policies affect.
#[derive(Default)]
pub(crate) struct Touched {
    /// Those that changed, and those with the same targets.
    pub(super) policies: BTreeSet<Name>,
    /// Their targets.
    pub(crate) targets: BTreeSet<ObjectRef>,
}

impl Target {
    /// The target of a reference of a policy in `namespace`; `None` if policies have no such targets.
    pub(super) fn of(reference: &PolicyTargetRef, namespace: &str) -> Option<Self> {
        let kind = match (&*reference.group, &*reference.kind) {
            ("networking.k8s.io", "Ingress") => Kind::Ingress,
            (GATEWAY_GROUP, "Gateway") => Kind::Gateway,
            (GATEWAY_GROUP, "HTTPRoute") => Kind::HttpRoute,
            (GATEWAY_GROUP, "GRPCRoute") => Kind::GrpcRoute,
            _ => return None,
        };
        Some(Self {
            object: ObjectRef {
                kind,
                name: Name::new(namespace, &reference.name),
            },
            section: reference.section_name.as_deref().map(Into::into),
        })
    }
}

impl Policies {
    /// Reads the policies that changed, or all.
    pub(crate) fn update(
        &mut self,
        snapshot: &Snapshot,
        changes: &Changes,
        fresh: bool,
    ) -> Touched {
        let mut touched = Touched::default();
        let changed = changes.objects();
        let changed = changed.filter(|object| object.kind == Kind::HeadgatePolicy);
        let mut names: BTreeSet<Name> = changed.map(|object| object.name.clone()).collect();
        if fresh {
            names.extend(snapshot.names(Kind::HeadgatePolicy).cloned());
        }
        for name in names {
            self.remove(&name, &mut touched);
            if let Some(policy) = snapshot.get::<Custom<HeadgatePolicySpec>>(&name) {
                self.insert(policy, &mut touched);
            }
            touched.policies.insert(name);
        }
        touched
    }

    fn remove(&mut self, name: &Name, touched: &mut Touched) {
        let Some((seniority, targets)) = self.targets.remove(name) else {
            return;
        };
        for target in targets {
            if let Some(policies) = self.by_target.get_mut(&target) {
                policies.remove(&seniority);
                touched.add(&target, policies);
                if policies.is_empty() {
                    self.by_target.remove(&target);
                }
            }
        }
    }

    fn insert(&mut self, policy: &Arc<Custom<HeadgatePolicySpec>>, touched: &mut Touched) {
        let namespace = &policy.name.namespace;
        let references = policy.spec.target_refs.iter();
        let targets: BTreeSet<Target> = references
            .filter_map(|reference| Target::of(reference, namespace))
            .collect();
        let seniority = Seniority::of(policy);
        for target in &targets {
            let policies = self.by_target.entry(target.clone()).or_default();
            policies.insert(seniority.clone(), policy.clone());
            touched.add(target, policies);
        }
        let targets = targets.into_iter().collect();
        self.targets
            .insert(policy.name.clone(), (seniority, targets));
    }

    /// Whether there are no policies.
    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// The policy of an object, or of a section of it.
    pub(crate) fn of(
        &self,
        object: &ObjectRef,
        section: Option<&str>,
    ) -> Option<&Arc<Custom<HeadgatePolicySpec>>> {
        if self.is_empty() {
            return None;
        }
        let target = Target {
            object: object.clone(),
            section: section.map(Into::into),
        };
        self.winner(&target)
    }

    pub(super) fn winner(&self, target: &Target) -> Option<&Arc<Custom<HeadgatePolicySpec>>> {
        let (_, policy) = self.by_target.get(target)?.first_key_value()?;
        Some(policy)
    }

    /// The values of an Ingress.
    pub(crate) fn of_ingress(&self, name: &Name) -> Arc<Values> {
        let object = ObjectRef {
            kind: Kind::Ingress,
            name: name.clone(),
        };
        match self.of(&object, None) {
            Some(policy) => Arc::new(Values::of([policy], TargetKind::Ingress)),
            None => self.none.clone(),
        }
    }

    /// The policies whose target is an object or a section of it.
    pub(super) fn targeting(&self, object: &ObjectRef) -> impl Iterator<Item = &Name> {
        let first = Target {
            object: object.clone(),
            section: None,
        };
        let targets = self.by_target.range(first..);
        let targets = targets.take_while(move |(target, _)| target.object == *object);
        targets.flat_map(|(_, policies)| policies.values().map(|policy| &policy.name))
    }
}

impl Touched {
    fn add(
        &mut self,
        target: &Target,
        policies: &BTreeMap<Seniority, Arc<Custom<HeadgatePolicySpec>>>,
    ) {
        self.targets.insert(target.object.clone());
        let names = policies.values().map(|policy| policy.name.clone());
        self.policies.extend(names);
    }

    /// The targets of a kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &ObjectRef> {
        self.targets
            .iter()
            .filter(move |object| object.kind == kind)
    }
}
