//! Recent Events, so that a repeated one becomes a series.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::time::Instant;

use super::notice::EventContent;

/// API servers delete Events after this time by default.
const LIFE: Duration = Duration::from_secs(3600);
/// Most Events remembered; forgetting one costs a request.
const MAX: usize = 10_000;
/// Longest name of an object in bytes.
const MAX_NAME: usize = 253;

/// The Events of the last hour with their counts.
#[derive(Default)]
pub(super) struct Memory {
    recent: HashMap<String, Entry, RandomState>,
}

struct Entry {
    count: i32,
    last: Instant,
}

impl Memory {
    /// The Event's name and its count, this one included.
    pub(super) fn note(&mut self, content: &EventContent, now: Instant) -> (String, i32) {
        let is_fresh = |entry: &Entry| now.saturating_duration_since(entry.last) < LIFE;
        if self.recent.len() >= MAX {
            self.recent.retain(|_, entry| is_fresh(entry));
            if self.recent.len() >= MAX {
                self.recent.clear();
            }
        }
        let name = name(content);
        let entry = self.recent.entry(name.clone());
        let entry = entry.or_insert(Entry {
            count: 0,
            last: now,
        });
        if !is_fresh(entry) {
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        entry.last = now;
        (name, entry.count)
    }

    /// Undoes [`Self::note`] for an Event that could not be written.
    pub(super) fn forget(&mut self, content: &EventContent, count: i32) {
        let name = name(content);
        if count <= 1 {
            self.recent.remove(&name);
        } else if let Some(entry) = self.recent.get_mut(&name) {
            entry.count = count - 1;
        }
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
