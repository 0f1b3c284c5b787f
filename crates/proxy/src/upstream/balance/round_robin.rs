//! Round robin.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One cursor per worker, each from a random start: cores would contend for the cache line of a shared one, and equal
/// starts would send the first requests of all workers to the same endpoint.
pub(super) struct Cursors(Box<[Cursor]>);

#[repr(align(64))]
struct Cursor(AtomicUsize);

impl Cursors {
    pub(super) fn new(workers: usize) -> Self {
        let random = |_| Cursor(AtomicUsize::new(fastrand::usize(..1 << 16)));
        Self((0..workers.max(1)).map(random).collect())
    }

    /// The next of `endpoints` for `worker`; one that is not in `tried` as long as there is one. Only a first attempt
    /// moves the cursor: if retries did, with one of two endpoints dead every request would begin at the dead one.
    pub(super) fn pick(
        &self,
        worker: usize,
        endpoints: &[SocketAddr],
        tried: &[SocketAddr],
    ) -> Option<SocketAddr> {
        let cursor = self.0.get(worker % self.0.len().max(1))?;
        let turn = cursor.0.load(Ordering::Relaxed);
        let (before, after) = endpoints.split_at(turn.checked_rem(endpoints.len())?);
        if tried.is_empty() {
            // Only this worker's thread moves its cursor.
            cursor.0.store(turn.wrapping_add(1), Ordering::Relaxed);
            return after.first().copied();
        }
        let mut round = after.iter().chain(before);
        round
            .find(|endpoint| !tried.contains(endpoint))
            .or_else(|| after.first())
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn endpoints(n: u8) -> Vec<SocketAddr> {
        (0..n)
            .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
            .collect()
    }

    #[test]
    fn every_endpoint_gets_its_share() {
        let (cursors, endpoints) = (Cursors::new(2), endpoints(3));
        let mut counts: HashMap<_, usize> = HashMap::new();
        for _ in 0..9 {
            *counts.entry(cursors.pick(1, &endpoints, &[])).or_default() += 1;
        }
        assert!(
            counts.values().all(|count| *count == 3) && counts.len() == 3,
            "{counts:?}"
        );
    }

    #[test]
    fn retries_do_not_move_the_cursor() {
        let (cursors, endpoints) = (Cursors::new(1), endpoints(2));
        let mut first_at_dead = 0;
        for _ in 0..10 {
            let first = cursors.pick(0, &endpoints, &[]);
            if first == Some(endpoints[0]) {
                first_at_dead += 1;
                assert_eq!(
                    cursors.pick(0, &endpoints, &endpoints[..1]),
                    Some(endpoints[1])
                );
            }
        }
        assert_eq!(first_at_dead, 5);
    }

    #[test]
    fn tried_ones_are_avoided_while_there_are_others() {
        let (cursors, endpoints) = (Cursors::new(1), endpoints(3));
        for _ in 0..6 {
            assert_eq!(
                cursors.pick(0, &endpoints, &endpoints[..2]),
                Some(endpoints[2])
            );
            assert!(cursors.pick(0, &endpoints, &endpoints).is_some());
        }
        assert_eq!(cursors.pick(0, &[], &[]), None);
    }
}
