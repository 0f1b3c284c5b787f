//! The endpoint with the fewest requests in flight.
//!
//! A request counts from the choice of the endpoint to the end of its response, on whichever worker it is. An upgraded
//! connection and a stream are requests for as long as they last.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::super::load::{Counted, Tally};
use super::Shares;
use super::random::{random, two};

/// Up to this many endpoints are all compared: two random ones of a few would often not have the best among them. Of more, two
/// random ones are compared: a choice costs the same however many there are, and hardly any endpoint has more than two or three
/// requests above the mean.
const COMPARED: usize = 8;

/// The requests of each endpoint, of all workers.
pub(in super::super) struct InFlight(HashMap<SocketAddr, Arc<Tally>, RandomState>);

impl InFlight {
    /// Of these `endpoints`. Those that `former` has keep their requests.
    pub(super) fn new(endpoints: &[SocketAddr], former: Option<&Self>) -> Self {
        let tally = |endpoint: &SocketAddr| {
            let kept = former.and_then(|former| former.0.get(endpoint)).cloned();
            (*endpoint, kept.unwrap_or_default())
        };
        Self(endpoints.iter().map(tally).collect())
    }

    /// Counts a request to `endpoint`; `None` if there is no such endpoint.
    pub(in super::super) fn add(&self, endpoint: &SocketAddr) -> Option<Counted> {
        self.0.get(endpoint).map(|tally| tally.add())
    }

    /// The requests to `endpoint`.
    pub(in super::super) fn count(&self, endpoint: &SocketAddr) -> usize {
        self.0.get(endpoint).map_or(0, |tally| tally.count())
    }

    /// The one of `endpoints` with the fewest requests that is not in `tried`, as long as there is one.
    pub(super) fn pick(
        &self,
        endpoints: &[SocketAddr],
        tried: &[SocketAddr],
        shares: Option<&Shares>,
    ) -> Option<SocketAddr> {
        if endpoints.len() <= COMPARED && shares.is_none() {
            let fewest = self.fewest(endpoints, tried);
            return fewest.or_else(|| random(endpoints, |_| true));
        }
        let (one, other) = two(endpoints, tried, shares)?;
        // An endpoint that is starting is to have no more than its share at once.
        let share = |endpoint| shares.map_or(1.0, |shares| shares.of(endpoint));
        let weight = |endpoint| self.count(endpoint) as f64 / share(endpoint);
        Some(if weight(&other) < weight(&one) {
            other
        } else {
            one
        })
    }

    /// The same, of all of them. Each of those with equally few is as likely as the others.
    fn fewest(&self, endpoints: &[SocketAddr], tried: &[SocketAddr]) -> Option<SocketAddr> {
        let (mut best, mut least, mut equal) = (None, usize::MAX, 0);
        for endpoint in endpoints.iter().filter(|one| !tried.contains(one)) {
            let count = self.count(endpoint);
            if count > least {
                continue;
            }
            equal = if count < least { 1 } else { equal + 1 };
            if fastrand::u32(..equal) == 0 {
                best = Some(*endpoint);
            }
            least = count;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::starting::Starting;
    use super::*;

    fn endpoints(n: u8) -> Vec<SocketAddr> {
        (0..n)
            .map(|i| SocketAddr::from(([10, 0, 0, i], 80)))
            .collect()
    }

    /// How many of `picks` requests that end at once each endpoint gets.
    fn spread(
        loads: &InFlight,
        endpoints: &[SocketAddr],
        shares: Option<&Shares>,
        picks: usize,
    ) -> Vec<usize> {
        let mut counts: BTreeMap<_, usize> = endpoints.iter().map(|one| (*one, 0)).collect();
        for _ in 0..picks {
            *counts
                .get_mut(&loads.pick(endpoints, &[], shares).unwrap())
                .unwrap() += 1;
        }
        counts.into_values().collect()
    }

    #[test]
    fn endpoints_with_equally_few_requests_get_as_many_as_each_other() {
        for n in [3, 40] {
            let endpoints = endpoints(n);
            let loads = InFlight::new(&endpoints, None);
            // Those at the end are not likelier because others are busy.
            let _busy = [0, 1].map(|busy| loads.add(&endpoints[busy]));
            let counts = spread(&loads, &endpoints, None, 1000 * usize::from(n));
            if n == 3 {
                assert_eq!(counts, [0, 0, 3000]);
            } else {
                let idle = &counts[2..];
                assert!(
                    idle.iter().all(|count| (850..1250).contains(count)),
                    "{counts:?}"
                );
                assert!(counts[0] < 100 && counts[1] < 100, "{counts:?}");
            }
        }
        let endpoints = endpoints(4);
        let loads = InFlight::new(&endpoints, None);
        let _busy = loads.add(&endpoints[1]);
        let counts = spread(&loads, &endpoints, None, 3000);
        assert!(
            counts[1] == 0 && [0, 2, 3].iter().all(|i| (850..1150).contains(&counts[*i])),
            "{counts:?}"
        );
    }

    #[test]
    fn requests_that_last_are_spread_evenly() {
        for (n, above) in [(5, 1), (100, 5)] {
            let endpoints = endpoints(n);
            let loads = InFlight::new(&endpoints, None);
            let add = |_| loads.add(&loads.pick(&endpoints, &[], None)?);
            let requests: Vec<_> = (0..2003).map(add).collect();
            let counts: Vec<_> = endpoints.iter().map(|one| loads.count(one)).collect();
            // Of two chosen at random, the less busy one gets the request: few get many more than the others, but one may get few.
            let most = counts.iter().max().unwrap();
            assert!(most - 2003 / counts.len() <= above, "{counts:?}");
            drop(requests);
            assert!(endpoints.iter().all(|endpoint| loads.count(endpoint) == 0));
        }
    }

    #[test]
    fn workers_count_together() {
        let endpoints = endpoints(2);
        let loads = InFlight::new(&endpoints, None);
        let requests: Vec<_> = std::thread::scope(|scope| {
            let worker = || {
                let pick = |_| loads.add(&loads.pick(&endpoints, &[], None)?);
                (0..500).map(pick).collect::<Vec<_>>()
            };
            let workers = [(); 4].map(|()| scope.spawn(worker));
            workers
                .into_iter()
                .flat_map(|worker| worker.join().unwrap())
                .collect()
        });
        let counts = [0, 1].map(|one: usize| loads.count(&endpoints[one]));
        assert_eq!(counts[0] + counts[1], 2000);
        assert!(counts[0].abs_diff(counts[1]) <= 8, "{counts:?}");
        drop(requests);
    }

    #[test]
    fn tried_ones_are_avoided_while_there_are_others() {
        for n in [3, 20] {
            let endpoints = endpoints(n);
            let (last, tried) = endpoints.split_last().unwrap();
            let loads = InFlight::new(&endpoints, None);
            let _busy: Vec<_> = (0..9).map(|_| loads.add(last)).collect();
            for _ in 0..50 {
                assert_eq!(loads.pick(&endpoints, tried, None), Some(*last));
            }
            assert!(loads.pick(&endpoints, &endpoints, None).is_some());
            assert_eq!(loads.pick(&[], &[], None), None);
        }
    }

    #[test]
    fn requests_go_on_after_a_change_of_the_endpoints() {
        let all = endpoints(3);
        let loads = InFlight::new(&all[..2], None);
        let request = loads.add(&all[1]);
        let next = InFlight::new(&all[1..], Some(&loads));
        drop(loads);
        assert_eq!((next.count(&all[1]), next.count(&all[2])), (1, 0));
        assert!(next.add(&all[0]).is_none(), "it is gone");
        drop(request);
        assert_eq!(next.count(&all[1]), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_is_starting_has_its_share_of_requests_at_most() {
        const TIME: Duration = Duration::from_secs(30);
        let endpoints = endpoints(4);
        let starting = Starting::default();
        starting.follow(&endpoints[..3], &endpoints, TIME);
        let loads = InFlight::new(&endpoints, None);
        let of_new = |picks| {
            let shares = starting.shares(TIME);
            spread(&loads, &endpoints, shares.as_ref(), picks)[3]
        };
        // Idle: 0.1 of 3.1, 0.55 of 3.55, and a quarter.
        assert!((230..420).contains(&of_new(10_000)));
        tokio::time::advance(TIME / 2).await;
        assert!((1350..1750).contains(&of_new(10_000)));
        // The others have ten requests each, and it has no more than its share of that.
        let _busy: Vec<_> = (0..30).map(|i| loads.add(&endpoints[i % 3])).collect();
        let shares = starting.shares(TIME);
        let mut own = Vec::new();
        for _ in 0..1000 {
            let endpoint = loads.pick(&endpoints, &[], shares.as_ref()).unwrap();
            if endpoint == endpoints[3] {
                own.push(loads.add(&endpoint));
            }
        }
        assert_eq!(own.len(), 6);
    }
}
