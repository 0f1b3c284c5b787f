//! The source: the initial list of objects, then every change.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headgate_compile::{Batch, Finding, Object, ObjectRef, Origin, Snapshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::SourceError;
use crate::files::{Root, entry};
use crate::store::Store;
use crate::watch::{Hint, Pending, Watches};

/// Files are read when no event came for this long: the writer of several files is done.
const QUIET: Duration = Duration::from_millis(20);
/// Maximum wait for [`QUIET`], however many events come.
const CEILING: Duration = Duration::from_millis(60);
/// Polling interval where there are no events.
const POLL: Duration = Duration::from_secs(1);

/// How a source finds changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceOptions {
    /// Poll at this interval instead of waiting for events, for file systems that have none. Default `None`: events, and
    /// polling every second where the system refuses them.
    pub poll: Option<Duration>,
}

/// Kubernetes objects from files and directories.
pub struct Source {
    snapshot: Snapshot,
    shared: Arc<Shared>,
    poll: Duration,
    /// A read in progress, perhaps started by a call of `changes` that was cancelled.
    reading: Option<JoinHandle<()>>,
    /// The first batch was returned.
    is_loaded: bool,
}

struct Shared {
    pending: Arc<Pending>,
    state: Mutex<State>,
}

struct State {
    store: Store,
    ready: Option<Ready>,
    has_events: bool,
    /// All files were read once.
    is_loaded: bool,
}

/// Changes that were read and are not in the snapshot yet.
struct Ready {
    /// When the first event arrived.
    arrived: std::time::Instant,
    /// The last entry of an object counts.
    objects: Vec<(ObjectRef, Option<Object>)>,
    findings_changed: bool,
}

impl Source {
    /// Opens these paths, which must exist. Their files are read by the first call of [`changes`](Self::changes).
    ///
    /// # Errors
    /// When a path is missing or is neither a file nor a directory.
    pub fn open(paths: Vec<PathBuf>, options: SourceOptions) -> Result<Self, SourceError> {
        let roots = paths.into_iter().map(root).collect::<Result<Vec<_>, _>>()?;
        let pending = Arc::new(Pending::default());
        let watches = Watches::new(Arc::clone(&pending), options.poll.is_none());
        let store = Store::new(roots, watches);
        let state = Mutex::new(State {
            store,
            ready: None,
            has_events: options.poll.is_none(),
            is_loaded: false,
        });
        Ok(Self {
            snapshot: Snapshot::default(),
            shared: Arc::new(Shared { pending, state }),
            poll: options.poll.unwrap_or(POLL),
            reading: None,
            is_loaded: false,
        })
    }

    /// The next batch: at first all objects, at once, even if there are none; then each change, about 20 ms (60 ms at
    /// most) after it happened; a file that is written in place is read when its writer has closed it. Cancel safe. Needs a tokio runtime with time; files are read on its blocking threads.
    pub async fn changes(&mut self) -> Batch {
        loop {
            self.finish().await;
            if let Some(batch) = self.take_batch() {
                return batch;
            }
            if self.is_loaded {
                self.wait_for_change().await;
            } else {
                self.shared.pending.request_rescan();
            }
            let shared = Arc::clone(&self.shared);
            self.reading = Some(spawn_blocking(move || shared.refresh()));
        }
    }

    /// The objects, as of the last batch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Applies what was read to the snapshot. `None`: nothing was read, or nothing changed.
    fn take_batch(&mut self) -> Option<Batch> {
        let (ready, findings) = self.shared.take_ready()?;
        for (reference, object) in ready.objects {
            match object {
                Some(object) => self.snapshot.apply(object),
                None => self.snapshot.delete(&reference),
            };
        }
        let is_first = !std::mem::replace(&mut self.is_loaded, true);
        let changes = self.snapshot.take_changes();
        let is_changed = is_first || ready.findings_changed || !changes.is_empty();
        is_changed.then_some(Batch {
            arrived: ready.arrived,
            changes,
            findings,
            origin: Origin::Live,
        })
    }

    /// Waits for a change, then until no event came for [`QUIET`].
    async fn wait_for_change(&self) {
        let pending = &self.shared.pending;
        while pending.is_empty() {
            if !self.shared.has_events() {
                return sleep(self.poll).await;
            }
            match pending.deadline() {
                // What arrived, or that a file was not closed in time, shows in the next pass.
                Some(deadline) => drop(timeout_at(deadline.into(), pending.arrived()).await),
                None => pending.arrived().await,
            }
        }
        let ceiling = Instant::now() + CEILING;
        loop {
            let quiet = Instant::now() + QUIET;
            if quiet >= ceiling || timeout_at(quiet, pending.arrived()).await.is_err() {
                return;
            }
        }
    }

    /// Waits for the read in progress, if any.
    async fn finish(&mut self) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let result = reading.await;
        self.reading = None;
        if let Err(error) = result {
            // A panic, or the runtime is stopping: no immediate retry.
            tracing::error!(%error, "reading the manifests failed");
            self.shared.pending.request_rescan();
            sleep(POLL).await;
        }
    }
}

impl Shared {
    fn refresh(&self) {
        let mut state = self.state();
        let hint = self.pending.take();
        // Without events, every call is a poll.
        let hint = if state.has_events {
            hint
        } else {
            Hint { all: true, ..hint }
        };
        let refreshed = state.store.refresh(&hint);
        state.has_events = state.store.has_events();
        if !refreshed.objects.is_empty() || refreshed.findings_changed || !state.is_loaded {
            let ready = state.ready.get_or_insert_with(|| Ready {
                arrived: hint.arrived.unwrap_or_else(std::time::Instant::now),
                objects: Vec::new(),
                findings_changed: false,
            });
            ready.objects.extend(refreshed.objects);
            ready.findings_changed |= refreshed.findings_changed;
        }
        state.is_loaded = true;
    }

    /// What is ready, and all findings.
    fn take_ready(&self) -> Option<(Ready, Vec<Finding>)> {
        let mut state = self.state();
        let ready = state.ready.take()?;
        Some((ready, state.store.findings().to_vec()))
    }

    fn has_events(&self) -> bool {
        self.state().has_events
    }

    /// After a panic the next refresh scans everything again.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A path to read.
///
/// # Errors
/// When it is missing or is neither a file nor a directory.
pub(crate) fn root(path: PathBuf) -> Result<Root, SourceError> {
    let located = std::fs::metadata(&path).and_then(|metadata| Ok((metadata, entry(&path)?)));
    match located {
        Ok((metadata, entry)) if metadata.is_dir() => Ok(Root {
            path,
            entry,
            is_directory: true,
        }),
        Ok((metadata, entry)) if metadata.is_file() => Ok(Root {
            path,
            entry,
            is_directory: false,
        }),
        Ok(_) => Err(SourceError::NotAFile { path }),
        Err(source) => Err(SourceError::Unreadable { path, source }),
    }
}
