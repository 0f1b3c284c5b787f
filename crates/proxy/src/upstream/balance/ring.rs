//! Consistent hashing: a ring of many points for each node, where a key belongs to the next point.

use std::fmt::Display;

/// Points of a node, as many as in ketama. More points make shares more even.
const POINTS: u32 = 160;

/// A ring of nodes, which are identified by index.
pub(super) struct Ring {
    /// Sorted by point.
    points: Vec<(u64, u32)>,
    nodes: usize,
}

impl Ring {
    /// A ring of nodes with these labels. The points of a label depend on nothing else, so a node that is added or removed
    /// moves its own keys alone, and all replicas of the proxy agree.
    pub(super) fn new<L: Display>(labels: impl ExactSizeIterator<Item = L>) -> Self {
        let nodes = labels.len();
        let mut points = Vec::with_capacity(nodes.saturating_mul(POINTS as usize));
        for (node, label) in labels.enumerate().take(u32::MAX as usize) {
            let label = hash(label.to_string().as_bytes());
            points.extend(
                (0..POINTS).map(|point| (mix(label ^ mix(u64::from(point) + 1)), node as u32)),
            );
        }
        points.sort_unstable();
        Self { points, nodes }
    }

    /// The node that `hash` belongs to, or the next one on the ring that `suits`; the former if none does.
    pub(super) fn find(&self, hash: u64, suits: impl Fn(usize) -> bool) -> Option<usize> {
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let (before, after) = self.points.split_at(start);
        let mut round = after.iter().chain(before).map(|(_, node)| *node as usize);
        let first = round.next()?;
        if suits(first) || self.nodes == 1 {
            return Some(first);
        }
        Some(round.find(|node| suits(*node)).unwrap_or(first))
    }
}

/// A hash that is the same in every process and version: FNV-1a, then mixed so that similar keys are spread.
pub(in super::super) fn hash(bytes: &[u8]) -> u64 {
    let fnv =
        |state: u64, byte: &u8| (state ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, fnv))
}

/// The finaliser of splitmix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use proptest::prelude::*;

    fn labels(n: usize) -> Vec<String> {
        (0..n)
            .map(|i| format!("10.0.{}.{}:8080", i / 256, i % 256))
            .collect()
    }

    fn owner(labels: &[String], ring: &Ring, key: usize) -> String {
        labels[ring
            .find(hash(key.to_string().as_bytes()), |_| true)
            .unwrap()]
        .clone()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn only_the_keys_of_a_node_that_leaves_move(n in 2_usize..20, gone in 0_usize..20, salt in 0_usize..1_000_000) {
            let all = labels(n);
            let gone = gone % n;
            let left: Vec<String> = all.iter().enumerate().filter(|(i, _)| *i != gone).map(|(_, l)| l.clone()).collect();
            let (before, after) = (Ring::new(all.iter()), Ring::new(left.iter()));
            let mut moved = 0;
            for key in salt..salt + 2_000 {
                let (old, new) = (owner(&all, &before, key), owner(&left, &after, key));
                if old == all[gone] {
                    moved += 1;
                } else {
                    prop_assert_eq!(old, new);
                }
            }
            // The share of one node: 1/n, within what 160 points leave to chance.
            prop_assert!(moved as f64 <= 2_000.0 * 1.6 / n as f64 + 20.0, "{} of 2000 moved with {} nodes", moved, n);
        }
    }

    #[test]
    fn shares_are_even() {
        let all = labels(8);
        let ring = Ring::new(all.iter());
        let mut counts = [0_usize; 8];
        for key in 0..80_000_usize {
            counts[ring
                .find(hash(key.to_string().as_bytes()), |_| true)
                .unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (7_000..13_500).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_next_suitable_node_is_found_or_else_the_first() {
        let all = labels(3);
        let ring = Ring::new(all.iter());
        let first = ring.find(42, |_| true).unwrap();
        assert_ne!(ring.find(42, |node| node != first), Some(first));
        assert_eq!(ring.find(42, |_| false), Some(first));
        assert_eq!(Ring::new(labels(0).iter()).find(42, |_| true), None);
    }
}
