//! A map whose copies share what did not change.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use std::hash::BuildHasher;

/// Copying the map copies this many pointers; changing one entry then copies one shard.
const SHARDS: usize = 1024;

type Shard<V> = HashMap<Arc<str>, V, RandomState>;

/// A map from names to values, in shards that copies share: with n entries a changed copy costs about
/// `SHARDS + n / SHARDS` steps instead of n, and a lookup costs what a hash map's does.
///
/// The hash is seeded once a process start, so keys chosen by an object's author cannot pile up in one bucket.
#[derive(Clone)]
pub struct SharedMap<V> {
    shards: Vec<Arc<Shard<V>>>,
    hasher: RandomState,
    len: usize,
}

impl<V: Clone> SharedMap<V> {
    /// An empty map.
    pub fn new() -> Self {
        let hasher = RandomState::default();
        let empty = Arc::new(Shard::with_hasher(hasher.clone()));
        Self {
            shards: vec![empty; SHARDS],
            hasher,
            len: 0,
        }
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        self.shards.get(self.shard(key))?.get(key)
    }

    /// Puts `value` under `key`; gives the value that was there.
    pub fn insert(&mut self, key: Arc<str>, value: V) -> Option<V> {
        let shard = self.shard(&key);
        let old = Arc::make_mut(self.shards.get_mut(shard)?).insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        let shard = self.shard(key);
        let slot = self.shards.get_mut(shard)?;
        if !slot.contains_key(key) {
            return None;
        }
        let old = Arc::make_mut(slot).remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shard comes from the middle bits: the shard's own map uses the outer ones of the same hash.
    fn shard(&self, key: &str) -> usize {
        (self.hasher.hash_one(key) >> 32) as usize % SHARDS
    }
}

impl<V: Clone> Default for SharedMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_all_but_the_changed_shard() {
        let mut map = SharedMap::new();
        for n in 0..5_000 {
            map.insert(format!("host-{n}").into(), n);
        }
        let mut copy = map.clone();
        copy.insert("host-7".into(), -1);
        assert_eq!(
            (map.get("host-7"), copy.get("host-7")),
            (Some(&7), Some(&-1))
        );
        let changed = map
            .shards
            .iter()
            .zip(&copy.shards)
            .filter(|(a, b)| !Arc::ptr_eq(a, b))
            .count();
        assert_eq!(changed, 1);
    }

    #[test]
    fn length_follows_inserts_and_removals() {
        let mut map = SharedMap::new();
        map.insert("a".into(), 1);
        map.insert("a".into(), 2);
        map.insert("b".into(), 3);
        assert_eq!(map.remove("c"), None);
        assert_eq!(map.remove("a"), Some(2));
        assert_eq!(map.len(), 1);
        assert_eq!(map.iter().count(), 1);
    }
}
