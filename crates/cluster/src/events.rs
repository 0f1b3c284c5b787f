//! Events on objects: findings about them, and what the controller did with them.
//!
//! Other tasks queue a [`Notice`] without waiting; one task writes `events.k8s.io/v1` Events from them. Events are best
//! effort: they are limited by object and in all, a repeated one becomes a series, and while the API server is
//! unreachable the oldest are dropped. Findings are in the log, the metrics and the admin port as well.

mod error;
mod limits;
mod metrics;
mod notice;
mod publish;
mod queue;
mod series;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::leadership::Leadership;
pub use error::EventError;
use limits::Limits;
pub use metrics::EventMetrics;
pub use notice::{ConfigChange, Notice, Reason, Regarding};
use publish::Publisher;
pub use queue::Notices;
use series::Memory;

/// Between two Events.
const PACE: Duration = Duration::from_millis(20);
/// First and longest wait after failures; it doubles.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The reporting replica.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// Which controller: `headgate`.
    pub controller: Arc<str>,
    /// Which replica: the pod's name.
    pub instance: Arc<str>,
    /// Whether a Sync Event is written when an Ingress is added or updated (off with `--disable-sync-events`).
    pub sync: bool,
}

/// Which replica writes Events of findings; every replica writes the others.
#[derive(Clone, Debug)]
pub enum Reporter {
    /// The leader, so that a finding has one Event.
    Leader(watch::Receiver<Leadership>),
    /// This replica: there is no election.
    Always,
}

/// The task that writes Events.
pub struct Events {
    notices: Notices,
    publisher: Publisher,
    memory: Memory,
    limits: Limits,
    metrics: EventMetrics,
    /// Kind of the last failure, logged once.
    last_failure: Option<String>,
}

impl Events {
    /// A task that does nothing until it is run, and the queue of its notices.
    pub fn new(client: Client, options: EventOptions, metrics: EventMetrics) -> (Self, Notices) {
        let notices = Notices::new(options.sync, metrics.clone());
        let events = Self {
            notices: notices.clone(),
            publisher: Publisher::new(client, options),
            memory: Memory::default(),
            limits: Limits::new(Instant::now()),
            metrics,
            last_failure: None,
        };
        (events, notices)
    }

    /// Writes Events for ever. Dropping it loses only queued notices.
    pub async fn run(mut self, reporter: Reporter) {
        let notices = self.notices.clone();
        let report = async {
            let mut pace = tokio::time::interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let notice = notices.next().await;
                if self.report(&notice).await {
                    pace.tick().await;
                }
            }
        };
        tokio::join!(report, follow(reporter, &notices));
    }

    /// Whether a request was sent.
    async fn report(&mut self, notice: &Notice) -> bool {
        let content = notice.content();
        let now = Instant::now();
        if !self.limits.admit(&content, now) {
            self.metrics.dropped("limit");
            return false;
        }
        let mut wait = BACK_OFF.0;
        loop {
            let (name, count) = self.memory.note(&content, Instant::now());
            let result = self.publisher.publish(&content, &name, count).await;
            match result {
                Ok(()) => {
                    self.recovered();
                    self.metrics.written();
                    return true;
                }
                Err(error) if error.is_lasting() => {
                    self.failed(&error);
                    self.metrics.dropped("refused");
                    return true;
                }
                Err(error) => {
                    self.failed(&error);
                    self.memory.forget(&content, count);
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACK_OFF.1);
            if !self.notices.is_current(notice) {
                return true;
            }
        }
    }

    /// Warns once for each kind of failure, however many Events it affects.
    fn failed(&mut self, error: &EventError) {
        let kind = error.kind();
        let message = crate::causes::causes(error);
        if self.last_failure.as_deref() == Some(kind) {
            tracing::debug!(error = message, "cannot write an Event");
        } else {
            tracing::warn!(error = message, "cannot write Events");
            self.last_failure = Some(kind.to_owned());
        }
    }

    fn recovered(&mut self) {
        if self.last_failure.take().is_some() {
            tracing::info!("writing Events again");
        }
    }
}

/// Switches the Events of findings on and off with the leadership.
async fn follow(reporter: Reporter, notices: &Notices) {
    match reporter {
        Reporter::Always => notices.report_findings(true),
        Reporter::Leader(mut leadership) => loop {
            let leads = leadership
                .borrow_and_update()
                .leader(Instant::now())
                .is_some();
            notices.report_findings(leads);
            if leadership.changed().await.is_err() {
                notices.report_findings(false);
                break;
            }
        },
    }
    std::future::pending().await
}
