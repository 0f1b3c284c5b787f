//! A store that all workers share, split into shards with a lock each.
//!
//! Locks rather than atomics: an update touches a map and a number together, is held for well under a microsecond, and two
//! workers rarely need the same shard at once.

use crate::{Key, sync::Mutex};
use foldhash::quality::RandomState;
use std::{hash::BuildHasher, sync::OnceLock};

/// Shards of a store. Enough that the workers of a large machine rarely contend, few enough that a store of one client is small.
pub(crate) const SHARDS: usize = 16;

/// `SHARDS` values, one of which belongs to each key. Allocates with the first key.
pub(crate) struct Shards<T> {
    parts: OnceLock<Box<Parts<T>>>,
}

struct Parts<T> {
    /// Seeded, so that a client cannot choose addresses that all belong to one shard.
    hasher: RandomState,
    shards: [Shard<T>; SHARDS],
}

/// Each has a cache line to itself, so that locking one does not slow its neighbour.
#[repr(align(64))]
#[derive(Default)]
struct Shard<T>(Mutex<T>);

impl<T: Default> Shards<T> {
    /// Runs `act` on the shard that `key` belongs to, under its lock.
    pub(crate) fn with<R>(&self, key: Key, act: impl FnOnce(&mut T) -> R) -> R {
        let parts = self.parts.get_or_init(Box::default);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of the hash suffice"
        )]
        let index = parts.hasher.hash_one(key) as usize % SHARDS;
        act(&mut parts.shards[index].0.lock())
    }

    /// Runs `act` on each shard in turn, under its lock; on none before the first key.
    pub(crate) fn for_each(&self, mut act: impl FnMut(&mut T)) {
        for shard in self.parts.get().iter().flat_map(|parts| &parts.shards) {
            act(&mut shard.0.lock());
        }
    }
}

impl<T> Default for Shards<T> {
    fn default() -> Self {
        Self {
            parts: OnceLock::new(),
        }
    }
}

impl<T: Default> Default for Parts<T> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            shards: Default::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    #[test]
    fn nothing_is_allocated_before_the_first_key() {
        let shards = Shards::<u32>::default();
        let mut visits = 0;
        shards.for_each(|_| visits += 1);

        assert_eq!(visits, 0);
        assert!(shards.parts.get().is_none());
    }

    #[test]
    fn a_key_stays_in_its_shard_and_keys_spread_over_all() {
        let shards = Shards::<u32>::default();
        for last in 0..=255 {
            let key = Key::from(IpAddr::from([192, 0, 2, last]));
            let first = shards.with(key, |part| {
                *part += 1;
                *part
            });
            assert_eq!(shards.with(key, |part| *part), first);
        }
        let mut counts = Vec::new();
        shards.for_each(|part| counts.push(*part));

        assert_eq!(counts.len(), SHARDS);
        assert_eq!(counts.iter().sum::<u32>(), 256);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
    }
}
