//! Reads and writes the object cache in the background.

use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use super::hub::Hub;
use super::metrics::WatchMetrics;
use crate::cache::{CacheError, CacheOptions, Stored};
use crate::causes::causes;

/// Writing takes at most one part in this many of the time.
const SHARE: u32 = 20;

pub(super) struct Saver {
    options: CacheOptions,
    interval: Duration,
    loading: Option<JoinHandle<Result<Option<Stored>, CacheError>>>,
    loaded: Option<Stored>,
    writing: Option<Writing>,
    /// The objects differ from those in the file.
    is_changed: bool,
    /// Earliest time of the next write.
    next: Instant,
    metrics: Option<WatchMetrics>,
}

struct Writing {
    handle: JoinHandle<Result<(), CacheError>>,
    start: Instant,
}

impl Saver {
    /// Starts to read the cache of an earlier run. Writes at most once in `interval`.
    pub(super) fn new(options: CacheOptions, interval: Duration) -> Self {
        let reader = options.clone();
        Self {
            options,
            interval,
            loading: Some(spawn_blocking(move || reader.read())),
            loaded: None,
            writing: None,
            is_changed: false,
            next: Instant::now(),
            metrics: None,
        }
    }

    /// The content of an earlier run, once.
    pub(super) fn take_loaded(&mut self) -> Option<Stored> {
        self.loaded.take()
    }

    pub(super) fn forget_loaded(&mut self) {
        self.loaded = None;
        self.loading = None;
    }

    pub(super) fn changed(&mut self, is_changed: bool) {
        self.is_changed |= is_changed;
    }

    /// When to write next.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.is_changed && self.writing.is_none()).then_some(self.next)
    }

    pub(super) fn save_if_due(&mut self, hub: &Hub, now: Instant) {
        if self.due().is_some_and(|due| now >= due) {
            self.begin(hub, now);
        }
    }

    /// Writes pending changes, and waits for the end.
    pub(super) async fn finish(&mut self, hub: &Hub) {
        self.forget_loaded();
        while self.writing.is_some() {
            self.progress().await;
        }
        if self.is_changed && hub.is_complete() {
            self.begin(hub, Instant::now());
            while self.writing.is_some() {
                self.progress().await;
            }
        }
    }

    /// Waits until reading or writing is done. Dropping the future loses nothing.
    pub(super) async fn progress(&mut self) {
        if let Some(loading) = &mut self.loading {
            let result = loading.await;
            self.loading = None;
            match result {
                Ok(Ok(stored)) => self.loaded = stored,
                Ok(Err(error)) => {
                    let error = causes(&error);
                    tracing::warn!(%error, "cannot read the cache; starting without it");
                }
                Err(error) => tracing::error!(%error, "the task that reads the cache failed"),
            }
        } else if let Some(writing) = &mut self.writing {
            let result = (&mut writing.handle).await;
            let took = writing.start.elapsed();
            self.writing = None;
            self.next = Instant::now() + self.interval.max(took * SHARE);
            self.written(result);
        } else {
            std::future::pending().await
        }
    }

    fn written(&mut self, result: Result<Result<(), CacheError>, tokio::task::JoinError>) {
        let error = match result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(causes(&error)),
            Err(error) => Some(error.to_string()),
        };
        if let Some(metrics) = &self.metrics {
            metrics.cache_written(error.is_none());
        }
        if let Some(error) = error {
            tracing::warn!(%error, "cannot write the cache");
            self.is_changed = true;
        }
    }

    fn begin(&mut self, hub: &Hub, now: Instant) {
        self.is_changed = false;
        self.metrics
            .get_or_insert_with(|| hub.conditions.metrics().clone());
        // Private keys are written encrypted or not at all.
        let is_sealed = self.options.is_sealed();
        let objects = hub.snapshot.objects();
        let objects = objects.filter(|object| is_sealed || !object.kind().is_confidential());
        let stored = Stored {
            objects: objects.cloned().collect(),
            environment: hub.snapshot.environment().clone(),
            age: Duration::ZERO,
        };
        let options = self.options.clone();
        let handle = spawn_blocking(move || options.write(&stored));
        self.writing = Some(Writing { handle, start: now });
    }
}
