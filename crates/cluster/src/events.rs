//! Events on objects: what is wrong with them, and what was done about them.
//!
//! Whoever has something to tell hands in a [`Notice`] and goes on; one task writes `events.k8s.io/v1` Events from them.
//! Events are a courtesy: they are limited by object and in all, the same one told again becomes a series, and while the
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

/// About who tells.
#[derive(Clone, Debug)]
pub struct EventOptions {
    /// Which controller: `headgate`.
    pub controller: Arc<str>,
    /// Which replica: the pod's name.
    pub instance: Arc<str>,
    /// Whether adding and updating an Ingress is told on it (off with `--disable-sync-events`).
    pub sync: bool,
}

/// Which replica tells findings; the rest is told by each.
#[derive(Clone, Debug)]
pub enum Teller {
    /// The one that leads, so that a finding is told once.
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
    pub async fn run(mut self, teller: Teller) {
        let notices = self.notices.clone();
        let tell = async {
            let mut pace = tokio::time::interval(PACE);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let notice = notices.next().await;
                if self.tell(&notice).await {
                    pace.tick().await;
                }
            }
        };
        tokio::join!(tell, follow(teller, &notices));
    }

    /// Whether the API server was asked.
    async fn tell(&mut self, notice: &Notice) -> bool {
        let told = notice.told();
        let now = Instant::now();
        if !self.limits.admit(&told, now) {
            self.metrics.dropped("limit");
            return false;
        }
        let mut wait = BACK_OFF.0;
        loop {
            let (name, count) = self.memory.note(&told, Instant::now());
            let result = self.publisher.publish(&told, &name, count).await;
            match result {
                Ok(()) => {
                    self.recovered();
                    self.metrics.told();
                    return true;
                }
                Err(error) if error.is_lasting() => {
                    self.failed(&error);
                    self.metrics.dropped("refused");
                    return true;
                }
                Err(error) => {
                    self.failed(&error);
                    self.memory.forget(&told, count);
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

/// Keeps the notices informed of whether findings are ours to tell.
async fn follow(teller: Teller, notices: &Notices) {
    match teller {
        Teller::Always => notices.tell_findings(true),
        Teller::Leader(mut leadership) => loop {
            let leads = leadership
                .borrow_and_update()
                .leader(Instant::now())
                .is_some();
            notices.tell_findings(leads);
            if leadership.changed().await.is_err() {
                notices.tell_findings(false);
                break;
            }
        },
    }
    std::future::pending().await
}
