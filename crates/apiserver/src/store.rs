//! What is kept: the objects of each kind, the log of their changes, and the version that counts them all.
//!
//! A past state is never stored: it is the present one with the log undone, which paging, `rewind` and old versions use.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::kinds::{KINDS, Shelf};
use super::stored::{Key, Stored};

/// Changes that are kept of a kind; what falls out is as good as compacted.
const LOG: usize = 200_000;
/// The version of an empty store: not 0 and not 1, which have meanings in requests.
const FIRST: u64 = 100;

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

/// One change.
#[derive(Debug)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) change: Change,
    /// The object after it; for a deletion as it last was, under the version of the deletion.
    pub(crate) now: Arc<Stored>,
    /// The object before it.
    pub(crate) before: Option<Arc<Stored>>,
}

/// The objects of a kind.
#[derive(Debug)]
pub(crate) struct Kept {
    objects: BTreeMap<Key, Arc<Stored>>,
    log: VecDeque<Arc<Event>>,
    /// How many changes fell out of the log.
    dropped: u64,
    /// Versions below this cannot be asked for.
    floor: u64,
    /// Wakes the watches.
    news: watch::Sender<u64>,
}

/// All objects.
#[derive(Debug)]
pub(crate) struct Store {
    shelves: Vec<Kept>,
    version: u64,
    identities: u64,
    seed: u32,
}

impl Store {
    pub(crate) fn new() -> Self {
        let kept = || Kept {
            objects: BTreeMap::new(),
            log: VecDeque::new(),
            dropped: 0,
            floor: 0,
            news: watch::Sender::new(0),
        };
        Self {
            shelves: KINDS.iter().map(|_| kept()).collect(),
            version: FIRST,
            identities: 0,
            seed: fastrand::u32(..),
        }
    }

    /// The version of the latest change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    pub(crate) fn kept(&self, shelf: Shelf) -> &Kept {
        &self.shelves[shelf]
    }

    pub(crate) fn get(&self, shelf: Shelf, key: &Key) -> Option<&Arc<Stored>> {
        self.shelves[shelf].objects.get(key)
    }

    /// A new `metadata.uid`.
    pub(crate) fn identity(&mut self) -> String {
        self.identities += 1;
        format!("{:08x}-0000-4000-8000-{:012x}", self.seed, self.identities)
    }

    /// Keeps an object under the next version.
    pub(crate) fn put(&mut self, shelf: Shelf, object: Map<String, Value>) -> Arc<Stored> {
        self.version += 1;
        let now = Arc::new(Stored::new(&KINDS[shelf], object, self.version));
        let kept = &mut self.shelves[shelf];
        let before = kept.objects.insert(now.key.clone(), now.clone());
        let change = match before {
            Some(_) => Change::Modified,
            None => Change::Added,
        };
        kept.record(Event {
            change,
            now: now.clone(),
            before,
        });
        now
    }

    /// Ends an object; its last state, under the version of its end.
    pub(crate) fn remove(&mut self, shelf: Shelf, key: &Key) -> Option<Arc<Stored>> {
        let kept = &mut self.shelves[shelf];
        let before = kept.objects.remove(key)?;
        self.version += 1;
        let now = Arc::new(before.at_version(&KINDS[shelf], self.version));
        kept.record(Event {
            change: Change::Deleted,
            now: now.clone(),
            before: Some(before),
        });
        Some(now)
    }

    /// Forgets all older versions. Watches that are open go on.
    pub(crate) fn compact(&mut self) {
        for kept in &mut self.shelves {
            kept.floor = self.version;
        }
    }

    /// Undoes every change after that version, as a restored etcd does.
    ///
    /// # Panics
    /// When the log does not reach back so far.
    pub(crate) fn rewind(&mut self, version: u64) {
        for kept in &mut self.shelves {
            assert!(
                kept.floor <= version,
                "version {version} was compacted: the log begins at {}",
                kept.floor
            );
            kept.undo(version);
        }
        self.version = version;
    }

    /// Wakes all watches, to look at something else than changes.
    pub(crate) fn wake(&self) {
        for kept in &self.shelves {
            kept.news.send_modify(|count| *count += 1);
        }
    }
}

impl Kept {
    fn record(&mut self, event: Event) {
        self.log.push_back(Arc::new(event));
        if self.log.len() > LOG
            && let Some(gone) = self.log.pop_front()
        {
            self.dropped += 1;
            self.floor = self.floor.max(gone.now.version);
        }
        self.news.send_modify(|count| *count += 1);
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

    /// Told of each change.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// All objects, in order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.objects.values()
    }

    /// Objects from a place on, of a namespace or of all.
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
            .take_while(move |stored| namespace.is_none_or(|wanted| stored.key.namespace == wanted))
    }

    /// What differed at an earlier version: the state then of each object that changed since.
    pub(crate) fn differences(&self, version: u64) -> BTreeMap<Key, Option<Arc<Stored>>> {
        let mut then = BTreeMap::new();
        for event in self
            .log
            .iter()
            .rev()
            .take_while(|event| event.now.version > version)
        {
            then.insert(event.now.key.clone(), event.before.clone());
        }
        then
    }

    /// Where the log ends now, for a watch that wants what comes.
    pub(crate) fn end(&self) -> u64 {
        self.dropped + self.log.len() as u64
    }

    /// Where the changes after a version begin.
    pub(crate) fn after(&self, version: u64) -> u64 {
        let index = self
            .log
            .partition_point(|event| event.now.version <= version);
        self.dropped + index as u64
    }

    /// Up to `count` changes from a place in the log on; `None` when they fell out of it.
    pub(crate) fn changes(&self, from: u64, count: usize) -> Option<Vec<Arc<Event>>> {
        let index = usize::try_from(from.checked_sub(self.dropped)?).ok()?;
        Some(self.log.iter().skip(index).take(count).cloned().collect())
    }
}
