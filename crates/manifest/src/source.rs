//! The source: what is read at first, and every change after.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headgate_compile::{Batch, Finding, Object, ObjectRef, Origin, Snapshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, timeout_at};

use crate::SourceError;
use crate::files::{Root, entry};
use crate::library::Library;
use crate::watch::{Hint, Pending, Watches};

/// A writer is done when nothing happened for so long.
const QUIET: Duration = Duration::from_millis(20);
/// However busy the writers are, what they did is read after so long.
const CEILING: Duration = Duration::from_millis(60);
/// How often to look where there are no events.
const POLL: Duration = Duration::from_secs(1);

/// How a source finds changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SourceOptions {
    /// Look this often instead of waiting for events of the file system, for file systems that have none. Default `None`:
    /// events, and looking every second where the system refuses them.
    pub poll: Option<Duration>,
}

/// Kubernetes objects from files and folders.
pub struct Source {
    snapshot: Snapshot,
    shared: Arc<Shared>,
    poll: Duration,
    /// Reading that was begun, perhaps for a caller who did not wait for its end.
    reading: Option<JoinHandle<()>>,
    /// The first batch was given out.
    is_loaded: bool,
}

struct Shared {
    pending: Arc<Pending>,
    state: Mutex<State>,
}

struct State {
    library: Library,
    ready: Option<Ready>,
    has_events: bool,
    /// Everything was read once.
    is_loaded: bool,
}

/// What was read and is not in the snapshot yet.
struct Ready {
    /// When the first of it was seen.
    arrived: std::time::Instant,
    /// Of an object the last one counts.
    objects: Vec<(ObjectRef, Option<Object>)>,
    findings_changed: bool,
}

impl Source {
    /// A source over these paths, which must exist. Nothing is read yet: that is the first batch of
    /// [`changes`](Self::changes).
    ///
    /// # Errors
    /// When a path is missing or is neither a file nor a folder.
    pub fn open(paths: Vec<PathBuf>, options: SourceOptions) -> Result<Self, SourceError> {
        let roots = paths.into_iter().map(root).collect::<Result<Vec<_>, _>>()?;
        let pending = Arc::new(Pending::default());
        let watches = Watches::new(Arc::clone(&pending), options.poll.is_none());
        let library = Library::new(roots, watches);
        let state = Mutex::new(State {
            library,
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
    /// most) after it happened. Dropping the future loses nothing. Needs a tokio runtime with time; files are read on its
    /// blocking threads.
    pub async fn changes(&mut self) -> Batch {
        loop {
            self.finish().await;
            if let Some(batch) = self.take_in() {
                return batch;
            }
            if self.is_loaded {
                self.settled().await;
            } else {
                self.shared.pending.look_at_everything();
            }
            let shared = Arc::clone(&self.shared);
            self.reading = Some(spawn_blocking(move || shared.refresh()));
        }
    }

    /// The objects, as of the last batch.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Takes what was read into the snapshot. `None`: nothing was read, or nothing new.
    fn take_in(&mut self) -> Option<Batch> {
        let (ready, findings) = self.shared.take_ready()?;
        for (reference, object) in ready.objects {
            match object {
                Some(object) => self.snapshot.apply(object),
                None => self.snapshot.delete(&reference),
            };
        }
        let is_first = !std::mem::replace(&mut self.is_loaded, true);
        let changes = self.snapshot.take_changes();
        let is_news = is_first || ready.findings_changed || !changes.is_empty();
        is_news.then_some(Batch {
            arrived: ready.arrived,
            changes,
            findings,
            origin: Origin::Live,
        })
    }

    /// Waits for a change, and until whoever makes it is done.
    async fn settled(&self) {
        let pending = &self.shared.pending;
        if pending.is_empty() {
            if !self.shared.has_events() {
                return sleep(self.poll).await;
            }
            pending.arrived().await;
        }
        let ceiling = Instant::now() + CEILING;
        loop {
            let quiet = Instant::now() + QUIET;
            if quiet >= ceiling || timeout_at(quiet, pending.arrived()).await.is_err() {
                return;
            }
        }
    }

    /// Waits for the reading that was begun.
    async fn finish(&mut self) {
        let Some(reading) = &mut self.reading else {
            return;
        };
        let result = reading.await;
        self.reading = None;
        if let Err(error) = result {
            // A panic, or the runtime is stopping. Not again at once.
            tracing::error!(%error, "reading the manifests failed");
            self.shared.pending.look_at_everything();
            sleep(POLL).await;
        }
    }
}

impl Shared {
    fn refresh(&self) {
        let mut state = self.state();
        let hint = self.pending.take();
        // Without events, being called is the reason to look.
        let hint = if state.has_events {
            hint
        } else {
            Hint { all: true, ..hint }
        };
        let news = state.library.refresh(&hint);
        state.has_events = state.library.has_events();
        if !news.objects.is_empty() || news.findings_changed || !state.is_loaded {
            let ready = state.ready.get_or_insert_with(|| Ready {
                arrived: hint.arrived.unwrap_or_else(std::time::Instant::now),
                objects: Vec::new(),
                findings_changed: false,
            });
            ready.objects.extend(news.objects);
            ready.findings_changed |= news.findings_changed;
        }
        state.is_loaded = true;
    }

    /// With all findings.
    fn take_ready(&self) -> Option<(Ready, Vec<Finding>)> {
        let mut state = self.state();
        let ready = state.ready.take()?;
        Some((ready, state.library.findings().to_vec()))
    }

    fn has_events(&self) -> bool {
        self.state().has_events
    }

    /// After a panic the next look reads everything again.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn root(path: PathBuf) -> Result<Root, SourceError> {
    let located = std::fs::metadata(&path).and_then(|metadata| Ok((metadata, entry(&path)?)));
    match located {
        Ok((metadata, entry)) if metadata.is_dir() => Ok(Root {
            path,
            entry,
            is_folder: true,
        }),
        Ok((metadata, entry)) if metadata.is_file() => Ok(Root {
            path,
            entry,
            is_folder: false,
        }),
        Ok(_) => Err(SourceError::NotAFile { path }),
        Err(source) => Err(SourceError::Unreadable { path, source }),
    }
}
