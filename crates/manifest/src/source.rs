//! The source: what is read at first, and every change after.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use headgate_compile::{Change, Finding};
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

/// What changed.
#[derive(Clone, Debug)]
pub struct Batch {
    /// When the first of these changes was seen.
    pub arrived: std::time::Instant,
    /// Changed objects, those of a kind in the order of their names.
    pub changes: Vec<Change>,
    /// Everything that is wrong with the files now, not only what is new; in the order of files and lines.
    pub findings: Vec<Finding>,
}

/// Kubernetes objects from files and folders.
pub struct Source {
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
    /// Read, and not given out yet.
    ready: Option<(std::time::Instant, Vec<Change>)>,
    has_events: bool,
    /// Everything was read once.
    is_loaded: bool,
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
            if let Some(batch) = self.shared.take_ready() {
                self.is_loaded = true;
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
        if !news.changes.is_empty() || news.findings_changed || !state.is_loaded {
            let arrived = hint.arrived.unwrap_or_else(std::time::Instant::now);
            let ready = state.ready.get_or_insert_with(|| (arrived, Vec::new()));
            ready.1.extend(news.changes);
        }
        state.is_loaded = true;
    }

    fn take_ready(&self) -> Option<Batch> {
        let mut state = self.state();
        let (arrived, changes) = state.ready.take()?;
        Some(Batch {
            arrived,
            changes,
            findings: state.library.findings().to_vec(),
        })
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
