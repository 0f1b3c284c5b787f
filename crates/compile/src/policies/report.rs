//! Statuses of policies and findings about them (gateway-api.md 5, GEP-713).

use std::collections::BTreeSet;

use super::field::find;
use super::index::{Policies, Target, Touched};
use super::values::{TargetKind, invalid};
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::gateway::{Condition, ConditionKind, ParentStatus, Problem, Status, StatusBody};
use crate::ingress::annotations::excerpt;
use crate::objects::custom::{
    Custom, GATEWAY_GROUP, GatewaySpec, GrpcRouteSpec, HeadgatePolicySpec, HttpRouteSpec,
    ParentRef, PolicyTargetRef,
};
use crate::{Changes, Kind, Name, ObjectRef, Snapshot, gateway, ingress};

/// The most ancestors that a status has.
const MAX_ANCESTORS: usize = 16;

/// What reports are made from.
pub(crate) struct Inputs<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) ingresses: &'a ingress::State,
    pub(crate) gateways: &'a mut gateway::State,
    pub(crate) findings: &'a mut Findings,
}

/// Reports on the policies that changed, and on those whose targets changed or were compiled anew.
pub(crate) fn report(inputs: &mut Inputs<'_>, touched: &Touched, changes: &Changes) {
    let mut names = touched.policies.clone();
    if !inputs.policies.is_empty() {
        let compiled = inputs.ingresses.recompiled();
        let compiled = compiled.chain(inputs.gateways.recompiled().cloned());
        let objects: BTreeSet<ObjectRef> = changes.objects().cloned().chain(compiled).collect();
        let of_objects = objects
            .iter()
            .flat_map(|object| inputs.policies.targeting(object));
        names.extend(of_objects.cloned());
    }
    for name in names {
        let policy = inputs.snapshot.get::<Custom<HeadgatePolicySpec>>(&name);
        let (status, findings) = match policy {
            Some(policy) => {
                let report = Report { policy, inputs };
                (report.status(), report.findings())
            }
            None => (None, Vec::new()),
        };
        let object = reference(&name);
        inputs
            .findings
            .replace(Source::Object(object.clone()), findings);
        inputs.gateways.set_status(object, status);
    }
}

fn reference(name: &Name) -> ObjectRef {
    ObjectRef {
        kind: Kind::HeadgatePolicy,
        name: name.clone(),
    }
}

struct Report<'a, 'i> {
    policy: &'a Custom<HeadgatePolicySpec>,
    inputs: &'a Inputs<'i>,
}

impl Report<'_, '_> {
    /// `None` if none of its targets is served here, and all exist.
    fn status(&self) -> Option<Status> {
        let mut ancestors: Vec<(ParentRef, Option<Problem>)> = Vec::new();
        for target in &self.policy.spec.target_refs {
            let problem = self.problem(target);
            for ancestor in self.ancestors(target, problem.as_ref()) {
                match ancestors.iter_mut().find(|(known, _)| *known == ancestor) {
                    Some((_, known)) => *known = known.take().or_else(|| problem.clone()),
                    None => ancestors.push((ancestor, problem.clone())),
                }
            }
        }
        ancestors.truncate(MAX_ANCESTORS);
        let ancestors: Vec<ParentStatus> = ancestors
            .into_iter()
            .map(|(parent, problem)| ParentStatus {
                parent,
                conditions: vec![Condition::unless(ConditionKind::Accepted, problem.as_ref())],
            })
            .collect();
        (!ancestors.is_empty()).then_some(Status {
            generation: self.policy.generation,
            body: StatusBody::Policy { ancestors },
        })
    }

    /// Why the policy has no effect, or not as it is written, on a target.
    fn problem(&self, reference: &PolicyTargetRef) -> Option<Problem> {
        let Some(target) = Target::of(reference, &self.policy.name.namespace) else {
            let message = format!(
                "{} of group \"{}\" cannot have policies; Ingresses, HTTPRoutes, GRPCRoutes and Gateways can",
                excerpt(&reference.kind),
                excerpt(&reference.group)
            );
            return Some(Problem::new("TargetNotFound", message));
        };
        if !self.exists(&target) {
            let section = target.section.as_deref();
            let section = section.map_or_else(String::new, |name| format!(" with section {name}"));
            let message = format!("there is no {}{section}", target.object);
            return Some(Problem::new("TargetNotFound", message));
        }
        let winner = self.inputs.policies.winner(&target);
        if let Some(winner) = winner.filter(|winner| winner.name != self.policy.name) {
            let message = format!(
                "HeadgatePolicy {} has the same target and takes precedence",
                winner.name
            );
            return Some(Problem::new("Conflicted", message));
        }
        let kinds = TargetKind::of(target.object.kind);
        let written = invalid(self.policy, kinds.as_slice());
        let written = written.map(|(field, reason)| format!("spec.{}: {reason}", excerpt(&field)));
        let invalid = written.or_else(|| self.error_at(&target.object));
        invalid.map(|message| Problem::new("Invalid", message))
    }

    fn exists(&self, target: &Target) -> bool {
        let name = &target.object.name;
        let snapshot = self.inputs.snapshot;
        let has = |names: Vec<Option<&str>>| match target.section.as_deref() {
            Some(section) => names.contains(&Some(section)),
            None => true,
        };
        match target.object.kind {
            Kind::Gateway => snapshot
                .get::<Custom<GatewaySpec>>(name)
                .is_some_and(|gateway| {
                    let listeners = gateway.spec.listeners.iter();
                    has(listeners.map(|one| Some(&*one.name)).collect())
                }),
            Kind::HttpRoute => snapshot
                .get::<Custom<HttpRouteSpec>>(name)
                .is_some_and(|route| {
                    let rules = route.spec.rules.iter().flatten();
                    has(rules.map(|rule| rule.name.as_deref()).collect())
                }),
            Kind::GrpcRoute => snapshot
                .get::<Custom<GrpcRouteSpec>>(name)
                .is_some_and(|route| {
                    let rules = route.spec.rules.iter().flatten();
                    has(rules.map(|rule| rule.name.as_deref()).collect())
                }),
            _ => snapshot.object(&target.object).is_some() && target.section.is_none(),
        }
    }

    /// An error of this policy where it is applied.
    fn error_at(&self, object: &ObjectRef) -> Option<String> {
        let own = Subject::Object(reference(&self.policy.name));
        let find = |object: &ObjectRef| {
            let findings = self.inputs.findings.of(&Source::Object(object.clone()));
            let mut errors = findings
                .iter()
                .filter(|finding| finding.subject == own && finding.severity == Severity::Error);
            let found = errors.next()?;
            Some(format!("{}: {}", found.field, found.message))
        };
        match object.kind {
            Kind::Gateway => self
                .inputs
                .gateways
                .routes_of_gateway(&object.name)
                .find_map(find),
            _ => find(object),
        }
    }

    /// The objects that the status of a target is about. One that does not exist stands for itself.
    fn ancestors(&self, reference: &PolicyTargetRef, problem: Option<&Problem>) -> Vec<ParentRef> {
        let namespace = &self.policy.name.namespace;
        let as_written = ParentRef {
            group: Some(reference.group.clone()),
            kind: Some(reference.kind.clone()),
            namespace: Some(namespace.to_string()),
            name: reference.name.clone(),
            section_name: reference.section_name.clone(),
            port: None,
        };
        let target = Target::of(reference, namespace);
        let missing = problem.is_some_and(|problem| problem.reason == "TargetNotFound");
        let Some(target) = target.filter(|_| !missing) else {
            return vec![as_written];
        };
        let name = &target.object.name;
        match target.object.kind {
            Kind::Ingress if self.inputs.ingresses.selects(name) => vec![as_written],
            Kind::Gateway if self.inputs.gateways.serves(name) => vec![as_written],
            Kind::HttpRoute | Kind::GrpcRoute => {
                let gateways = self.inputs.gateways.gateways_of_route(&target.object);
                gateways.into_iter().map(gateway_ref).collect()
            }
            _ => Vec::new(),
        }
    }

    /// About what is not found where it is applied: unknown fields, and targets where it is not.
    fn findings(&self) -> Vec<Finding> {
        let finding = |severity, field: String, message: String| Finding {
            severity,
            subject: Subject::Object(reference(&self.policy.name)),
            field: field.into(),
            message: message.into(),
        };
        let unknown = self.policy.spec.fields.keys();
        let unknown = unknown.filter(|name| find(name).is_none()).map(|name| {
            let message = "unknown field; ignored, so it protects nothing".to_owned();
            finding(Severity::Error, format!("spec.{}", excerpt(name)), message)
        });
        let targets = self.policy.spec.target_refs.iter().enumerate();
        let targets = targets.filter_map(|(index, target)| {
            let problem = self.problem(target)?;
            let message = format!("{}; the policy has no effect there", problem.message);
            (problem.reason != "Invalid").then(|| {
                finding(
                    Severity::Warning,
                    format!("spec.targetRefs[{index}]"),
                    message,
                )
            })
        });
        unknown.chain(targets).collect()
    }
}

fn gateway_ref(name: Name) -> ParentRef {
    ParentRef {
        group: Some(GATEWAY_GROUP.to_owned()),
        kind: Some("Gateway".to_owned()),
        namespace: Some(name.namespace.to_string()),
        name: name.name.to_string(),
        section_name: None,
        port: None,
    }
}
