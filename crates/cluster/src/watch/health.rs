//! How well the API server can be read: for logs, metrics and readiness.

use std::collections::BTreeMap;
use std::time::Instant;

use headgate_compile::Kind;
use tokio::sync::watch;

use super::message::{Id, Problem, Sort};
use super::metrics::WatchMetrics;

/// A selection with so many failures in a row is in trouble; one alone happens when a server restarts.
const FAILURES: u32 = 2;

/// What is known about the connection to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it answers.
    pub connected: bool,
    /// What is served was read from the cache, and not from the API server yet.
    pub stale: bool,
    /// Everything that has to be known was listed.
    pub complete: bool,
    /// What cannot be read, with the reason.
    pub problems: Vec<String>,
}

/// What is wrong with a selection.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) kind: Kind,
    /// The objects, for people.
    pub(super) what: String,
    /// Nothing can be served before it is listed.
    pub(super) is_required: bool,
    pub(super) problem: Problem,
}

/// What is wrong with all of them; logs what begins and ends.
pub(super) struct Conditions {
    all: BTreeMap<Id, Condition>,
    metrics: WatchMetrics,
    health: watch::Sender<Health>,
    /// Since when the API server does not answer; and what was said about it.
    lost: Option<Instant>,
    /// Whether anything was ever listed.
    reached: bool,
}

impl Conditions {
    /// Nothing known.
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

    /// For those who want to know.
    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Whether the API server was found to be out of reach and nothing was ever read.
    pub(super) fn is_unreachable(&self) -> bool {
        !self.reached && self.lost.is_some()
    }

    /// What is served is from the cache, or no longer.
    pub(super) fn set_stale(&self, stale: bool) {
        self.metrics.stale.set(i64::from(stale));
        self.health
            .send_if_modified(|health| std::mem::replace(&mut health.stale, stale) != stale);
    }

    /// Everything was listed.
    pub(super) fn set_complete(&self) {
        self.health
            .send_if_modified(|health| !std::mem::replace(&mut health.complete, true));
    }

    /// A list is complete.
    pub(super) fn completed(&mut self, _: Id) {
        if !std::mem::replace(&mut self.reached, true) {
            self.show();
        }
    }

    /// What is wrong with a selection, `None` if nothing.
    pub(super) fn set(&mut self, id: Id, condition: Option<Condition>) {
        let before = match condition {
            Some(condition) => {
                self.report(id, &condition);
                self.all.insert(id, condition)
            }
            None => self.all.remove(&id),
        };
        let is_over = !self.all.contains_key(&id);
        if let Some(before) = before.filter(|before| is_over && before.is_denied()) {
            tracing::info!(what = %before.what, "can be read again");
            self.metrics.denied(before.kind, false);
        }
        self.judge();
        self.show();
    }

    /// Says what is new about a selection.
    fn report(&self, id: Id, condition: &Condition) {
        let before = self.all.get(&id);
        let Condition { what, problem, .. } = condition;
        let error = &problem.message;
        if !condition.is_denied() {
            tracing::debug!(%what, %error, failures = problem.failures, "cannot be read now");
            return;
        }
        self.metrics.denied(condition.kind, true);
        if before.is_some_and(Condition::is_denied) {
            return;
        }
        if condition.is_required {
            tracing::error!(
                %what, %error,
                "may not be listed and watched: nothing is served until the role allows both"
            );
        } else {
            tracing::error!(
                %what, %error,
                "may not be listed and watched: going on with what is known of them, which may be nothing"
            );
        }
    }

    /// Says when the API server is lost and found.
    fn judge(&mut self) {
        let enough = if self.reached { FAILURES } else { 1 };
        let mut troubles = self.all.values().filter(|one| !one.is_denied());
        let mut is_any = false;
        let worst = troubles.find(|condition| {
            is_any = true;
            condition.problem.failures >= enough
        });
        match (worst, self.lost) {
            (Some(condition), None) => {
                let (what, error) = (&condition.what, &condition.problem.message);
                if self.reached {
                    tracing::warn!(
                        %what, %error,
                        "the API server does not answer as it should: serving on with what is known"
                    );
                } else {
                    tracing::warn!(%what, %error, "the API server cannot be reached: trying until it can");
                }
                self.lost = Some(Instant::now());
            }
            (None, Some(since)) if !is_any => {
                let seconds = since.elapsed().as_secs();
                tracing::info!(seconds, "the API server answers again");
                self.lost = None;
            }
            _ => {}
        }
    }

    fn show(&self) {
        let connected = self.reached && self.lost.is_none();
        self.metrics.connected.set(i64::from(connected));
        let problems = self.all.values();
        let problems: Vec<String> = problems
            .map(|condition| format!("{}: {}", condition.what, condition.problem.message))
            .collect();
        self.health.send_if_modified(|health| {
            let is_news = health.connected != connected || health.problems != problems;
            health.connected = connected;
            health.problems = problems;
            is_news
        });
    }
}

impl Condition {
    fn is_denied(&self) -> bool {
        self.problem.sort == Sort::Denied
    }
}
