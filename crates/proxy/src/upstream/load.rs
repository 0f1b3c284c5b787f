//! How many requests an upstream has at once, and the bounds on them.
//!
//! Each worker counts on a cache line of its own, because a shared counter would be contended by every request. A worker
//! with a small part of the requests admits more without a look at the others, so that at worst a bound is exceeded by a
//! quarter, and by one for each other worker that admits a request at the same moment.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;

use foldhash::quality::RandomState;
use headgate_table::RetryBudget;

use crate::sync::{Arc, Mutex};

/// The part of a bound that workers share out without a look at each other.
const UNCHECKED: usize = 4;

/// The requests of an upstream, by worker.
pub(super) struct Load {
    workers: Box<[WorkerLoad]>,
    retrying: Tally,
    connections: Mutex<HashMap<SocketAddr, Tally, RandomState>>,
}

#[derive(Default)]
struct WorkerLoad {
    active: Tally,
    pending: Tally,
}

/// Counts its clones.
#[derive(Default)]
pub(super) struct Tally(Arc<CacheLine>);

#[derive(Default)]
#[repr(align(64))]
struct CacheLine;

/// One that is counted, until it is dropped.
#[derive(Clone)]
pub(super) struct Counted(
    #[expect(dead_code, reason = "it is counted by its existence")] Arc<CacheLine>,
);

/// A request to an endpoint, until it is dropped.
pub(super) struct Counts {
    /// Among those of the upstream.
    pub(super) _of_upstream: Counted,
    /// Among those of the endpoint, if the balancer counts them.
    pub(super) _of_endpoint: Option<Counted>,
}

impl Tally {
    pub(super) fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    pub(super) fn add(&self) -> Counted {
        Counted(self.0.clone())
    }
}

impl Load {
    /// For this number of workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: (0..workers.max(1)).map(|_| WorkerLoad::default()).collect(),
            retrying: Tally::default(),
            connections: Mutex::default(),
        }
    }

    /// Counts a connection to `endpoint`, kept ones too.
    pub(super) fn connected(&self, endpoint: SocketAddr) -> Counted {
        let mut connections = self.connections.lock();
        if !connections.contains_key(&endpoint) {
            connections.retain(|_, open| open.count() > 0);
        }
        connections.entry(endpoint).or_default().add()
    }

    /// The connections to `endpoint` of all workers.
    pub(super) fn connections(&self, endpoint: &SocketAddr) -> usize {
        self.connections
            .lock()
            .get(endpoint)
            .map_or(0, Tally::count)
    }

    /// Counts a request of `worker`; `None` if that would exceed `limit`.
    pub(super) fn admit(&self, worker: usize, limit: Option<NonZeroU32>) -> Option<Counted> {
        self.add(worker, limit, |load| &load.active)
    }

    /// Counts a request of `worker` that waits for a new connection; `None` if that would exceed `limit`.
    pub(super) fn wait(&self, worker: usize, limit: Option<NonZeroU32>) -> Option<Counted> {
        self.add(worker, limit, |load| &load.pending)
    }

    /// Counts a request that is sent again; `None` if the budget is spent.
    pub(super) fn retry(&self, budget: RetryBudget) -> Option<Counted> {
        let active = self.total(|load| &load.active);
        let allowed = budget.allows(self.retrying.count(), active);
        allowed.then(|| self.retrying.add())
    }

    /// The requests of all workers, and those among them that wait for a new connection.
    pub(super) fn counts(&self) -> (usize, usize) {
        (
            self.total(|load| &load.active),
            self.total(|load| &load.pending),
        )
    }

    fn add(
        &self,
        worker: usize,
        limit: Option<NonZeroU32>,
        tally: fn(&WorkerLoad) -> &Tally,
    ) -> Option<Counted> {
        let own = tally(self.workers.get(worker % self.workers.len().max(1))?);
        let exceeded = limit.is_some_and(|limit| {
            let limit = limit.get() as usize;
            let unchecked = limit / (UNCHECKED * self.workers.len().max(1));
            own.count() >= unchecked && self.total(tally) >= limit
        });
        (!exceeded).then(|| own.add())
    }

    fn total(&self, tally: fn(&WorkerLoad) -> &Tally) -> usize {
        self.workers.iter().map(|load| tally(load).count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(load: &Load, worker: usize, limit: u32) -> Vec<Counted> {
        std::iter::from_fn(|| load.admit(worker, NonZeroU32::new(limit)))
            .take(2000)
            .collect()
    }

    #[test]
    fn one_worker_counts_exactly() {
        let load = Load::new(1);
        let requests = admitted(&load, 0, 100);
        assert_eq!(requests.len(), 100);
        drop(requests);
        assert_eq!(admitted(&load, 0, 100).len(), 100);
        assert_eq!(admitted(&load, 0, 0).len(), 2000, "unlimited");
    }

    #[test]
    fn a_bound_holds_over_all_workers_up_to_a_quarter() {
        for limit in [1, 3, 16, 1000] {
            let load = Load::new(4);
            let requests = [0, 1, 2, 3].map(|worker| admitted(&load, worker, limit));
            assert_eq!(requests[0].len(), limit as usize, "one may have them all");
            let all: usize = requests.iter().map(Vec::len).sum();
            assert!(all <= limit as usize * 5 / 4, "{all} of {limit}");
        }
    }

    #[test]
    fn connections_are_counted_by_endpoint_while_they_are_open() {
        let load = Load::new(2);
        let [a, b] = [1, 2].map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        let open = [load.connected(a), load.connected(a)];
        assert_eq!([a, b].map(|endpoint| load.connections(&endpoint)), [2, 0]);
        drop(open);
        let _other = load.connected(b);
        assert_eq!([a, b].map(|endpoint| load.connections(&endpoint)), [0, 1]);
        assert_eq!(load.connections.lock().len(), 1, "endpoints that are gone");
    }

    #[test]
    fn the_retry_budget_follows_the_active_requests_of_all_workers() {
        let (load, budget) = (
            Load::new(2),
            RetryBudget {
                percent: 20,
                minimum: 1,
            },
        );
        let first = load.retry(budget);
        assert!(first.is_some() && load.retry(budget).is_none());
        let _active: Vec<_> = (0..10)
            .map(|request| load.admit(request % 2, None))
            .collect();
        let more = [(); 3].map(|()| load.retry(budget));
        assert_eq!(more.iter().flatten().count(), 2);
    }
}
