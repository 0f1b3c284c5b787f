//! Spans on their way to a collector (behaviour.md 1.15).
//!
//! Workers put finished spans into a bounded queue and never wait: what does not fit is dropped and counted, before it is
//! built. A thread of its own, started at the first span, sends them in batches.

mod attributes;
mod backoff;
mod collector;
mod encode;
mod exporter;
mod otlp;
mod response;
mod span;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use headgate_table::{TableReader, TracingSettings};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use self::span::Span;
use super::observation::Observation;
use crate::config::{Config, MetricLabels};
use crate::trace::{RequestSpan, TracingEnvironment};

/// Longest wait for the last spans at the end of the process.
const LAST: Duration = Duration::from_secs(5);

/// The queue of spans, shared by all threads.
pub(crate) struct Spans {
    environment: TracingEnvironment,
    /// They name this process among others.
    labels: MetricLabels,
    /// Known when the data plane starts.
    reader: OnceLock<TableReader>,
    queue: Mutex<VecDeque<Span>>,
    /// Spans in the queue, and those that are being built for it.
    reserved: AtomicUsize,
    /// A batch is full, or the process stops.
    wake: Notify,
    started: AtomicBool,
    stopping: AtomicBool,
    /// The exporter has ended.
    ended: watch::Sender<bool>,
    exported: AtomicU64,
    /// They did not fit into the queue.
    dropped: AtomicU64,
    /// The collector did not take them.
    failed: AtomicU64,
}

impl Spans {
    pub(super) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self {
            environment: config.tracing.clone(),
            labels: config.labels.clone(),
            reader: OnceLock::new(),
            queue: Mutex::default(),
            reserved: AtomicUsize::new(0),
            wake: Notify::new(),
            started: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            ended: watch::Sender::new(false),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The settings of exports are those of the tables of `reader`. Called once, before the first request.
    pub(crate) fn follow(&self, reader: TableReader) {
        if self.reader.set(reader).is_ok() {
            for problem in &self.environment.problems {
                tracing::warn!("environment of traces: {problem}");
            }
        }
    }

    /// Queues the spans of a request, if they are exported.
    pub(super) fn observe(self: &Arc<Self>, seen: &Observation<'_>, settings: &TracingSettings) {
        if let Some(own) = seen.span.and_then(RequestSpan::exported) {
            let build = || span::of(seen, own, &Clock::now());
            self.push(span::number(seen), build, settings);
        }
    }

    /// Queues the `number` spans that `build` makes, or drops them before they are made.
    fn push(
        self: &Arc<Self>,
        number: usize,
        build: impl FnOnce() -> Vec<Span>,
        settings: &TracingSettings,
    ) {
        if !self.reserve(number, settings.queue) {
            self.dropped.fetch_add(number as u64, Ordering::Relaxed);
            return;
        }
        let spans = build();
        debug_assert_eq!(spans.len(), number, "as many as have a place");
        let is_full = {
            let mut queue = self.queue.lock();
            queue.extend(spans);
            queue.len() >= settings.batch
        };
        if is_full {
            self.wake.notify_one();
        }
        if !self.started.load(Ordering::Relaxed) && !self.started.swap(true, Ordering::AcqRel) {
            exporter::start(self.clone());
        }
    }

    /// Reserves places for `number` spans, unless the queue would have more than `most`. A request with its attempts may be
    /// longer than a short queue: then it has the queue for itself.
    fn reserve(&self, number: usize, most: usize) -> bool {
        let fits = |reserved: usize| {
            let sum = reserved.saturating_add(number);
            (reserved == 0 || sum <= most).then_some(sum)
        };
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .is_ok()
    }

    /// At most `most` spans, the oldest first.
    fn take(&self, most: usize) -> Vec<Span> {
        let taken: Vec<Span> = {
            let mut queue = self.queue.lock();
            let number = queue.len().min(most);
            queue.drain(..number).collect()
        };
        self.reserved.fetch_sub(taken.len(), Ordering::Relaxed);
        taken
    }

    /// Sends what is left, after the workers have ended. Waits a few seconds at most.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        if !self.started.load(Ordering::Acquire) {
            return;
        }
        self.wake.notify_one();
        let mut ended = self.ended.subscribe();
        let sent = tokio::time::timeout(LAST, ended.wait_for(|ended| *ended)).await;
        if sent.is_err() {
            tracing::warn!("the last spans could not be exported in time");
        }
    }

    /// Numbers of spans by what became of them.
    pub(super) fn outcomes(&self) -> [(&'static str, f64); 3] {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64;
        [
            ("exported", value(&self.exported)),
            ("dropped", value(&self.dropped)),
            ("failed", value(&self.failed)),
        ]
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// Wall-clock time of instants.
struct Clock {
    instant: Instant,
    /// Nanoseconds since 1970.
    time: u64,
}

impl Clock {
    fn now() -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            instant: Instant::now(),
            time: since.map_or(0, nanoseconds),
        }
    }

    /// Nanoseconds since 1970; `at` is in the past.
    fn unix(&self, at: Instant) -> u64 {
        let before = self.instant.saturating_duration_since(at);
        self.time.saturating_sub(nanoseconds(before))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
