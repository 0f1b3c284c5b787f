//! The API server as a source of objects: everything that a table is made from, listed once and kept up to date.
//!
//! A [`Watch`] gives out batches of changes as the file source does. Nothing is given out before everything was listed once,
//! unless the API server is out of reach and an earlier run left its objects in the cache. After that what is known stays
//! in service whatever happens to the API server. Nothing here decides what objects mean.

mod backoff;
mod body;
mod decode;
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

pub use health::Health;
pub use metrics::WatchMetrics;
pub use options::{Timing, WatchOptions};
pub use statuses::Statuses;

/// Messages that wait to be taken in; who sends more waits.
const INBOX: usize = 256;
/// Messages that are taken in before others get to run.
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
    /// What was given out last.
    given: Option<Origin>,
    /// Since when there is something to give out.
    pending: Option<Instant>,
    /// When to be content with the cache.
    patience: Instant,
}

impl Watch {
    /// Begins to list and watch. Needs a tokio runtime; everything runs on it until this is dropped.
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
        let mut tasks = Tasks::new(shared, options.publish_service.clone());
        if options.compile.endpoints.topology {
            match &options.pod {
                Some(pod) => tasks.find_zone(pod.clone()),
                None => tracing::warn!(
                    "POD_NAME or POD_NAMESPACE is not set: the zone cannot be known, and endpoints of all zones are used"
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
            given: None,
            pending: None,
            patience: Instant::now() + timing.cached,
        };
        watch.work();
        watch
    }

    /// The objects, as of the last batch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.hub.snapshot
    }

    /// What Ingresses and the published Service show as their addresses, kept up to date by
    /// [`changes`](Self::changes).
    pub fn statuses(&self) -> Arc<Statuses> {
        self.statuses.clone()
    }

    /// How well the API server can be read, kept up to date by [`changes`](Self::changes).
    pub fn health(&self) -> watch::Receiver<Health> {
        self.hub.conditions.health()
    }

    /// The next batch: at first all objects, when all were listed (or those of the cache); then changes, at once after quiet
    /// and together within 2 to 100 ms otherwise. The first from the API server after the cache's is the difference to
    /// those. Dropping the future loses nothing.
    pub async fn changes(&mut self) -> Batch {
        self.pace.ask(Instant::now());
        loop {
            self.take_waiting();
            let now = Instant::now();
            if let Some(batch) = self.batch(now) {
                return batch;
            }
            self.save_if_due(now);
            let wake = self.wake(now);
            tokio::select! {
                message = self.inbox.recv() => {
                    if let Some(message) = message {
                        self.take(message);
                    }
                }
                () = until(wake) => {}
                () = progress(self.saver.as_mut()) => {}
            }
        }
    }

    /// Leaves the objects in the cache for the next run, if there is one and it has not got them. For the end of the
    /// program.
    pub async fn save(&mut self) {
        let Some(saver) = &mut self.saver else {
            return;
        };
        saver.finish(&self.hub).await;
    }

    /// Takes in what is there, so that changes that came together are one batch.
    fn take_waiting(&mut self) {
        for _ in 0..AT_ONCE {
            match self.inbox.try_recv() {
                Ok(message) => self.take(message),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, message: Message) {
        self.hub.take(message);
        self.work();
        let pending = self.pending.unwrap_or_else(Instant::now);
        self.pending = self.hub.has_changes().then_some(pending);
    }

    fn work(&mut self) {
        for task in self.hub.take_tasks() {
            self.tasks.run(task);
        }
    }

    /// What is due now.
    fn batch(&mut self, now: Instant) -> Option<Batch> {
        if self.given == Some(Origin::Live) {
            return (now >= self.due()?).then(|| self.give(Origin::Live, now));
        }
        if self.hub.is_complete() {
            return (now >= self.due().unwrap_or(now)).then(|| self.first(now));
        }
        let is_time = self.hub.conditions.is_unreachable() || now >= self.patience;
        if self.given.is_some() || !is_time {
            return None;
        }
        let stored = self.saver.as_mut()?.take_loaded()?;
        let (objects, age) = (stored.objects.len(), stored.age.as_secs());
        tracing::warn!(
            objects,
            seconds_old = age,
            "serving the objects of the cache until the API server can be read"
        );
        self.hub.seed(stored.objects, stored.environment);
        self.work();
        self.hub.conditions.set_stale(true);
        Some(self.give(Origin::Cached, now))
    }

    /// The first from the API server.
    fn first(&mut self, now: Instant) -> Batch {
        self.hub.conditions.set_complete();
        self.hub.conditions.set_stale(false);
        if let Some(saver) = &mut self.saver {
            saver.forget_loaded();
        }
        let batch = self.give(Origin::Live, now);
        let objects = self.hub.snapshot.len();
        tracing::info!(objects, "all objects are known from the API server");
        batch
    }

    fn give(&mut self, origin: Origin, now: Instant) -> Batch {
        let (arrived, changes, findings) = self.hub.take_changes();
        self.pending = None;
        self.given = Some(origin);
        self.pace.give(now);
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
        // What belongs together often comes together: an Ingress is not served for some milliseconds without what it names
        // if that is on its way.
        let together = pending + self.timing.together;
        if now >= due && together > now && self.given.is_some() && self.hub.lacks_services() {
            due = due.max(together);
        }
        if self.hub.is_fetching() {
            due = due.max(pending + self.timing.answer);
        }
        Some(due)
    }

    fn save_if_due(&mut self, now: Instant) {
        if self.given == Some(Origin::Live)
            && let Some(saver) = &mut self.saver
        {
            saver.save_if_due(&self.hub, now);
        }
    }

    /// When to look again if nothing happens.
    fn wake(&mut self, now: Instant) -> Option<Instant> {
        let due = match self.given {
            Some(Origin::Live) => self.due(),
            Some(Origin::Cached) | None if self.hub.is_complete() => self.due(),
            None => Some(self.patience).filter(|patience| *patience > now),
            Some(Origin::Cached) => None,
        };
        let save = self.saver.as_ref().and_then(Saver::due);
        let save = save.filter(|_| self.given == Some(Origin::Live));
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

/// Something about the cache is done.
async fn progress(saver: Option<&mut Saver>) {
    match saver {
        Some(saver) => saver.progress().await,
        None => std::future::pending().await,
    }
}
