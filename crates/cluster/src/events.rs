//! Events on objects: what is wrong with them, and what was done about them.
//!
//! Other tasks queue a [`Notice`] and go on; one task writes `events.k8s.io/v1` Events from them.
//! Events are a courtesy: they are limited by object and in all, a repeated one becomes a series, and while the
//! API server is away the oldest are dropped. What must not be missed is in the log, the metrics and the admin port.

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
/// Waits after failures: doubled from the one to the other.
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
    /// This one, where there is no election.
    Always,
}

/// The task that writes Events.
pub struct Events {
    notices: Notices,
    publisher: Publisher,
    memory: Memory,
    limits: Limits,
    metrics: EventMetrics,
    trouble: Option<String>,
}

impl Events {
    /// A task that does nothing until it is run, and where notices for it go.
    pub fn new(client: Client, options: EventOptions, metrics: EventMetrics) -> (Self, Notices) {
        let notices = Notices::new(options.sync, metrics.clone());
        let events = Self {
            notices: notices.clone(),
            publisher: Publisher::new(client, options),
            memory: Memory::default(),
            limits: Limits::new(Instant::now()),
            metrics,
            trouble: None,
        };
        (events, notices)
    }

    /// Writes Events for ever. Dropping it loses only what waits.
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

    /// Whether the API server was asked.
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

    /// Said once for each kind of trouble, however many Events it costs.
    fn failed(&mut self, error: &EventError) {
        let kind = error.kind();
        let message = crate::causes::causes(error);
        if self.trouble.as_deref() == Some(kind) {
            tracing::debug!(error = message, "an Event was not written");
        } else {
            tracing::warn!(error = message, "Events are not written");
            self.trouble = Some(kind.to_owned());
        }
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("Events are written again");
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
