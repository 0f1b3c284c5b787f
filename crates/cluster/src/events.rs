//! Events on objects: findings about them, and what the controller did with them.
//!
//! Other tasks queue a [`Notice`] without waiting; one task writes `events.k8s.io/v1` Events from them. Events are best
//! effort: they are limited by object and in all, and while the API server is unreachable the oldest are dropped. A repeated
//! one becomes a series, whose count is written at its first repetition and then every 5 minutes at most. Findings are in the
//! log, the metrics and the admin port as well.

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
use notice::EventContent;
pub use notice::{ConfigChange, Notice, Reason, Regarding};
use publish::Publisher;
pub use queue::Notices;
use queue::Writer;
use series::{Memory, Step};

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

/// Which replica writes Events that all replicas could write: those of findings, Ingresses and ConfigMaps. Every replica
/// writes those about itself.
#[derive(Clone, Debug)]
pub enum Reporter {
    /// The leader, so that each has one Event, which the others do not contend for.
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
                let due = self.memory.due();
                let was_sent = tokio::select! {
                    notice = notices.next() => self.report(&notice).await,
                    () = at(due) => self.update_series().await,
                };
                if was_sent {
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
        let (name, step) = self.memory.note(&content, now);
        let count = match step {
            Step::Count => return false,
            Step::Update(count) => count,
            // Repetitions need no limit: they cause few requests.
            Step::Create if self.limits.admit(&content, now) => 1,
            Step::Create => {
                self.memory.forget(&name);
                self.metrics.dropped("limit");
                return false;
            }
        };
        let notices = self.notices.clone();
        self.write(&content, &name, count, || notices.is_current(notice))
            .await;
        true
    }

    /// Writes the count of the series that is due. Whether a request was sent.
    async fn update_series(&mut self) -> bool {
        let Some((name, content, count)) = self.memory.take_due() else {
            return false;
        };
        if content.reason.is_shared() && !self.notices.writes_shared() {
            // The new leader counts on.
            self.memory.forget(&name);
            return false;
        }
        self.write(&content, &name, count, || false).await;
        true
    }

    /// Writes one Event, and again after failures while `is_current`.
    async fn write(
        &mut self,
        content: &EventContent,
        name: &str,
        count: i32,
        is_current: impl Fn() -> bool,
    ) {
        let mut wait = BACK_OFF.0;
        loop {
            match self.publisher.publish(content, name, count).await {
                Ok(count) => {
                    self.recovered();
                    self.metrics.written();
                    self.memory.written(name, count, Instant::now());
                    return;
                }
                Err(error) if error.is_lasting() => {
                    if error.is_of_deleted_namespace() {
                        let error = crate::causes::causes(&error);
                        tracing::debug!(error, "no Event: its namespace is being deleted");
                    } else {
                        self.failed(&error);
                    }
                    self.metrics.dropped("refused");
                    self.memory.forget(name);
                    return;
                }
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACK_OFF.1);
            if !is_current() {
                self.memory.forget(name);
                return;
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

/// Never, for `None`.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Switches the shared Events on and off with the leadership.
async fn follow(reporter: Reporter, notices: &Notices) {
    match reporter {
        Reporter::Always => notices.set_writer(Writer::This),
        Reporter::Leader(mut leadership) => loop {
            let writer = {
                let known = leadership.borrow_and_update();
                let leads = known.leader(Instant::now()).is_some();
                match (leads, known.holder()) {
                    (true, _) => Writer::This,
                    (false, Some(_)) => Writer::Other,
                    (false, None) => Writer::Unknown,
                }
            };
            notices.set_writer(writer);
            if leadership.changed().await.is_err() {
                notices.set_writer(Writer::Other);
                break;
            }
        },
    }
    std::future::pending().await
}
