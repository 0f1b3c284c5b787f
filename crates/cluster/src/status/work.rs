//! The loop: what happened, what follows from it, and writing that at a bounded rate.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use headgate_compile::Name;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::addresses::{self, Replicas};
use super::error::Verdict;
use super::plan::{StatusPlan, Write};
use super::write::Writer;
use super::{Address, AddressSource, Observations, StatusError, StatusInput, StatusWriter};
use crate::causes::causes;
use crate::leadership::{Leader, Leadership};

/// Writes under way at the same time.
const CONCURRENT: usize = 10;
/// Between two writes: a hundred a second.
const PACE: Duration = Duration::from_millis(10);
/// What happens in quick succession is looked at together: after the first of it, and between two looks.
const SETTLE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Waits after failures: doubled from the one to the other.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Between two attempts to find the addresses of nodes.
const LOOKUP: Duration = Duration::from_secs(5);
/// Clearing statuses at the end takes no longer.
const FINISH: Duration = Duration::from_secs(5);

/// The state of the task.
pub(super) struct Work<O> {
    writer: Arc<Writer>,
    replicas: Replicas,
    task: StatusWriter<O>,
    leadership: watch::Receiver<Leadership>,
    plan: StatusPlan,
    /// Nothing is known to be ours, nor not to be, before the first input.
    informed: bool,
    queue: VecDeque<Write>,
    under_way: BTreeSet<Name>,
    writing: JoinSet<(Write, Result<(), StatusError>)>,
    lookup: JoinSet<Arc<[Address]>>,
    looked_up: Option<Arc<[Address]>>,
    /// Whether there was an address ever. A Service that waits for its first one is no reason to clear statuses, which
    /// may be those of a controller that this one is to replace.
    had_address: bool,
    look_at: Option<Instant>,
    looked_at: Option<Instant>,
    pause: Pause,
    trouble: Option<Trouble>,
}

/// After a failure nothing is written for a while.
struct Pause {
    until: Option<Instant>,
    next: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Forbidden,
    Failing,
    Refused,
}

impl<O: Observations> Work<O> {
    pub(super) fn new(task: StatusWriter<O>, leadership: watch::Receiver<Leadership>) -> Self {
        Self {
            writer: Arc::new(Writer::new(task.client.clone())),
            replicas: Replicas::new(task.client.clone(), task.options.pod.clone()),
            task,
            leadership,
            plan: StatusPlan::default(),
            informed: false,
            queue: VecDeque::new(),
            under_way: BTreeSet::new(),
            writing: JoinSet::new(),
            lookup: JoinSet::new(),
            looked_up: None,
            had_address: false,
            look_at: None,
            looked_at: None,
            pause: Pause {
                until: None,
                next: BACK_OFF.0,
            },
            trouble: None,
        }
    }

    /// Never ends.
    pub(super) async fn run(&mut self, mut inputs: mpsc::UnboundedReceiver<StatusInput>) {
        let observations = self.task.observations.clone();
        let mut intervals = ticks(self.task.options.interval);
        let mut pace = ticks(PACE);
        let mut leadership = self.leadership.clone();
        self.begin_interval();
        loop {
            let may_write = !self.queue.is_empty() && self.under_way.len() < CONCURRENT;
            let paused = self.pause.until;
            tokio::select! {
                Some(input) = inputs.recv() => {
                    self.plan.take(input);
                    self.informed = true;
                    self.look_soon();
                }
                Ok(()) = leadership.changed() => self.begin_interval(),
                () = observations.changed() => self.look_soon(),
                _ = intervals.tick() => self.begin_interval(),
                () = at(self.look_at) => self.look(),
                Some(Ok(found)) = self.lookup.join_next() => self.found(found),
                Some(Ok((write, result))) = self.writing.join_next() => self.written(write, result),
                () = at(paused), if paused.is_some() => self.pause.until = None,
                _ = pace.tick(), if may_write && paused.is_none() => self.write_next(),
            }
        }
    }

    /// Clears statuses if we are the last to stop.
    pub(super) async fn finish(mut self) {
        self.writing.abort_all();
        self.lookup.abort_all();
        let Some(leader) = self.leader() else {
            return;
        };
        if !self.task.options.clear_on_shutdown {
            return;
        }
        match tokio::time::timeout(FINISH, self.clear(&leader)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = causes(&error), "statuses are kept as they are");
            }
            Err(_) => tracing::warn!("not all statuses were cleared in time"),
        }
    }

    async fn clear(&self, leader: &Leader) -> Result<(), StatusError> {
        if self.replicas.others_run().await? {
            tracing::info!("statuses are kept: other replicas run");
            return Ok(());
        }
        let observed = |name: &Name| self.task.observations.observed(name);
        let writes = self
            .plan
            .clearing_writes(observed, self.addresses().as_ref());
        let count = writes.len();
        let cleared = stream::iter(writes).map(|write| async move {
            let result = self.writer.write(&write, leader).await;
            if let Err(error) = &result {
                tracing::debug!(ingress = %write.ingress, error = causes(error), "status not cleared");
            }
            usize::from(result.is_ok())
        });
        let cleared = cleared.buffer_unordered(CONCURRENT);
        let cleared = cleared
            .fold(0, |sum, one| std::future::ready(sum + one))
            .await;
        tracing::info!(
            cleared,
            of = count,
            "cleared statuses: no other replica runs"
        );
        Ok(())
    }

    fn leader(&self) -> Option<Leader> {
        self.leadership.borrow().leader(Instant::now()).cloned()
    }

    /// What went wrong before may go well now, and what seemed right is looked at again.
    fn begin_interval(&mut self) {
        self.plan.begin_interval();
        self.writer.hope();
        if self.leader().is_none() {
            self.lookup = JoinSet::new();
        } else if self.lookup.is_empty() {
            self.look_up_nodes();
        }
        self.look_soon();
    }

    fn look_up_nodes(&mut self) {
        let AddressSource::Nodes { internal } = self.task.options.source else {
            return;
        };
        let replicas = self.replicas.clone();
        self.lookup.spawn(async move {
            let mut reported = false;
            loop {
                match replicas.addresses(internal).await {
                    Ok(addresses) => return addresses,
                    Err(error) if reported => {
                        tracing::debug!(error = causes(&error), "still no addresses of nodes");
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = causes(&error),
                            "no addresses of nodes; statuses stay as they are"
                        );
                        reported = true;
                    }
                }
                tokio::time::sleep(LOOKUP).await;
            }
        });
    }

    fn found(&mut self, found: Arc<[Address]>) {
        self.looked_up = Some(found);
        self.look_soon();
    }

    fn addresses(&self) -> Option<Arc<[Address]>> {
        match &self.task.options.source {
            AddressSource::Fixed(fixed) => Some(addresses::listed(fixed.iter().cloned())),
            AddressSource::Service => {
                let service = self.task.observations.publish_service();
                service.map(|service| addresses::of_service(&service))
            }
            AddressSource::Nodes { .. } => self.looked_up.clone(),
        }
    }

    fn look_soon(&mut self) {
        let soon = Instant::now() + SETTLE.0;
        let earliest = self
            .looked_at
            .map_or(soon, |last| soon.max(last + SETTLE.1));
        self.look_at = Some(self.look_at.map_or(earliest, |at| at.min(earliest)));
    }

    /// Compares what is with what should be.
    fn look(&mut self) {
        self.look_at = None;
        self.looked_at = Some(Instant::now());
        self.queue.clear();
        if self.informed && self.leader().is_some() {
            let addresses = self.addresses();
            self.had_address |= addresses.as_ref().is_some_and(|list| !list.is_empty());
            let addresses = addresses.filter(|_| self.had_address);
            let observations = self.task.observations.clone();
            let writes = self
                .plan
                .writes(|name| observations.observed(name), addresses.as_ref());
            let under_way = &self.under_way;
            let news = writes
                .into_iter()
                .filter(|write| !under_way.contains(&write.ingress));
            self.queue.extend(news);
        }
        self.task.metrics.pending(self.queue.len());
    }

    fn write_next(&mut self) {
        let Some(leader) = self.leader() else {
            self.queue.clear();
            return;
        };
        let Some(write) = self.queue.pop_front() else {
            return;
        };
        self.task.metrics.pending(self.queue.len());
        self.under_way.insert(write.ingress.clone());
        let writer = self.writer.clone();
        self.writing.spawn(async move {
            let result = writer.write(&write, &leader).await;
            (write, result)
        });
    }

    fn written(&mut self, write: Write, result: Result<(), StatusError>) {
        self.under_way.remove(&write.ingress);
        let metrics = &self.task.metrics;
        let Err(error) = result else {
            metrics.written();
            tracing::debug!(ingress = %write.ingress, "status written");
            self.pause.next = BACK_OFF.0;
            self.plan.done(write);
            if self.trouble.take().is_some() {
                tracing::info!("statuses are written again");
            }
            // Something may have happened to it meanwhile that was left out because of this write.
            self.look_soon();
            return;
        };
        match error.verdict() {
            Verdict::Drop => {}
            Verdict::Leave if error.is_conflict() => {
                metrics.failed();
                tracing::debug!(ingress = %write.ingress, error = causes(&error), "status not written");
                self.plan.done(write);
            }
            Verdict::Leave => {
                metrics.failed();
                self.report(Trouble::Refused, &write, &error);
                self.plan.done(write);
            }
            Verdict::Forbidden => {
                metrics.forbidden();
                self.report(Trouble::Forbidden, &write, &error);
                self.rest(BACK_OFF.1);
            }
            Verdict::Retry(at_least) => {
                metrics.failed();
                self.report(Trouble::Failing, &write, &error);
                let wait = self.pause.next.max(at_least);
                self.pause.next = (self.pause.next * 2).min(BACK_OFF.1);
                self.rest(wait);
            }
        }
    }

    /// Those under way fail together; that is one failure, and its back-off is not made longer by each.
    fn rest(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        self.pause.until = Some(self.pause.until.map_or(until, |before| before.max(until)));
        self.look_at = self.pause.until;
    }

    /// Said once for each kind of trouble.
    fn report(&mut self, trouble: Trouble, write: &Write, error: &StatusError) {
        let (ingress, error) = (&write.ingress, causes(error));
        if self.trouble == Some(trouble) {
            tracing::debug!(%ingress, error, "status not written");
        } else {
            let hint = match trouble {
                Trouble::Forbidden => "; allow patch or update of ingresses/status",
                Trouble::Failing | Trouble::Refused => "",
            };
            tracing::warn!(%ingress, error, "status not written{hint}");
            self.trouble = Some(trouble);
        }
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
