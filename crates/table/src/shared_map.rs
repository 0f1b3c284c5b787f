//! A map whose copies share unchanged entries.

use std::hash::BuildHasher;
use std::slice;
use std::sync::Arc;

use foldhash::quality::RandomState;

/// Bits of the hash that select the child of a branch.
const BITS: u32 = 4;
const CHILDREN: usize = 1 << BITS;
/// Most entries of a leaf; with more it becomes a branch. Small, so that a lookup reads one or two cache lines of it.
const LEAF: usize = 8;

/// A map from names to values: a tree of hashes, whose unchanged parts copies share. Changing one of n entries of a copy copies
/// one leaf and log16(n / [`LEAF`]) branches; a lookup follows as many pointers.
///
/// The hash is seeded when the process starts, so the author of an object cannot choose keys that collide.
#[derive(Clone)]
pub struct SharedMap<V> {
    root: Node<V>,
    hasher: RandomState,
    len: usize,
}

/// The entries whose hashes begin with the same bits, from the lowest.
#[derive(Clone)]
enum Node<V> {
    /// In no order.
    Leaf(Arc<[Entry<V>]>),
    /// By the next bits.
    Branch(Arc<[Self; CHILDREN]>),
}

#[derive(Clone)]
struct Entry<V> {
    hash: u64,
    key: Arc<str>,
    value: V,
}

impl<V: Clone> SharedMap<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self {
            root: Node::empty(),
            hasher: RandomState::default(),
            len: 0,
        }
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&V> {
        if self.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let mut rest = hash;
        let mut node = &self.root;
        while let Node::Branch(children) = node {
            node = children.get(child(rest))?;
            rest >>= BITS;
        }
        let found = node.entries().iter().find(|entry| entry.is(hash, key));
        found.map(|entry| &entry.value)
    }

    /// Inserts `value` under `key`; returns the previous value.
    pub fn insert(&mut self, key: Arc<str>, value: V) -> Option<V> {
        let hash = self.hasher.hash_one(&*key);
        let old = self.root.insert(Entry { hash, key, value }, 0);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes the entry under `key`; returns its value.
    pub fn remove(&mut self, key: &str) -> Option<V> {
        // An absent key must not copy anything.
        self.get(key)?;
        let old = self.root.remove(self.hasher.hash_one(key), key, 0);
        self.len -= usize::from(old.is_some());
        old
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        let mut open = vec![slice::from_ref(&self.root).iter()];
        let leaves = std::iter::from_fn(move || {
            loop {
                match open.last_mut()?.next() {
                    None => drop(open.pop()),
                    Some(Node::Branch(children)) => open.push(children.iter()),
                    Some(Node::Leaf(entries)) => return Some(&**entries),
                }
            }
        });
        leaves
            .flatten()
            .map(|entry: &Entry<V>| (&entry.key, &entry.value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl<V: Clone> Default for SharedMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Entry<V> {
    fn is(&self, hash: u64, key: &str) -> bool {
        self.hash == hash && *self.key == *key
    }
}

impl<V> Node<V> {
    fn empty() -> Self {
        Self::Leaf(Arc::default())
    }

    /// Those of a leaf.
    fn entries(&self) -> &[Entry<V>] {
        match self {
            Self::Leaf(entries) => entries,
            Self::Branch(_) => &[],
        }
    }
}

impl<V: Clone> Node<V> {
    /// `depth` branches are above this node.
    fn insert(&mut self, entry: Entry<V>, depth: u32) -> Option<V> {
        let entries = match self {
            Self::Branch(children) => {
                let at = child(entry.rest(depth));
                return Arc::make_mut(children)
                    .get_mut(at)?
                    .insert(entry, depth + 1);
            }
            Self::Leaf(entries) => entries,
        };
        let same = |known: &Entry<V>| known.is(entry.hash, &entry.key);
        if let Some(at) = entries.iter().position(same) {
            let known = Arc::make_mut(entries).get_mut(at)?;
            return Some(std::mem::replace(&mut known.value, entry.value));
        }
        // Entries with the same hash stay in one leaf.
        let is_full = entries.len() >= LEAF && depth < u64::BITS / BITS;
        let all = entries.iter().cloned().chain([entry]);
        *self = if is_full {
            Self::branch(all, depth)
        } else {
            Self::Leaf(all.collect())
        };
        None
    }

    fn branch(entries: impl Iterator<Item = Entry<V>>, depth: u32) -> Self {
        let mut of_child: [Vec<Entry<V>>; CHILDREN] = Default::default();
        for entry in entries {
            if let Some(entries) = of_child.get_mut(child(entry.rest(depth))) {
                entries.push(entry);
            }
        }
        Self::Branch(Arc::new(of_child.map(|entries| match entries.len() {
            0 => Self::empty(),
            more if more > LEAF && depth + 1 < u64::BITS / BITS => {
                Self::branch(entries.into_iter(), depth + 1)
            }
            _ => Self::Leaf(entries.into()),
        })))
    }

    fn remove(&mut self, hash: u64, key: &str, depth: u32) -> Option<V> {
        let children = match self {
            Self::Leaf(entries) => {
                let removed = entries.iter().find(|entry| entry.is(hash, key))?;
                let removed = removed.value.clone();
                let rest = entries.iter().filter(|entry| !entry.is(hash, key));
                *entries = rest.cloned().collect();
                return Some(removed);
            }
            Self::Branch(children) => Arc::make_mut(children),
        };
        let at = child(hash >> (depth * BITS));
        let removed = children.get_mut(at)?.remove(hash, key, depth + 1)?;
        let leaves = children.iter().map(|child| match child {
            Self::Leaf(entries) => Some(entries),
            Self::Branch(_) => None,
        });
        let left: Option<usize> = leaves.map(|entries| Some(entries?.len())).sum();
        // Not at once: the next insertion would make a branch again.
        if left.is_some_and(|left| left <= LEAF / 2) {
            let all = children.iter().flat_map(Self::entries);
            *self = Self::Leaf(all.cloned().collect());
        }
        Some(removed)
    }
}

impl<V> Entry<V> {
    /// The bits of the hash that the first `depth` branches have not used; none are left below the deepest.
    fn rest(&self, depth: u32) -> u64 {
        self.hash.checked_shr(depth * BITS).unwrap_or(0)
    }
}

/// The place of the child that the lowest bits select.
fn child(hash: u64) -> usize {
    // Fewer than the bits of any usize.
    (hash % CHILDREN as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn of(count: usize) -> SharedMap<usize> {
        let mut map = SharedMap::new();
        for n in 0..count {
            map.insert(format!("host-{n}").into(), n);
        }
        map
    }

    /// Addresses of all nodes.
    fn nodes<V>(node: &Node<V>, found: &mut Vec<usize>) {
        match node {
            Node::Leaf(entries) if entries.is_empty() => {}
            Node::Leaf(entries) => found.push(entries.as_ptr() as usize),
            Node::Branch(children) => {
                found.push(children.as_ptr() as usize);
                children.iter().for_each(|child| nodes(child, found));
            }
        }
    }

    /// Nodes of `after` that `before` does not have.
    fn new_nodes<V>(before: &SharedMap<V>, after: &SharedMap<V>) -> usize {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        nodes(&before.root, &mut old);
        nodes(&after.root, &mut new);
        new.iter().filter(|node| !old.contains(node)).count()
    }

    #[test]
    fn a_change_of_a_copy_copies_one_leaf_and_the_branches_above_it() {
        for (count, most) in [(10, 2), (1_000, 4), (20_000, 6)] {
            let map = of(count);
            let mut copy = map.clone();
            copy.insert("host-7".into(), 0);
            assert_eq!(
                (map.get("host-7"), copy.get("host-7")),
                (Some(&7), Some(&0))
            );
            assert!(new_nodes(&map, &copy) <= most, "of {count}");
            let mut copy = map.clone();
            copy.remove("host-7");
            assert!(new_nodes(&map, &copy) <= most, "of {count}");
            copy = map.clone();
            copy.remove("another");
            assert_eq!(new_nodes(&map, &copy), 0);
        }
    }

    #[test]
    fn removed_entries_leave_no_branches() {
        let mut map = of(5_000);
        for n in 3..5_000 {
            map.remove(&format!("host-{n}"));
        }
        assert!(matches!(map.root, Node::Leaf(_)));
        assert_eq!(map.len(), 3);
    }

    #[test]
    fn entries_with_the_same_hash_are_told_apart() {
        let mut root = Node::empty();
        let entry = |n: usize| Entry {
            hash: 7,
            key: n.to_string().into(),
            value: n,
        };
        for n in 0..3 * LEAF {
            assert_eq!(root.insert(entry(n), 0), None);
        }
        for n in 0..3 * LEAF {
            assert_eq!(root.insert(entry(n), 0), Some(n));
            assert_eq!(root.remove(7, &n.to_string(), 0), Some(n));
        }
    }

    proptest! {
        #[test]
        fn it_has_what_a_hash_map_has(steps in prop::collection::vec((any::<bool>(), 0_u8..60), 0..300)) {
            let mut map = SharedMap::new();
            let mut model = HashMap::new();
            for (at, (inserts, key)) in steps.into_iter().enumerate() {
                let key = key.to_string();
                if inserts {
                    prop_assert_eq!(map.insert(key.as_str().into(), at), model.insert(key, at));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.len(), model.len());
            }
            for (key, value) in &model {
                prop_assert_eq!(map.get(key), Some(value));
            }
            prop_assert_eq!(map.iter().count(), model.len());
        }
    }
}
