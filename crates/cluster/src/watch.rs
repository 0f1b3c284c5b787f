//! The API server as a source of objects: everything that a table is made from, listed and watched.
//!
//! A [`Watch`] returns batches of changes as the file source does. The first one comes when everything was listed once, or
//! from the cache of an earlier run while the API server is unreachable. Known objects stay in service whatever happens to
//! the API server afterwards. Nothing here decides what objects mean.

mod backoff;
mod body;
mod decode;
mod discovery;
mod failure;
mod health;
mod hub;
mod incomplete;
mod message;
mod metrics;
mod options;
mod pace;
mod references;
mod reflector;
mod saver;
mod selection;
mod statuses;
mod tasks;
mod unreadable;
mod zone;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headgate_compile::{Batch, Origin, Snapshot};
use kube::Client;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use health::Conditions;
use hub::Hub;
use message::Message;
use pace::Pace;
use reflector::Shared;
use saver::Saver;
use tasks::Tasks;

use crate::gateway_status::ObservedStatuses;
pub use health::Health;
pub use metrics::WatchMetrics;
pub use options::{Timing, WatchOptions};
pub use statuses::Statuses;

/// Most queued messages; senders of further ones wait.
const INBOX: usize = 256;
/// Most messages handled before other tasks run.
const AT_ONCE: usize = 1024;

/// Kubernetes objects from an API server.
pub struct Watch {
    hub: Hub,
    inbox: mpsc::Receiver<Message>,
    tasks: Tasks,
    statuses: Arc<Statuses>,
    pace: Pace,
    timing: Timing,
    saver: Option<Saver>,
    /// Origin of the last batch.
    last_origin: Option<Origin>,
    /// Since when changes are pending.
    pending: Option<Instant>,
    /// When to serve the cache instead of waiting for the API server.
    cache_deadline: Instant,
}

impl Watch {
    /// Starts to list and watch. Needs a tokio runtime; everything runs on it until this is dropped.
    pub fn start(client: Client, options: WatchOptions, metrics: WatchMetrics) -> Self {
        let (out, inbox) = mpsc::channel(INBOX);
        let timing = options.timing;
        let shared = Shared {
            client,
            out,
            streams: Arc::new(AtomicBool::new(true)),
            timing,
            metrics: metrics.clone(),
        };
        let statuses = Arc::new(Statuses::default());
        let hub = Hub::new(&options, statuses.clone(), Conditions::new(metrics));
        let mut tasks = Tasks::new(shared, &options);
        if options.compile.endpoints.topology {
            match &options.pod {
                Some(pod) => tasks.find_zone(pod.clone()),
                None => tracing::warn!(
                    "cannot find the zone of this pod: POD_NAME or POD_NAMESPACE is not set; using endpoints of all zones"
                ),
            }
        }
        let mut watch = Self {
            hub,
            inbox,
            tasks,
            statuses,
            pace: Pace::default(),
            timing,
            saver: options.cache.map(|cache| Saver::new(cache, timing.save)),
            last_origin: None,
            pending: None,
            cache_deadline: Instant::now() + timing.cache_after,
        };
        watch.start_tasks();
        watch
    }

    /// The objects, as of the last batch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.hub.snapshot
    }

    /// Statuses of Ingresses and of the published Service, kept up to date by
    /// [`changes`](Self::changes).
    pub fn statuses(&self) -> Arc<Statuses> {
        self.statuses.clone()
    }

    /// Statuses of objects of the Gateway API, kept up to date by [`changes`](Self::changes).
    pub fn gateway_statuses(&self) -> Arc<ObservedStatuses> {
        self.hub.gateway_statuses()
    }

    /// The health of the connection to the API server, kept up to date by [`changes`](Self::changes).
    pub fn health(&self) -> watch::Receiver<Health> {
        self.hub.conditions.health()
    }

    /// The next batch: at first all objects, when all were listed (or those of the cache); then changes, at once after an
    /// idle time and otherwise batched for 2 to 100 ms. The first batch from the API server after one from the cache is
    /// the difference. Dropping the future loses nothing.
    pub async fn changes(&mut self) -> Batch {
        self.pace.requested(Instant::now());
        loop {
            self.handle_queued();
            let now = Instant::now();
            if let Some(batch) = self.batch(now) {
                return batch;
            }
            self.save_if_due(now);
            let wake = self.wake(now);
            tokio::select! {
                message = self.inbox.recv() => {
                    if let Some(message) = message {
                        self.handle(message);
                    }
                }
                () = until(wake) => {}
                () = progress(self.saver.as_mut()) => {}
            }
        }
    }

    /// Writes the cache for the next run, if one is configured and out of date. For the end of the program.
    pub async fn save(&mut self) {
        let Some(saver) = &mut self.saver else {
            return;
        };
        saver.finish(&self.hub).await;
    }

    /// Handles the queued messages, so that changes that arrive together are one batch.
    fn handle_queued(&mut self) {
        for _ in 0..AT_ONCE {
            match self.inbox.try_recv() {
                Ok(message) => self.handle(message),
                Err(_) => return,
            }
        }
    }

    fn handle(&mut self, message: Message) {
        self.hub.handle(message);
        self.start_tasks();
        let pending = self.pending.unwrap_or_else(Instant::now);
        self.pending = self.hub.has_changes().then_some(pending);
    }

    fn start_tasks(&mut self) {
        for task in self.hub.take_tasks() {
            self.tasks.run(task);
        }
    }

    /// The batch that is due now.
    fn batch(&mut self, now: Instant) -> Option<Batch> {
        if self.last_origin == Some(Origin::Live) {
            return (now >= self.due()?).then(|| self.take_batch(Origin::Live, now));
        }
        if self.hub.is_complete() {
            return (now >= self.due().unwrap_or(now)).then(|| self.first(now));
        }
        let is_time = self.hub.conditions.is_unreachable() || now >= self.cache_deadline;
        if self.last_origin.is_some() || !is_time {
            return None;
        }
        let stored = self.saver.as_mut()?.take_loaded()?;
        let (objects, age) = (stored.objects.len(), stored.age.as_secs());
        tracing::warn!(
            objects,
            seconds_old = age,
            "serving the cached objects until the API server can be read"
        );
        self.hub.seed(stored.objects, stored.environment);
        self.start_tasks();
        self.hub.conditions.set_stale(true);
        Some(self.take_batch(Origin::Cached, now))
    }

    /// The first batch from the API server.
    fn first(&mut self, now: Instant) -> Batch {
        self.hub.conditions.set_complete();
        self.hub.conditions.set_stale(false);
        if let Some(saver) = &mut self.saver {
            saver.forget_loaded();
        }
        let batch = self.take_batch(Origin::Live, now);
        let objects = self.hub.snapshot.len();
        tracing::info!(objects, "listed all objects of the API server");
        batch
    }

    fn take_batch(&mut self, origin: Origin, now: Instant) -> Batch {
        let (arrived, changes, findings) = self.hub.take_changes();
        self.pending = None;
        self.last_origin = Some(origin);
        self.pace.returned(now);
        if origin == Origin::Live
            && let Some(saver) = &mut self.saver
        {
            saver.changed(!changes.is_empty());
        }
        Batch {
            arrived: arrived.unwrap_or_else(std::time::Instant::now),
            changes,
            findings,
            origin,
        }
    }

    /// When the pending batch is due; `None`: nothing is pending.
    fn due(&mut self) -> Option<Instant> {
        let pending = self.pending?;
        let mut due = self.pace.due(pending);
        let now = Instant::now();
        // Related objects often arrive together: an Ingress waits some milliseconds for the Services that it names, and they for it.
        let together = pending + self.timing.services_wait;
        if now >= due
            && together > now
            && self.last_origin.is_some()
            && self.hub.is_likely_incomplete()
        {
            due = due.max(together);
        }
        if self.hub.is_fetching() {
            due = due.max(pending + self.timing.fetch_wait);
        }
        Some(due)
    }

    fn save_if_due(&mut self, now: Instant) {
        if self.last_origin == Some(Origin::Live)
            && let Some(saver) = &mut self.saver
        {
            saver.save_if_due(&self.hub, now);
        }
    }

    /// When to check again without a message.
    fn wake(&mut self, now: Instant) -> Option<Instant> {
        let due = match self.last_origin {
            Some(Origin::Live) => self.due(),
            Some(Origin::Cached) | None if self.hub.is_complete() => self.due(),
            None => Some(self.cache_deadline).filter(|deadline| *deadline > now),
            Some(Origin::Cached) => None,
        };
        let save = self.saver.as_ref().and_then(Saver::due);
        let save = save.filter(|_| self.last_origin == Some(Origin::Live));
        due.into_iter().chain(save).min()
    }
}

/// Never, for `None`.
async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Resolves when reading or writing the cache is done.
async fn progress(saver: Option<&mut Saver>) {
    match saver {
        Some(saver) => saver.progress().await,
        None => std::future::pending().await,
    }
}
