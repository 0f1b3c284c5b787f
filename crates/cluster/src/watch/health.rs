//! Health of the connection to the API server, for logs, metrics and readiness.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use headgate_compile::Kind;
use tokio::sync::watch;

use super::message::{Id, Problem, ProblemKind};
use super::metrics::WatchMetrics;

/// Failures of a selection in a row before the API server counts as lost; one happens when a server restarts.
const FAILURES: u32 = 2;

/// The state of the connection to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the API server responds.
    pub connected: bool,
    /// The served objects are from the cache, not yet from the API server.
    pub stale: bool,
    /// All required objects were listed.
    pub complete: bool,
    /// What cannot be read, with the reason.
    pub problems: Vec<String>,
    /// Kinds that must not be listed, or that the API server does not have.
    pub denied: BTreeSet<Kind>,
}

/// The problem of a selection.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) kind: Kind,
    /// Description of the objects, for messages.
    pub(super) what: String,
    /// Nothing can be served before it is listed.
    pub(super) is_required: bool,
    pub(super) problem: Problem,
}

/// The problems of all selections; logs when they begin and end.
pub(super) struct Conditions {
    all: BTreeMap<Id, Condition>,
    metrics: WatchMetrics,
    health: watch::Sender<Health>,
    /// Since when the API server does not respond.
    lost: Option<Instant>,
    /// Whether anything was ever listed.
    reached: bool,
}

impl Conditions {
    pub(super) fn new(metrics: WatchMetrics) -> Self {
        metrics.connected.set(0);
        metrics.stale.set(0);
        Self {
            all: BTreeMap::new(),
            metrics,
            health: watch::Sender::new(Health::default()),
            lost: None,
            reached: false,
        }
    }

    pub(super) fn metrics(&self) -> &WatchMetrics {
        &self.metrics
    }

    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether the API server is unreachable and nothing was ever listed.
    pub(super) fn is_unreachable(&self) -> bool {
        !self.reached && self.lost.is_some()
    }

    pub(super) fn set_stale(&self, stale: bool) {
        self.metrics.stale.set(i64::from(stale));
        self.health
            .send_if_modified(|health| std::mem::replace(&mut health.stale, stale) != stale);
    }

    pub(super) fn set_complete(&self) {
        self.health
            .send_if_modified(|health| !std::mem::replace(&mut health.complete, true));
    }

    /// A list is complete.
    pub(super) fn listed(&mut self) {
        if !std::mem::replace(&mut self.reached, true) {
            self.publish();
        }
    }

    /// Sets or clears the problem of a selection.
    pub(super) fn set(&mut self, id: Id, condition: Option<Condition>) {
        let before = match condition {
            Some(condition) => {
                self.report(id, &condition);
                self.all.insert(id, condition)
            }
            None => self.all.remove(&id),
        };
        if let Some(before) = before.filter(Condition::is_denied) {
            if !self.all.contains_key(&id) {
                tracing::info!(what = %before.what, "can be listed and watched again");
            }
            // Selections of a kind share the metric.
            let mut same_kind = self.all.values().filter(|one| one.kind == before.kind);
            let is_denied = same_kind.any(Condition::is_denied);
            self.metrics.denied(before.kind, is_denied);
        }
        self.update_lost();
        self.publish();
    }

    /// Logs a problem that is new.
    fn report(&self, id: Id, condition: &Condition) {
        let before = self.all.get(&id);
        let Condition { what, problem, .. } = condition;
        let error = &problem.message;
        if !condition.is_denied() {
            tracing::debug!(%what, %error, failures = problem.failures, "listing or watching failed");
            return;
        }
        self.metrics.denied(condition.kind, true);
        if before.is_some_and(Condition::is_denied) {
            return;
        }
        if condition.is_required {
            tracing::error!(
                %what, %error,
                "listing or watching is forbidden: nothing is served until the role allows both"
            );
        } else if condition.kind == Kind::IngressClass {
            tracing::warn!(
                %what, %error,
                "listing or watching is forbidden: Ingresses are selected without class objects, by the annotation kubernetes.io/ingress.class"
            );
        } else if condition.kind == Kind::CustomResourceDefinition {
            tracing::warn!(
                %error,
                "listing or watching CRDs is forbidden: those of the Gateway API that are installed later may be noticed late; allow list and watch of customresourcedefinitions.apiextensions.k8s.io"
            );
        } else if condition.kind.is_custom() {
            let permission = condition.kind.definition();
            tracing::warn!(
                %what, %error,
                "listing or watching is forbidden: serving without these objects; allow list and watch of {permission}"
            );
        } else if condition.kind == Kind::Namespace {
            tracing::warn!(
                %error,
                "listing or watching namespaces is forbidden: listeners cannot select routes by the labels of namespaces; allow list and watch of namespaces"
            );
        } else {
            tracing::error!(
                %what, %error,
                "listing or watching is forbidden: serving with the objects known so far, if any"
            );
        }
    }

    /// Decides whether the API server is lost, and logs changes.
    fn update_lost(&mut self) {
        let enough = if self.reached { FAILURES } else { 1 };
        let mut failing = self.all.values().filter(|one| !one.is_denied());
        let mut is_any = false;
        let worst = failing.find(|condition| {
            is_any = true;
            condition.problem.failures >= enough
        });
        match (worst, self.lost) {
            (Some(condition), None) => {
                let (what, error) = (&condition.what, &condition.problem.message);
                if self.reached {
                    tracing::warn!(
                        %what, %error,
                        "API server failing: serving the objects known so far"
                    );
                } else {
                    tracing::warn!(%what, %error, "cannot reach the API server: retrying");
                }
                self.lost = Some(Instant::now());
            }
            (None, Some(since)) if !is_any => {
                let seconds = since.elapsed().as_secs();
                tracing::info!(seconds, "API server responding again");
                self.lost = None;
            }
            _ => {}
        }
    }

    fn publish(&self) {
        let connected = self.reached && self.lost.is_none();
        self.metrics.connected.set(i64::from(connected));
        let problems = self.all.values();
        let problems: Vec<String> = problems
            .map(|condition| format!("{}: {}", condition.what, condition.problem.message))
            .collect();
        let denied = self.all.values().filter(|one| one.is_denied());
        let denied: BTreeSet<Kind> = denied.map(|condition| condition.kind).collect();
        self.health.send_if_modified(|health| {
            let is_changed = health.connected != connected
                || health.problems != problems
                || health.denied != denied;
            health.denied = denied;
            health.connected = connected;
            health.problems = problems;
            is_changed
        });
    }
}

impl Condition {
    fn is_denied(&self) -> bool {
        self.problem.kind == ProblemKind::Denied
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use prometheus::Registry;

    use super::*;

    fn condition(kind: ProblemKind) -> Option<Condition> {
        Some(Condition {
            kind: Kind::ConfigMap,
            what: "ConfigMap objects".to_owned(),
            is_required: false,
            problem: Problem {
                message: "forbidden".to_owned(),
                kind,
                failures: 1,
            },
        })
    }

    #[test]
    fn a_kind_is_denied_while_one_of_its_selections_is() {
        let metrics = WatchMetrics::new(&crate::CommonLabels::new()).unwrap();
        let registry = Registry::new();
        metrics.register(&registry).unwrap();
        let denied = || {
            let families = registry.gather();
            let mut families = families.iter();
            let family = families.find(|family| family.name() == "headgate_watch_denied");
            family.unwrap().get_metric()[0].get_gauge().get_value()
        };
        let mut conditions = Conditions::new(metrics);
        let (one, two) = (Id(1), Id(2));
        conditions.set(one, condition(ProblemKind::Denied));
        conditions.set(two, condition(ProblemKind::Denied));
        conditions.set(one, None);
        assert_eq!(denied(), 1.0);
        conditions.set(two, condition(ProblemKind::Other));
        conditions.set(two, None);
        assert_eq!(denied(), 0.0);
    }
}
