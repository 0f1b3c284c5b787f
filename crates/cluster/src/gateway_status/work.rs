//! The loop of the status writer: finds the statuses that differ, and writes them at a bounded rate.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use headgate_compile::gateway::Status;
use headgate_compile::{Kind, ObjectRef};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::observed::ObservedStatuses;
use super::part;
use super::write::{After, Write, Writer};
use super::{GatewayStatusInput, GatewayStatusWriter};
use crate::causes::causes;
use crate::leadership::{Leader, Leadership};
use crate::status::{RetryPolicy, StatusMetrics, WriteError};
use crate::write_pace::{CONCURRENT, PACE, Pause, at, ticks};

/// Between two comparisons of all statuses without a change.
const INTERVAL: Duration = Duration::from_secs(60);
/// How often within an interval a status is written again after another client changed it.
const REPAIRS: u8 = 1;

/// The state of the task.
pub(super) struct Work {
    writer: Arc<Writer>,
    observed: Arc<ObservedStatuses>,
    metrics: StatusMetrics,
    leadership: watch::Receiver<Leadership>,
    /// The first input has arrived; before it nothing is known.
    has_input: bool,
    desired: HashMap<ObjectRef, Desired, RandomState>,
    /// Objects whose status may have to be written; those of Gateways come before those of routes.
    queue: BTreeSet<ObjectRef>,
    in_progress: HashSet<ObjectRef, RandomState>,
    writing: JoinSet<(Write, Result<Option<After>, WriteError>)>,
    written: HashMap<ObjectRef, Written, RandomState>,
    pause: Pause,
    /// Kinds whose statuses must not be written, until the next interval.
    forbidden: BTreeSet<Kind>,
    /// Failures that were logged, until a write succeeds.
    reported: HashSet<(Option<Kind>, &'static str)>,
}

/// What a status should have.
struct Desired {
    generation: i64,
    part: Arc<Value>,
    digest: u64,
}

/// The last write of a status.
struct Written {
    desired: u64,
    /// The version that was written over.
    before: u64,
    /// `None`: it failed.
    after: Option<After>,
    uid: Arc<str>,
    times: u8,
}

impl Work {
    pub(super) fn new(task: GatewayStatusWriter, leadership: watch::Receiver<Leadership>) -> Self {
        Self {
            writer: Arc::new(Writer {
                client: task.client,
                controller: task.controller,
            }),
            observed: task.observed,
            metrics: task.metrics,
            leadership,
            has_input: false,
            desired: HashMap::default(),
            queue: BTreeSet::new(),
            in_progress: HashSet::default(),
            writing: JoinSet::new(),
            written: HashMap::default(),
            pause: Pause::new(),
            forbidden: BTreeSet::new(),
            reported: HashSet::new(),
        }
    }

    /// Never ends.
    pub(super) async fn run(mut self, mut inputs: mpsc::UnboundedReceiver<GatewayStatusInput>) {
        let observed = self.observed.clone();
        let mut intervals = ticks(INTERVAL);
        let mut pace = ticks(PACE);
        let mut leadership = self.leadership.clone();
        loop {
            let may_write = !self.queue.is_empty() && self.in_progress.len() < CONCURRENT;
            let paused = self.pause.until;
            tokio::select! {
                Some(input) = inputs.recv() => self.take(input),
                Ok(()) = leadership.changed() => self.enqueue_all(),
                changed = observed.changes() => changed.into_iter().for_each(|object| self.enqueue(object)),
                _ = intervals.tick() => self.begin_interval(),
                Some(Ok((write, result))) = self.writing.join_next() => self.done(write, result),
                () = at(paused), if paused.is_some() => self.pause.until = None,
                _ = pace.tick(), if may_write && paused.is_none() => self.write_next(),
            }
        }
    }

    fn take(&mut self, input: GatewayStatusInput) {
        for (object, status) in input.changes {
            match status {
                Some(status) => drop(
                    self.desired
                        .insert(object.clone(), self.want(&object, &status)),
                ),
                None => drop(self.desired.remove(&object)),
            }
            self.enqueue(object);
        }
        if !std::mem::replace(&mut self.has_input, true) {
            self.enqueue_all();
        }
    }

    fn want(&self, object: &ObjectRef, status: &Status) -> Desired {
        let part = part::desired(object, Some(status), &self.writer.controller);
        Desired {
            generation: status.generation,
            digest: part::digest(&part),
            part: Arc::new(part),
        }
    }

    fn enqueue(&mut self, object: ObjectRef) {
        // A new leader compares everything.
        if self.leader().is_some() {
            self.queue.insert(object);
        }
    }

    fn enqueue_all(&mut self) {
        self.queue.clear();
        if self.leader().is_some() {
            self.queue.extend(self.desired.keys().cloned());
            self.queue.extend(self.observed.with_entries());
        }
    }

    /// Retries what failed in the last interval, and allows repairs again.
    fn begin_interval(&mut self) {
        self.forbidden.clear();
        self.written.retain(|_, written| written.after.is_some());
        for written in self.written.values_mut() {
            written.times = 0;
        }
        self.enqueue_all();
    }

    fn leader(&self) -> Option<Leader> {
        self.leadership.borrow().leader(Instant::now()).cloned()
    }

    /// Starts the next write that is needed.
    fn write_next(&mut self) {
        let Some(leader) = self.leader().filter(|_| self.has_input) else {
            self.queue.clear();
            return;
        };
        while let Some(object) = self.queue.pop_first() {
            // Compared again when the write ends.
            if self.in_progress.contains(&object) {
                continue;
            }
            let Some(write) = self.needed(&object) else {
                continue;
            };
            self.in_progress.insert(object);
            let writer = self.writer.clone();
            self.writing.spawn(async move {
                let result = writer.write(&write, &leader).await;
                (write, result)
            });
            break;
        }
        self.metrics.pending(self.queue.len());
    }

    /// The write that an object needs now.
    fn needed(&self, object: &ObjectRef) -> Option<Write> {
        if self.forbidden.contains(&object.kind) {
            return None;
        }
        let before = self.observed.get(object)?;
        let version = self.observed.version(object.kind)?;
        let (generation, part, digest) = match self.desired.get(object) {
            Some(desired) => {
                let part = desired.part.clone();
                (Some(desired.generation), part, desired.digest)
            }
            None if before.has_entries => {
                let part = part::desired(object, None, &self.writer.controller);
                let digest = part::digest(&part);
                (None, Arc::new(part), digest)
            }
            None => return None,
        };
        // A newer object is compiled first.
        let is_outdated = generation.is_some_and(|generation| generation < before.generation);
        if is_outdated || before.digest == digest {
            return None;
        }
        let write = Write {
            object: object.clone(),
            version,
            generation,
            part,
            digest,
            before,
        };
        self.is_due(&write).then_some(write)
    }

    fn is_due(&self, write: &Write) -> bool {
        let Some(written) = self.written.get(&write.object) else {
            return true;
        };
        if written.desired != write.digest || written.uid != write.before.uid {
            return true;
        }
        let Some(after) = written.after else {
            return written.before < write.before.version;
        };
        // The last write is not observed yet, or it is and the API server left something out.
        if write.before.version < after.version || write.before.digest == after.digest {
            return false;
        }
        written.times <= REPAIRS
    }

    fn done(&mut self, write: Write, result: Result<Option<After>, WriteError>) {
        self.in_progress.remove(&write.object);
        let object = write.object.clone();
        match result {
            Ok(Some(after)) => {
                self.metrics.written();
                tracing::debug!(%object, "status written");
                self.pause.reset();
                self.record(write, Some(after));
                if !self.reported.is_empty() {
                    self.reported.clear();
                    tracing::info!("writing statuses of the Gateway API again");
                }
            }
            // The next version of the object is about to be compiled.
            Ok(None) => self.record(write, None),
            Err(error) => self.failed(write, &error),
        }
        // Changes during the write were skipped.
        self.enqueue(object);
    }

    fn failed(&mut self, write: Write, error: &WriteError) {
        match error.retry_policy() {
            RetryPolicy::Drop => {}
            RetryPolicy::Skip => {
                self.metrics.failed();
                if error.is_conflict() || error.is_missing() {
                    tracing::debug!(object = %write.object, error = causes(error), "cannot write the status");
                } else {
                    self.report(None, "refused", &write, error);
                }
                self.record(write, None);
            }
            RetryPolicy::Forbidden => {
                let kind = write.object.kind;
                self.metrics.forbidden();
                self.report(Some(kind), "forbidden", &write, error);
                self.forbidden.insert(kind);
            }
            RetryPolicy::Retry(at_least) => {
                self.metrics.failed();
                self.report(None, "failing", &write, error);
                self.pause.back_off(at_least);
            }
        }
    }

    fn record(&mut self, write: Write, after: Option<After>) {
        let former = self.written.remove(&write.object);
        let again = former
            .filter(|former| former.desired == write.digest && former.uid == write.before.uid);
        let written = Written {
            desired: write.digest,
            before: write.before.version,
            after,
            times: again.map_or(1, |former| former.times.saturating_add(1)),
            uid: write.before.uid,
        };
        self.written.insert(write.object, written);
    }

    /// Warns once for each kind of failure.
    fn report(
        &mut self,
        kind: Option<Kind>,
        what: &'static str,
        write: &Write,
        error: &WriteError,
    ) {
        let (object, error) = (&write.object, causes(error));
        if !self.reported.insert((kind, what)) {
            tracing::debug!(%object, error, "cannot write the status");
            return;
        }
        let hint = kind.map_or_else(String::new, |kind| {
            format!("; allow get of {0} and update of {0}/status", kind.plural())
        });
        tracing::warn!(%object, error, "cannot write the status{hint}");
    }
}
