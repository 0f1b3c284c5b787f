//! Recent Events, so that a repeated one becomes a series, which is updated now and then.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::notice::EventContent;

/// API servers delete Events this long after their last update by default.
const LIFE: Duration = Duration::from_secs(3600);
/// Least time between two updates of a series. The first repetition is written at once, later ones are counted until then.
pub(super) const UPDATE: Duration = Duration::from_secs(300);
/// Most Events remembered; forgetting one costs three requests.
const MAX: usize = 10_000;
/// Longest name of an object in bytes.
const MAX_NAME: usize = 253;

/// The Events of the last hour with their counts.
#[derive(Default)]
pub(super) struct Memory {
    recent: HashMap<String, Entry, RandomState>,
    /// Series with occurrences that are not written yet, by the time of the next update.
    due: BTreeSet<(Instant, String)>,
}

struct Entry {
    /// Occurrences.
    count: i32,
    /// How many of them the API server has; zero before the Event exists.
    written: i32,
    /// When it was written last.
    last: Instant,
    /// To write it later.
    pending: Option<EventContent>,
}

/// What one more occurrence of an Event needs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Create the Event.
    Create,
    /// Update the series to this count.
    Update(i32),
    /// Nothing yet: it is counted.
    Count,
}

impl Memory {
    /// One more occurrence: the Event's name, and what to do.
    pub(super) fn note(&mut self, content: &EventContent, now: Instant) -> (String, Step) {
        self.make_room(now);
        let name = name(content);
        let entry = self
            .recent
            .entry(name.clone())
            .or_insert_with(|| Entry::new(now));
        if !entry.is_fresh(now) {
            *entry = Entry::new(now);
        }
        entry.count = entry.count.saturating_add(1);
        let step = match entry.written {
            0 => Step::Create,
            1 => Step::Update(entry.count),
            _ if now >= entry.last + UPDATE => Step::Update(entry.count),
            _ => {
                if entry.pending.replace(content.clone()).is_none() {
                    self.due.insert((entry.last + UPDATE, name.clone()));
                }
                Step::Count
            }
        };
        (name, step)
    }

    /// The API server has the Event with this count.
    pub(super) fn written(&mut self, name: &str, count: i32, now: Instant) {
        if let Some(entry) = self.recent.get_mut(name) {
            (entry.count, entry.written, entry.last) = (count, count, now);
        }
    }

    /// Forgets an Event that could not be written.
    pub(super) fn forget(&mut self, name: &str) {
        self.recent.remove(name);
    }

    /// When the next series is to be updated.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The next series to update: name, content and count.
    pub(super) fn take_due(&mut self) -> Option<(String, EventContent, i32)> {
        let (_, name) = self.due.pop_first()?;
        let entry = self.recent.get_mut(&name)?;
        let content = entry.pending.take()?;
        Some((name, content, entry.count))
    }

    fn make_room(&mut self, now: Instant) {
        if self.recent.len() < MAX {
            return;
        }
        self.recent.retain(|_, entry| entry.is_fresh(now));
        if self.recent.len() >= MAX {
            self.recent.clear();
            self.due.clear();
        }
    }
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            count: 0,
            written: 0,
            last: now,
            pending: None,
        }
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < LIFE
    }
}

/// The same name in every replica and after every restart, so that the second replica to write an Event finds the
/// existing one.
fn name(content: &EventContent) -> String {
    let EventContent {
        regarding,
        is_warning,
        reason,
        note,
    } = content;
    let parts: [&str; 6] = [
        regarding.kind,
        regarding.uid.as_deref().unwrap_or_default(),
        &regarding.name.name,
        if *is_warning { "Warning" } else { "Normal" },
        reason.as_str(),
        note,
    ];
    let hash = fnv(&parts);
    let object = &*regarding.name.name;
    let end = object.floor_char_boundary(MAX_NAME - 17);
    format!("{}.{hash:016x}", &object[..end])
}

/// FNV-1a: the same in every build, which the standard hasher does not promise. A forged collision only turns an Event of
/// the forger's own object into a series.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
