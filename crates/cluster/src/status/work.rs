//! The loop of the status writer: collects changes, compares statuses, and writes at a bounded rate.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use headgate_compile::Name;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::addresses::{self, Replicas};
use super::error::RetryPolicy;
use super::plan::{StatusPlan, Write};
use super::write::Writer;
use super::{Address, AddressSource, Observations, StatusInput, StatusWriter, WriteError};
use crate::causes::causes;
use crate::leadership::{Leader, Leadership};
use crate::write_pace::{CONCURRENT, PACE, Pause, at, ticks};

/// Changes in quick succession are compared together: delay after the first of them, and least time between two
/// comparisons.
const DEBOUNCE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Ingresses that are compared before other tasks run.
const AT_ONCE: usize = 500;
/// Between two attempts to find the addresses of nodes.
const LOOKUP: Duration = Duration::from_secs(5);
/// Timeout of clearing statuses at the end.
const FINISH: Duration = Duration::from_secs(5);

/// The state of the task.
pub(super) struct Work<O> {
    writer: Arc<Writer>,
    replicas: Replicas,
    task: StatusWriter<O>,
    leadership: watch::Receiver<Leadership>,
    plan: StatusPlan,
    /// The first input has arrived; before it the set of Ingresses is unknown.
    has_input: bool,
    queue: VecDeque<Write>,
    in_progress: BTreeSet<Name>,
    writing: JoinSet<(Write, Result<(), WriteError>)>,
    lookup: JoinSet<Arc<[Address]>>,
    looked_up: Option<Arc<[Address]>>,
    /// Whether there ever was an address. While a Service waits for its first one, statuses are not cleared: they may be
    /// those of the controller that this one replaces.
    had_address: bool,
    next_comparison: Option<Instant>,
    last_comparison: Option<Instant>,
    pause: Pause,
    last_failure: Option<FailureKind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FailureKind {
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
            has_input: false,
            queue: VecDeque::new(),
            in_progress: BTreeSet::new(),
            writing: JoinSet::new(),
            lookup: JoinSet::new(),
            looked_up: None,
            had_address: false,
            next_comparison: None,
            last_comparison: None,
            pause: Pause::new(),
            last_failure: None,
        }
    }

    /// Never ends.
    pub(super) async fn run(&mut self, inputs: &mut mpsc::UnboundedReceiver<StatusInput>) {
        let observations = self.task.observations.clone();
        let mut intervals = ticks(self.task.options.interval);
        let mut pace = ticks(PACE);
        let mut leadership = self.leadership.clone();
        self.begin_interval();
        loop {
            let may_write = !self.queue.is_empty() && self.in_progress.len() < CONCURRENT;
            let paused = self.pause.until;
            tokio::select! {
                Some(input) = inputs.recv() => {
                    self.plan.apply(input);
                    self.has_input = true;
                    self.compare_soon();
                }
                Ok(()) = leadership.changed() => self.begin_interval(),
                () = observations.changed() => self.compare_soon(),
                _ = intervals.tick() => self.begin_interval(),
                () = at(self.next_comparison) => self.compare().await,
                Some(Ok(found)) = self.lookup.join_next() => self.found(found),
                Some(Ok((write, result))) = self.writing.join_next() => self.written(write, result),
                () = at(paused), if paused.is_some() => self.pause.until = None,
                _ = pace.tick(), if may_write && paused.is_none() => self.write_next(),
            }
        }
    }

    /// Clears statuses if configured and no other replica runs. `inputs` may hold some that have not been applied.
    pub(super) async fn finish(mut self, mut inputs: mpsc::UnboundedReceiver<StatusInput>) {
        self.writing.abort_all();
        self.lookup.abort_all();
        while let Ok(input) = inputs.try_recv() {
            self.plan.apply(input);
        }
        let Some(leader) = self.leader() else {
            return;
        };
        if !self.task.options.clear_on_shutdown {
            return;
        }
        match tokio::time::timeout(FINISH, self.clear(&leader)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = causes(&error), "cannot clear statuses");
            }
            Err(_) => tracing::warn!("timed out clearing statuses"),
        }
    }

    async fn clear(&self, leader: &Leader) -> Result<(), WriteError> {
        if self.replicas.others_run().await? {
            tracing::info!("statuses are not cleared: other replicas run");
            return Ok(());
        }
        let addresses = match self.task.options.source {
            // A leader that has just begun has not found them yet.
            AddressSource::Nodes { internal } if self.looked_up.is_none() => {
                self.replicas.addresses(internal).await.ok()
            }
            _ => self.addresses(),
        };
        let observed = |name: &Name| self.task.observations.observed(name);
        let writes = self.plan.clearing_writes(observed, addresses.as_ref());
        let count = writes.len();
        let cleared = stream::iter(writes).map(|write| async move {
            let result = self.writer.write(&write, leader).await;
            if let Err(error) = &result {
                tracing::debug!(ingress = %write.ingress, error = causes(error), "cannot clear the status");
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

    /// Compares everything again, and retries what failed in the last interval.
    fn begin_interval(&mut self) {
        self.plan.begin_interval();
        self.writer.retry_patch();
        if self.leader().is_none() {
            self.lookup = JoinSet::new();
        } else if self.lookup.is_empty() {
            self.look_up_nodes();
        }
        self.compare_soon();
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
                        tracing::debug!(
                            error = causes(&error),
                            "still cannot find the addresses of nodes"
                        );
                    }
                    Err(error) => {
                        tracing::warn!(
                            error = causes(&error),
                            "cannot find the addresses of nodes; statuses are not updated"
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
        self.compare_soon();
    }

    fn addresses(&self) -> Option<Arc<[Address]>> {
        match &self.task.options.source {
            AddressSource::Fixed(fixed) => Some(addresses::sorted(fixed.iter().cloned())),
            AddressSource::Service => {
                let service = self.task.observations.publish_service();
                service.map(|service| addresses::of_service(&service))
            }
            AddressSource::Nodes { .. } => self.looked_up.clone(),
        }
    }

    fn compare_soon(&mut self) {
        let soon = Instant::now() + DEBOUNCE.0;
        let earliest = self
            .last_comparison
            .map_or(soon, |last| soon.max(last + DEBOUNCE.1));
        let next = self.next_comparison;
        self.next_comparison = Some(next.map_or(earliest, |at| at.min(earliest)));
    }

    /// Queues the writes that turn observed into desired statuses. Other tasks run in between: tables are published on the same
    /// thread.
    async fn compare(&mut self) {
        self.next_comparison = None;
        self.last_comparison = Some(Instant::now());
        self.queue.clear();
        if self.has_input && self.leader().is_some() {
            let addresses = self.addresses();
            self.had_address |= addresses.as_ref().is_some_and(|list| !list.is_empty());
            let addresses = addresses.filter(|_| self.had_address);
            let observations = self.task.observations.clone();
            let observed = |name: &Name| observations.observed(name);
            let writes = self.plan.writes(observed, addresses.as_ref());
            for (number, write) in writes.enumerate() {
                let new = write.filter(|write| !self.in_progress.contains(&write.ingress));
                self.queue.extend(new);
                if number % AT_ONCE == AT_ONCE - 1 {
                    tokio::task::yield_now().await;
                }
            }
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
        self.in_progress.insert(write.ingress.clone());
        let writer = self.writer.clone();
        self.writing.spawn(async move {
            let result = writer.write(&write, &leader).await;
            (write, result)
        });
    }

    fn written(&mut self, write: Write, result: Result<(), WriteError>) {
        self.in_progress.remove(&write.ingress);
        let metrics = &self.task.metrics;
        let Err(error) = result else {
            metrics.written();
            tracing::debug!(ingress = %write.ingress, "status written");
            self.pause.reset();
            self.plan.done(write);
            if self.last_failure.take().is_some() {
                tracing::info!("writing statuses again");
            }
            // Changes of this Ingress during the write were skipped.
            self.compare_soon();
            return;
        };
        match error.retry_policy() {
            RetryPolicy::Drop => {}
            RetryPolicy::Skip if error.is_conflict() => {
                metrics.failed();
                tracing::debug!(ingress = %write.ingress, error = causes(&error), "cannot write the status");
                self.plan.done(write);
            }
            RetryPolicy::Skip => {
                metrics.failed();
                self.report(FailureKind::Refused, &write, &error);
                self.plan.done(write);
            }
            RetryPolicy::Forbidden => {
                metrics.forbidden();
                self.report(FailureKind::Forbidden, &write, &error);
                self.pause.longest();
                self.next_comparison = self.pause.until;
            }
            RetryPolicy::Retry(at_least) => {
                metrics.failed();
                self.report(FailureKind::Failing, &write, &error);
                self.pause.back_off(at_least);
                self.next_comparison = self.pause.until;
            }
        }
    }

    /// Warns once for each kind of failure.
    fn report(&mut self, kind: FailureKind, write: &Write, error: &WriteError) {
        let (ingress, error) = (&write.ingress, causes(error));
        if self.last_failure == Some(kind) {
            tracing::debug!(%ingress, error, "cannot write the status");
        } else {
            let hint = match kind {
                FailureKind::Forbidden => "; allow patch or update of ingresses/status",
                FailureKind::Failing | FailureKind::Refused => "",
            };
            tracing::warn!(%ingress, error, "cannot write the status{hint}");
            self.last_failure = Some(kind);
        }
    }
}
