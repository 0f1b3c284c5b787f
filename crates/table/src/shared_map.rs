//! A map whose copies share unchanged entries.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;
use std::hash::BuildHasher;

/// Shards are in groups, so that copying the map copies one pointer, and a change copies one group and one shard.
const GROUPS: usize = 32;
const SHARDS_IN_GROUP: usize = 32;

type Shard<V> = HashMap<Arc<str>, V, RandomState>;
type Group<V> = Vec<Arc<Shard<V>>>;

/// A map from names to values, in shards that copies share: with n entries, changing a copy costs about
/// `GROUPS + SHARDS_IN_GROUP + n / (GROUPS * SHARDS_IN_GROUP)` steps instead of n, and a lookup costs what a hash map's does.
///
/// The hash is seeded when the process starts, so the author of an object cannot choose keys that collide.
#[derive(Clone)]
pub struct SharedMap<V> {
    groups: Arc<Vec<Arc<Group<V>>>>,
    hasher: RandomState,
    len: usize,
}

impl<V: Clone> SharedMap<V> {
    /// An empty map.
    pub fn new() -> Self {
        let hasher = RandomState::default();
        let shard = Arc::new(Shard::with_hasher(hasher.clone()));
        let group = Arc::new(vec![shard; SHARDS_IN_GROUP]);
        Self {
            groups: Arc::new(vec![group; GROUPS]),
            hasher,
            len: 0,
        }
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        let (group, shard) = self.position(key);
        self.groups.get(group)?.get(shard)?.get(key)
    }

    /// Inserts `value` under `key`; returns the previous value.
    pub fn insert(&mut self, key: Arc<str>, value: V) -> Option<V> {
        let old = self.shard_mut(&key)?.insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes the entry under `key`; returns its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        // An absent key must not copy a group and a shard.
        self.get(key)?;
        let old = self.shard_mut(key)?.remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.groups
            .iter()
            .flat_map(|group| group.iter())
            .flat_map(|shard| shard.iter())
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The shard of `key`, unshared.
    fn shard_mut(&mut self, key: &str) -> Option<&mut Shard<V>> {
        let (group, shard) = self.position(key);
        let group = Arc::make_mut(&mut self.groups).get_mut(group)?;
        Some(Arc::make_mut(Arc::make_mut(group).get_mut(shard)?))
    }

    /// Group and shard of `key`, from the middle bits of its hash: the shard's own map uses the outer ones.
    fn position(&self, key: &str) -> (usize, usize) {
        let bits = (self.hasher.hash_one(key) >> 32) as usize;
        (bits % GROUPS, bits / GROUPS % SHARDS_IN_GROUP)
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
        let shards = |map: &SharedMap<i32>| -> Vec<Arc<Shard<i32>>> {
            map.groups
                .iter()
                .flat_map(|group| group.iter().cloned())
                .collect()
        };
        let (before, after) = (shards(&map), shards(&copy));
        let changed = before
            .iter()
            .zip(&after)
            .filter(|(a, b)| !Arc::ptr_eq(a, b));
        assert_eq!(changed.count(), 1);
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
