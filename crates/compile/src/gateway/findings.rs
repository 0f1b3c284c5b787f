//! Findings about objects of the Gateway API: what their statuses say is wrong, once for each cause, and the backends of routes
//! that have no endpoints, which statuses do not say.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_table::UpstreamKey;

use super::class::UNKNOWN_VERSION;
use super::condition::{Condition, ConditionKind};
use super::state::{Route, State};
use super::status::{ListenerStatus, ParentStatus, Status, StatusBody};
use crate::build::UpstreamProblem;
use crate::finding::{Finding, Severity, Subject};
use crate::findings::{Findings, Source};
use crate::{Kind, Name, ObjectRef};

/// Reasons of conditions that do not hold while something is still to come.
const WAITS: [&str; 2] = ["AddressNotAssigned", "Pending"];

/// What findings are made of besides statuses, and about which objects they are to be made anew.
#[derive(Default)]
pub(super) struct Reports {
    /// Objects whose findings may have changed for other reasons than their statuses.
    pub(super) touched: BTreeSet<ObjectRef>,
    /// The upstreams of routes that have problems, with their Services.
    problems: HashMap<UpstreamKey, (Name, UpstreamProblem), RandomState>,
}

impl State {
    /// Makes the findings about the objects whose statuses or backends the compilation touched.
    pub(crate) fn report(&mut self, findings: &mut Findings) {
        let mut touched = std::mem::take(&mut self.reports.touched);
        touched.extend(self.statuses.touched().cloned());
        // They have findings of their own, with more of what is known.
        touched.retain(|object| object.kind != Kind::HeadgatePolicy);
        for object in touched {
            let status = self.statuses.all().get(&object);
            let route = self.routes.get(&object);
            let of_object = status.map(|status| self.reports.of(&object, status, route));
            findings.replace(Source::Status(object), of_object.unwrap_or_default());
        }
    }

    /// An upstream is built for others now, or for none.
    pub(crate) fn forget_upstream(&mut self, key: &UpstreamKey) {
        self.reports.problems.remove(key);
    }
}

impl Reports {
    /// Sets the problems of an upstream; returns whether they changed.
    pub(super) fn set(
        &mut self,
        key: &UpstreamKey,
        service: &Name,
        problem: UpstreamProblem,
    ) -> bool {
        if problem == UpstreamProblem::default() {
            return self.problems.remove(key).is_some();
        }
        let entry = (service.clone(), problem);
        let former = self.problems.insert(key.clone(), entry);
        former.as_ref() != self.problems.get(key)
    }

    /// The findings about an object that is served.
    fn of(&self, object: &ObjectRef, status: &Status, route: Option<&Arc<Route>>) -> Vec<Finding> {
        let mut found = Found {
            object,
            findings: Vec::new(),
        };
        found.status(&status.body);
        let route = route.filter(|_| !self.problems.is_empty());
        for key in route.into_iter().flat_map(|route| route.upstreams()) {
            if let Some((service, problem)) = self.problems.get(&key) {
                found.upstream(service, problem);
            }
        }
        found.findings
    }
}

/// Findings about one object.
struct Found<'a> {
    object: &'a ObjectRef,
    findings: Vec<Finding>,
}

impl Found<'_> {
    fn status(&mut self, body: &StatusBody) {
        match body {
            StatusBody::GatewayClass { conditions, .. } => {
                self.conditions(conditions, |condition| match condition.kind {
                    ConditionKind::Accepted => "spec.parametersRef",
                    _ => "",
                });
            }
            StatusBody::Gateway {
                conditions,
                listeners,
                ..
            } => {
                self.listeners(listeners);
                self.conditions(conditions, of_gateway);
            }
            StatusBody::ListenerSet {
                conditions,
                listeners,
            } => {
                self.listeners(listeners);
                self.conditions(conditions, |_| "spec.parentRef");
            }
            StatusBody::Route { parents } => self.parents(parents, of_route),
            StatusBody::Policy { ancestors } => self.parents(ancestors, of_policy),
        }
    }

    fn listeners(&mut self, listeners: &[ListenerStatus]) {
        for listener in listeners {
            let whole = format!("spec.listeners[{}]", listener.name);
            self.conditions(&listener.conditions, |condition| {
                format!("{whole}{}", of_listener(condition))
            });
        }
    }

    fn parents(&mut self, parents: &[ParentStatus], field: impl Fn(&Condition) -> &'static str) {
        for parent in parents {
            self.conditions(&parent.conditions, &field);
        }
    }

    /// Conditions about one thing. That it is not programmed follows from the others, if these say something.
    fn conditions<F: AsRef<str>>(
        &mut self,
        conditions: &[Condition],
        field: impl Fn(&Condition) -> F,
    ) {
        let works = |kind| {
            let mut of_kind = conditions.iter().filter(|one| one.kind == kind);
            of_kind.all(|one| one.holds)
        };
        let others = [ConditionKind::Accepted, ConditionKind::ResolvedRefs];
        let is_explained = others.into_iter().any(|kind| !works(kind));
        let is_served = works(ConditionKind::Accepted) && works(ConditionKind::Programmed);
        for condition in conditions {
            let severity = match condition.kind {
                _ if condition.message.is_empty() => continue,
                // So it is in files.
                ConditionKind::SupportedVersion if *condition.message == *UNKNOWN_VERSION => {
                    continue;
                }
                ConditionKind::Programmed if condition.holds || is_explained => continue,
                ConditionKind::Programmed if WAITS.contains(&condition.reason) => Severity::Info,
                ConditionKind::OverlappingTlsConfig if condition.holds => Severity::Info,
                ConditionKind::PartiallyInvalid if condition.holds => Severity::Error,
                // `Accepted` says the same.
                ConditionKind::Conflicted => continue,
                _ if condition.holds => continue,
                ConditionKind::SupportedVersion => Severity::Warning,
                ConditionKind::ResolvedRefs if is_served && !self.is_route() => Severity::Warning,
                _ => Severity::Error,
            };
            self.add(
                severity,
                field(condition).as_ref(),
                condition.message.clone(),
            );
        }
    }

    fn upstream(&mut self, service: &Name, problem: &UpstreamProblem) {
        if let Some(fact) = &problem.no_endpoints {
            let consequence = match self.object.kind {
                Kind::HttpRoute | Kind::GrpcRoute => "its requests get 503",
                Kind::UdpRoute => "its datagrams are dropped",
                _ => "its connections are closed",
            };
            let message = format!("{fact}; {consequence}");
            self.add(Severity::Warning, "spec.rules", message.into());
        }
        for address in &problem.refused {
            let message =
                format!("refused endpoint address {address} of Service {service}; left out");
            self.add(Severity::Error, "spec.rules", message.into());
        }
    }

    /// Adds a finding, unless the same is said already: of another parent, or by another condition.
    fn add(&mut self, severity: Severity, field: &str, message: Arc<str>) {
        let is_known = |known: &Finding| known.message == message && *known.field == *field;
        if !self.findings.iter().any(is_known) {
            self.findings.push(Finding {
                severity,
                subject: Subject::Object(self.object.clone()),
                field: field.into(),
                message,
            });
        }
    }

    fn is_route(&self) -> bool {
        super::route::KINDS.contains(&self.object.kind)
    }
}

/// The field of a listener that a condition is about.
fn of_listener(condition: &Condition) -> &'static str {
    match condition.reason {
        "UnsupportedProtocol" => ".protocol",
        "HostnameConflict" => ".hostname",
        "PortUnavailable" | "ProtocolConflict" => ".port",
        "InvalidCertificateRef" => ".tls.certificateRefs",
        "InvalidRouteKinds" => ".allowedRoutes.kinds",
        _ => "",
    }
}

/// The field of a Gateway that a condition is about.
fn of_gateway(condition: &Condition) -> &'static str {
    match (condition.kind, condition.reason) {
        (ConditionKind::ResolvedRefs, _) => "spec.tls.backend.clientCertificateRef",
        (_, "InvalidParameters") => "spec.infrastructure.parametersRef",
        (_, "ListenersNotValid") => "spec.listeners",
        (_, "UnsupportedAddress" | "AddressNotAssigned" | "AddressNotUsable") => "spec.addresses",
        _ => "",
    }
}

/// The field of a route that a condition is about.
fn of_route(condition: &Condition) -> &'static str {
    match condition.reason {
        "NoMatchingParent" | "NotAllowedByListeners" => "spec.parentRefs",
        "NoMatchingListenerHostname" => "spec.hostnames",
        _ => "spec.rules",
    }
}

/// The field of a policy that a condition is about.
fn of_policy(condition: &Condition) -> &'static str {
    match condition.reason {
        "TargetNotFound" | "Conflicted" => "spec.targetRefs",
        _ => "spec.validation",
    }
}
