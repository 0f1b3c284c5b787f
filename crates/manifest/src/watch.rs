//! Detection of changes: events of the file system, or polling every second where there are none.
//!
//! Each directory is watched by itself, not as a tree: the walk knows the relevant directories, including the targets of
//! symbolic links, and a directory that is replaced by another of its name is watched again.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Maximum of changed paths in a [`Hint`]; with more, all files are scanned. Also of files that are being written.
const MAX_PATHS: usize = 1024;
/// A file that a program has written to is read when it is closed, or when nothing was written for this long: `truncate`
/// needs no open file, and some programs never close theirs.
const UNCLOSED: Duration = Duration::from_secs(10);
/// Whether the system reports that a file which was written to is closed.
const REPORTS_CLOSE: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// What may have changed.
#[derive(Debug, Default)]
pub(crate) struct Hint {
    /// Any file.
    pub(crate) all: bool,
    /// These paths, with links in their directories resolved.
    pub(crate) paths: HashSet<PathBuf>,
    /// Those among them that were removed, renamed or created.
    pub(crate) moved: HashSet<PathBuf>,
    /// Files that are being written, whose content is not to be read yet.
    pub(crate) unclosed: HashSet<PathBuf>,
    /// When the first event arrived.
    pub(crate) arrived: Option<Instant>,
}

impl Hint {
    fn is_empty(&self) -> bool {
        !self.all && self.paths.is_empty()
    }
}

/// Events since the last [`take`](Self::take).
#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    hint: Hint,
    /// Directories whose entries are relevant.
    directories: HashSet<PathBuf>,
    /// Single relevant entries: the paths given.
    entries: HashSet<PathBuf>,
    /// Files that were written to and not closed since, with the time of the last write.
    unclosed: HashMap<PathBuf, Instant>,
}

impl Pending {
    pub(crate) fn take(&self) -> Hint {
        let mut state = self.state();
        state.give_up(Instant::now());
        let unclosed = state.unclosed.keys().cloned().collect();
        Hint {
            unclosed,
            ..std::mem::take(&mut state.hint)
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let mut state = self.state();
        state.give_up(Instant::now());
        state.hint.is_empty()
    }

    /// When a file that is being written is to be read at the latest.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        state.unclosed.values().min().map(|last| *last + UNCLOSED)
    }

    /// Waits for the next event, or returns at once if one came since this last returned.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Makes the next refresh scan all files.
    pub(crate) fn request_rescan(&self) {
        let mut state = self.state();
        state.hint.all = true;
        state.hint.arrived.get_or_insert_with(Instant::now);
        drop(state);
        self.arrived.notify_one();
    }

    fn set_relevant(&self, directories: HashSet<PathBuf>, entries: HashSet<PathBuf>) {
        let mut state = self.state();
        (state.directories, state.entries) = (directories, entries);
    }

    fn event(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.request_rescan(),
            Ok(event) => self.changed(event),
            Err(error) => {
                tracing::debug!(%error, "watching files failed; scanning all of them");
                self.request_rescan();
            }
        }
    }

    fn changed(&self, event: Event) {
        let Some(change) = change(event.kind) else {
            return;
        };
        let mut state = self.state();
        let paths: Vec<_> = event
            .paths
            .into_iter()
            .filter(|path| state.is_relevant(path))
            .collect();
        if paths.is_empty() {
            return;
        }
        match change {
            Change::Written if state.unclosed.len() + paths.len() <= MAX_PATHS => {
                state.write(paths);
            }
            Change::Written | Change::Closed | Change::Other => {
                state.close(&paths, change);
                state.hint.add(paths, false);
            }
            Change::Moved => {
                state.close(&paths, change);
                state.hint.add(paths, true);
            }
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// A panic cannot leave the state inconsistent: every change of it is one assignment or insertion.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// These files are being written: what they hold is not read before they are closed.
    fn write(&mut self, paths: Vec<PathBuf>) {
        let now = Instant::now();
        for path in paths {
            self.hint.paths.remove(&path);
            self.unclosed.insert(path, now);
        }
    }

    /// A change of permissions does not end the writing of a file.
    fn close(&mut self, paths: &[PathBuf], change: Change) {
        if change != Change::Other {
            for path in paths {
                self.unclosed.remove(path);
            }
        }
    }

    /// Files that were not written to for too long count as closed.
    fn give_up(&mut self, now: Instant) {
        let given_up = |_: &PathBuf, last: &mut Instant| now >= *last + UNCLOSED;
        let paths: Vec<_> = self
            .unclosed
            .extract_if(given_up)
            .map(|(path, _)| path)
            .collect();
        if !paths.is_empty() {
            self.hint.add(paths, false);
        }
    }

    fn is_relevant(&self, path: &Path) -> bool {
        let parent = path.parent();
        self.directories.contains(path)
            || self.entries.contains(path)
            || parent.is_some_and(|parent| self.directories.contains(parent))
    }
}

impl Hint {
    fn add(&mut self, paths: Vec<PathBuf>, moved: bool) {
        self.arrived.get_or_insert_with(Instant::now);
        if self.paths.len() + paths.len() > MAX_PATHS {
            self.all = true;
        }
        if moved {
            // Needed even for a full scan: a replaced directory must be watched again.
            self.moved.extend(paths.iter().cloned());
        }
        if !self.all {
            self.paths.extend(paths);
        }
    }
}

/// How an event changes a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// A program wrote to the file, which it has not closed yet.
    Written,
    /// A program that may have written to the file has closed it.
    Closed,
    /// The path may lead to another file.
    Moved,
    Other,
}

/// `None`: nothing changed, as for our own reads.
fn change(kind: EventKind) -> Option<Change> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Change::Closed),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
            Some(Change::Moved)
        }
        EventKind::Modify(ModifyKind::Data(_)) if REPORTS_CLOSE => Some(Change::Written),
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Some(Change::Other),
    }
}

/// The directories that are watched.
pub(crate) struct Watches {
    pending: Arc<Pending>,
    /// `None`: files are polled.
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl Watches {
    pub(crate) fn new(pending: Arc<Pending>, use_events: bool) -> Self {
        let mut watches = Self {
            pending,
            watcher: None,
            watched: HashSet::new(),
        };
        if use_events {
            let pending = Arc::clone(&watches.pending);
            match notify::recommended_watcher(move |event| pending.event(event)) {
                Ok(watcher) => watches.watcher = Some(watcher),
                Err(error) => watches.fall_back_to_polling(&error),
            }
        }
        watches
    }

    /// Whether the file system reports changes as events.
    pub(crate) fn has_events(&self) -> bool {
        self.watcher.is_some()
    }

    pub(crate) fn is_watched(&self, path: &Path) -> bool {
        self.watched.contains(path)
    }

    /// Watches exactly these directories and entries. Returns whether any of them is new.
    pub(crate) fn watch(&mut self, entries: &[PathBuf], directories: &BTreeSet<PathBuf>) -> bool {
        if self.watcher.is_none() {
            return false;
        }
        let parents = entries
            .iter()
            .filter_map(|entry| entry.parent().map(Path::to_owned));
        let desired: HashSet<_> = directories.iter().cloned().chain(parents).collect();
        self.pending.set_relevant(
            directories.iter().cloned().collect(),
            entries.iter().cloned().collect(),
        );
        for directory in self
            .watched
            .extract_if(|directory| !desired.contains(directory))
        {
            if let Some(watcher) = &mut self.watcher {
                // Fails if the directory is gone, and its watch with it.
                let _ = watcher.unwatch(&directory);
            }
        }
        let new: Vec<_> = desired
            .into_iter()
            .filter(|directory| !self.watched.contains(directory))
            .collect();
        new.iter().for_each(|directory| self.add(directory));
        !new.is_empty()
    }

    /// Drops the watches of moved directories and of those below them: their names may lead elsewhere now.
    pub(crate) fn forget(&mut self, hint: &Hint) {
        let gone = |directory: &PathBuf| {
            directory
                .ancestors()
                .any(|ancestor| hint.moved.contains(ancestor))
        };
        for directory in self.watched.extract_if(gone) {
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&directory);
            }
        }
    }

    fn add(&mut self, directory: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        match watcher.watch(directory, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.watched.insert(directory.to_owned())),
            // Removed since the walk; its parent gets an event.
            Err(_) if !directory.is_dir() => {}
            Err(error) => self.fall_back_to_polling(&error),
        }
    }

    fn fall_back_to_polling(&mut self, error: &notify::Error) {
        tracing::warn!(%error, "cannot watch files (see the fs.inotify limits); polling every second instead");
        self.watcher = None;
        self.watched.clear();
    }
}
