//! Round robin.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Shares;
use super::random::DRAWS;

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
    /// moves the cursor: if retries did, with one of two endpoints dead every request would begin at the dead one. An endpoint
    /// that is starting lets some of its turns pass.
    pub(super) fn pick(
        &self,
        worker: usize,
        endpoints: &[SocketAddr],
        tried: &[SocketAddr],
        shares: Option<&Shares>,
    ) -> Option<SocketAddr> {
        let cursor = self.0.get(worker % self.0.len().max(1))?;
        let turn = cursor.0.load(Ordering::Relaxed);
        let (before, after) = endpoints.split_at(turn.checked_rem(endpoints.len())?);
        let mut round = after.iter().chain(before);
        if tried.is_empty() {
            let passed = shares.map_or(0, |shares| {
                let mut turns = round.clone().cycle().take(DRAWS);
                turns.position(|one| shares.admit(one)).unwrap_or(0)
            });
            // Only this worker's thread moves its cursor.
            let next = turn.wrapping_add(passed).wrapping_add(1);
            cursor.0.store(next, Ordering::Relaxed);
            return round.cycle().nth(passed).copied();
        }
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
    use std::time::Duration;

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
            *counts
                .entry(cursors.pick(1, &endpoints, &[], None))
                .or_default() += 1;
        }
        assert!(
            counts.values().all(|count| *count == 3) && counts.len() == 3,
            "{counts:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_starting_gets_its_share() {
        const TIME: Duration = Duration::from_secs(30);
        let (cursors, endpoints) = (Cursors::new(1), endpoints(4));
        let starting = super::super::starting::Starting::default();
        starting.follow(&endpoints[..3], &endpoints, TIME);
        let spread = || {
            let shares = starting.shares(TIME);
            let mut counts = [0; 4];
            for _ in 0..10_000 {
                let picked = cursors.pick(0, &endpoints, &[], shares.as_ref());
                let at = endpoints.iter().position(|one| Some(*one) == picked);
                counts[at.unwrap_or_default()] += 1;
            }
            counts
        };
        // 0.1 of 3.1, 0.55 of 3.55, and a quarter.
        for (expected, others) in [(230..420, 3226), (1350..1750, 2817), (2500..2501, 2500)] {
            let counts = spread();
            assert!(expected.contains(&counts[3]), "{counts:?}");
            let even = |count: &usize| count.abs_diff(others) < 100;
            assert!(counts[..3].iter().all(even), "{counts:?}");
            tokio::time::advance(TIME / 2).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_most_are_starting_the_others_get_most() {
        const TIME: Duration = Duration::from_secs(30);
        let (cursors, endpoints) = (Cursors::new(1), endpoints(11));
        let starting = super::super::starting::Starting::default();
        starting.follow(&endpoints[..1], &endpoints, TIME);
        let shares = starting.shares(TIME);
        let picks = (0..10_000).map(|_| cursors.pick(0, &endpoints, &[], shares.as_ref()));
        let of_old = picks.filter(|one| *one == Some(endpoints[0])).count();
        assert!((4700..5300).contains(&of_old), "{of_old}");
    }

    #[test]
    fn retries_do_not_move_the_cursor() {
        let (cursors, endpoints) = (Cursors::new(1), endpoints(2));
        let mut first_at_dead = 0;
        for _ in 0..10 {
            let first = cursors.pick(0, &endpoints, &[], None);
            if first == Some(endpoints[0]) {
                first_at_dead += 1;
                assert_eq!(
                    cursors.pick(0, &endpoints, &endpoints[..1], None),
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
                cursors.pick(0, &endpoints, &endpoints[..2], None),
                Some(endpoints[2])
            );
            assert!(cursors.pick(0, &endpoints, &endpoints, None).is_some());
        }
        assert_eq!(cursors.pick(0, &[], &[], None), None);
    }
}
