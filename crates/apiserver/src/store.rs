//! The store: the objects of each kind, the log of their changes, and the resource version, which counts all changes.
//!
//! Past states are not stored: undoing the log restores them, for paging, `rewind` and old versions.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::kinds::{KINDS, StorageIndex};
use super::stored::{Key, Stored};

/// Maximum length of the log of a kind; older changes are dropped, as if compacted.
const MAX_LOG: usize = 200_000;
/// The version of an empty store: not 0 and not 1, which have special meanings in requests.
const FIRST: u64 = 100;

/// Type of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) change: Change,
    /// The object after it; for a deletion its last state, at the version of the deletion.
    pub(crate) now: Arc<Stored>,
    /// The object before it.
    pub(crate) before: Option<Arc<Stored>>,
}

/// The objects of a kind.
#[derive(Debug)]
pub(crate) struct Collection {
    objects: BTreeMap<Key, Arc<Stored>>,
    log: VecDeque<Arc<Event>>,
    /// Number of changes dropped from the log.
    dropped: u64,
    /// Older versions are compacted.
    floor: u64,
    /// Wakes the watches.
    changed: watch::Sender<u64>,
}

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    collections: Vec<Collection>,
    version: u64,
    identities: u64,
    seed: u32,
}

impl Store {
    pub(crate) fn new() -> Self {
        let collection = || Collection {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            dropped: 0,
            floor: 0,
            changed: watch::Sender::new(0),
        };
        Self {
            collections: KINDS.iter().map(|_| collection()).collect(),
            version: FIRST,
            identities: 0,
            seed: fastrand::u32(..),
        }
    }

    /// The version of the latest change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn collection(&self, storage: StorageIndex) -> &Collection {
        &self.collections[storage]
    }

    pub(crate) fn get(&self, storage: StorageIndex, key: &Key) -> Option<&Arc<Stored>> {
        self.collections[storage].objects.get(key)
    }

    /// A new `metadata.uid`.
    pub(crate) fn identity(&mut self) -> String {
        self.identities += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.seed, self.identities)
    }

    /// Stores an object at the next version.
    pub(crate) fn put(&mut self, storage: StorageIndex, object: Map<String, Value>) -> Arc<Stored> {
        self.version += 1;
        let now = Arc::new(Stored::new(&KINDS[storage], object, self.version));
        let collection = &mut self.collections[storage];
        let before = collection.objects.insert(now.key.clone(), now.clone());
        let change = match before {
            Some(_) => Change::Modified,
            None => Change::Added,
        };
        collection.record(Event {
            change,
            now: now.clone(),
            before,
        });
        now
    }

    /// Deletes an object and returns its last state, at the version of the deletion.
    pub(crate) fn remove(&mut self, storage: StorageIndex, key: &Key) -> Option<Arc<Stored>> {
        let collection = &mut self.collections[storage];
        let before = collection.objects.remove(key)?;
        self.version += 1;
        let now = Arc::new(before.at_version(&KINDS[storage], self.version));
        collection.record(Event {
            change: Change::Deleted,
            now: now.clone(),
            before: Some(before),
        });
        Some(now)
    }

    /// Compacts all older versions. Open watches continue.
    pub(crate) fn compact(&mut self) {
        for collection in &mut self.collections {
            collection.floor = self.version;
        }
    }

    /// Undoes every change after that version, like a restored etcd.
    ///
    /// # Panics
    /// When that version was compacted.
    pub(crate) fn rewind(&mut self, version: u64) {
        for collection in &mut self.collections {
            assert!(
                collection.floor <= version,
                "version {version} was compacted: the log begins at {}",
                collection.floor
            );
            collection.undo(version);
        }
        self.version = version;
    }

    /// Wakes all watches without a change.
    pub(crate) fn wake(&self) {
        for collection in &self.collections {
            collection.changed.send_modify(|count| *count += 1);
        }
    }
}

impl Collection {
    fn record(&mut self, event: Event) {
        self.log.push_back(Arc::new(event));
        if self.log.len() > MAX_LOG
            && let Some(oldest) = self.log.pop_front()
        {
            self.dropped += 1;
            self.floor = self.floor.max(oldest.now.version);
        }
        self.changed.send_modify(|count| *count += 1);
    }

    fn undo(&mut self, version: u64) {
        while let Some(event) = self.log.pop_back_if(|event| event.now.version > version) {
            match &event.before {
                Some(before) => {
                    self.objects.insert(before.key.clone(), before.clone());
                }
                None => {
                    self.objects.remove(&event.now.key);
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// Signals each change.
    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// All objects, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.objects.values()
    }

    /// Objects after a key, in one namespace or in all.
    pub(crate) fn range<'a>(
        &'a self,
        namespace: Option<&'a str>,
        after: Option<&Key>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> {
        let from = match (after, namespace) {
            (Some(key), _) => Bound::Excluded(key.clone()),
            (None, Some(namespace)) => Bound::Included(Key::new(namespace, "")),
            (None, None) => Bound::Unbounded,
        };
        self.objects
            .range((from, Bound::Unbounded))
            .map(|(_, stored)| stored)
            .take_while(move |stored| namespace.is_none_or(|name| stored.key.namespace == name))
    }

    /// The state at an earlier version of each object that changed since.
    pub(crate) fn differences(&self, version: u64) -> BTreeMap<Key, Option<Arc<Stored>>> {
        let mut states = BTreeMap::new();
        for event in self
            .log
            .iter()
            .rev()
            .take_while(|event| event.now.version > version)
        {
            states.insert(event.now.key.clone(), event.before.clone());
        }
        states
    }

    /// The current end of the log, for a watch of later changes.
    pub(crate) fn end(&self) -> u64 {
        self.dropped + self.log.len() as u64
    }

    /// The position in the log of the first change after a version.
    pub(crate) fn after(&self, version: u64) -> u64 {
        let index = self
            .log
            .partition_point(|event| event.now.version <= version);
        self.dropped + index as u64
    }

    /// Up to `count` changes from a position in the log; `None` when they were dropped from it.
    pub(crate) fn changes(&self, from: u64, count: usize) -> Option<Vec<Arc<Event>>> {
        let index = usize::try_from(from.checked_sub(self.dropped)?).ok()?;
        Some(self.log.iter().skip(index).take(count).cloned().collect())
    }
}
