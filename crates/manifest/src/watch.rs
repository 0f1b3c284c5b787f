//! Where changes come from: events of the file system, or looking again every second where there are none.
//!
//! Each folder is watched by itself, not as a tree: the walk knows which folders matter, symbolic links included, and a
//! folder that is replaced by another of its name is watched anew.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Paths remembered; with more, all is looked at.
const MAX_PATHS: usize = 1024;

/// What may have changed.
#[derive(Debug, Default)]
pub(crate) struct Hint {
    /// Anything.
    pub(crate) all: bool,
    /// These paths, without links in their folders.
    pub(crate) paths: HashSet<PathBuf>,
    /// Those among them that were removed, renamed or created.
    pub(crate) moved: HashSet<PathBuf>,
    /// When the first of it was seen.
    pub(crate) arrived: Option<Instant>,
}

impl Hint {
    fn is_empty(&self) -> bool {
        !self.all && self.paths.is_empty()
    }
}

/// What happened since it was last asked for.
#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Default)]
struct State {
    hint: Hint,
    /// Folders whose entries matter.
    folders: HashSet<PathBuf>,
    /// Single entries that matter: the paths given.
    entries: HashSet<PathBuf>,
}

impl Pending {
    /// Takes what happened.
    pub(crate) fn take(&self) -> Hint {
        std::mem::take(&mut self.state().hint)
    }

    /// Whether anything happened.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().hint.is_empty()
    }

    /// Waits for the next event, or returns at once if one came since this last returned.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Makes the next look a look at everything.
    pub(crate) fn look_at_everything(&self) {
        let mut state = self.state();
        state.hint.all = true;
        state.hint.arrived.get_or_insert_with(Instant::now);
        drop(state);
        self.arrived.notify_one();
    }

    fn concern(&self, folders: HashSet<PathBuf>, entries: HashSet<PathBuf>) {
        let mut state = self.state();
        (state.folders, state.entries) = (folders, entries);
    }

    fn event(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) if event.need_rescan() => self.look_at_everything(),
            Ok(event) => self.changed(event),
            Err(error) => {
                tracing::debug!(%error, "watching files failed once; looking at all of them");
                self.look_at_everything();
            }
        }
    }

    fn changed(&self, event: Event) {
        let Some(moved) = moves(event.kind) else {
            return;
        };
        let mut state = self.state();
        let paths: Vec<_> = event
            .paths
            .into_iter()
            .filter(|path| state.concerns(path))
            .collect();
        if paths.is_empty() {
            return;
        }
        state.hint.add(paths, moved);
        drop(state);
        self.arrived.notify_one();
    }

    /// A panic elsewhere cannot leave it half written: every change of it is one assignment or insertion.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn concerns(&self, path: &Path) -> bool {
        let parent = path.parent();
        self.folders.contains(path)
            || self.entries.contains(path)
            || parent.is_some_and(|parent| self.folders.contains(parent))
    }
}

impl Hint {
    fn add(&mut self, paths: Vec<PathBuf>, moved: bool) {
        self.arrived.get_or_insert_with(Instant::now);
        if self.paths.len() + paths.len() > MAX_PATHS {
            self.all = true;
        }
        if moved {
            // Kept even when everything is looked at: a folder replaced has to be watched anew.
            self.moved.extend(paths.iter().cloned());
        }
        if !self.all {
            self.paths.extend(paths);
        }
    }
}

/// Whether an event means that a path leads somewhere else now; `None`: nothing changed, as when we read a file.
fn moves(kind: EventKind) -> Option<bool> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(false),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_) | EventKind::Remove(_) => {
            Some(true)
        }
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Some(false),
    }
}

/// The folders that are watched.
pub(crate) struct Watches {
    pending: Arc<Pending>,
    /// `None`: changes are found by looking.
    watcher: Option<RecommendedWatcher>,
    watched: HashSet<PathBuf>,
}

impl Watches {
    /// Watches with the system's means, or not at all.
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
                Err(error) => watches.give_up(&error),
            }
        }
        watches
    }

    /// Whether changes make events.
    pub(crate) fn has_events(&self) -> bool {
        self.watcher.is_some()
    }

    /// Whether this is a folder that is watched.
    pub(crate) fn is_watched(&self, path: &Path) -> bool {
        self.watched.contains(path)
    }

    /// Watches these folders, and the entries given, and nothing else. Whether any of them is new.
    pub(crate) fn watch(&mut self, entries: &[PathBuf], folders: &BTreeSet<PathBuf>) -> bool {
        if self.watcher.is_none() {
            return false;
        }
        let parents = entries
            .iter()
            .filter_map(|entry| entry.parent().map(Path::to_owned));
        let wanted: HashSet<_> = folders.iter().cloned().chain(parents).collect();
        self.pending.concern(
            folders.iter().cloned().collect(),
            entries.iter().cloned().collect(),
        );
        for folder in self.watched.extract_if(|folder| !wanted.contains(folder)) {
            if let Some(watcher) = &mut self.watcher {
                // Fails where the folder is gone, and the watch with it.
                let _ = watcher.unwatch(&folder);
            }
        }
        let new: Vec<_> = wanted
            .into_iter()
            .filter(|folder| !self.watched.contains(folder))
            .collect();
        new.iter().for_each(|folder| self.add(folder));
        !new.is_empty()
    }

    /// What was removed or renamed is no longer what is watched under its name, nor is anything below it.
    pub(crate) fn forget(&mut self, hint: &Hint) {
        let gone = |folder: &PathBuf| {
            folder
                .ancestors()
                .any(|ancestor| hint.moved.contains(ancestor))
        };
        for folder in self.watched.extract_if(gone) {
            if let Some(watcher) = &mut self.watcher {
                let _ = watcher.unwatch(&folder);
            }
        }
    }

    fn add(&mut self, folder: &Path) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        match watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => drop(self.watched.insert(folder.to_owned())),
            // Gone again: its parent's event says so.
            Err(_) if !folder.is_dir() => {}
            Err(error) => self.give_up(&error),
        }
    }

    fn give_up(&mut self, error: &notify::Error) {
        tracing::warn!(%error, "file changes cannot be watched (see fs.inotify limits); looking every second instead");
        self.watcher = None;
        self.watched.clear();
    }
}
