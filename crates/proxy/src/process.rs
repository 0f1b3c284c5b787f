//! The number of open connections of all workers, which is bounded: of all clients, and of each.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, AtomicUsize};

use headgate_limit::ConcurrencyLimiter;

use crate::balance::Loads;

/// Percentage of the connections beyond which a client that has many gets no more: the rest is for others.
const CROWDED: usize = 90;
/// Percentage of the connections from which idle ones are closed.
const SHORT: usize = 97;

/// What the connections of all workers share.
pub(crate) struct Process {
    open: AtomicUsize,
    serial: AtomicU64,
    clients: Arc<ConcurrencyLimiter>,
    loads: Loads,
}

/// Counts one of the connections that may be open at once; returned when dropped.
pub(crate) struct Permit {
    process: Arc<Process>,
    /// The worker that serves it.
    worker: usize,
    /// Among those of its client, once that is known.
    client: Option<headgate_limit::Permit>,
}

impl Process {
    /// No open connections of so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            open: AtomicUsize::new(0),
            serial: AtomicU64::new(1),
            clients: Arc::default(),
            loads: Loads::new(workers),
        }
    }

    /// The serial number of a new connection.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// A permit for one more connection of `worker`, if there are fewer than `max` of all workers.
    pub(crate) fn permit(self: &Arc<Self>, worker: usize, max: usize) -> Option<Permit> {
        self.loads.begin(worker);
        let permit = Permit {
            process: self.clone(),
            worker,
            client: None,
        };
        (self.open.fetch_add(1, Ordering::Relaxed) < max).then_some(permit)
    }

    /// The worker that `worker` hands a new connection over to; `None`: it serves it itself.
    pub(crate) fn lighter(&self, worker: usize) -> Option<usize> {
        self.loads
            .lighter(worker, self.open.load(Ordering::Relaxed))
    }

    /// How busy `worker` is by its [`Meter`](crate::balance::Meter), which gets the number of its connections, and the
    /// fewest since the last time.
    pub(crate) fn measured(&self, worker: usize, measure: impl FnOnce(usize, usize) -> usize) {
        self.loads.measured(worker, measure);
    }

    /// Whether so many of the `max` connections are open that idle ones have to close.
    pub(crate) fn is_short(&self, max: usize) -> bool {
        let open = self.open.load(Ordering::Relaxed);
        open.saturating_mul(100) >= max.saturating_mul(SHORT)
    }
}

impl Permit {
    /// The connection is handed over to `worker`.
    pub(crate) fn hand_over(&mut self, worker: usize) {
        self.process.loads.hand_over(self.worker, worker);
        self.worker = worker;
    }

    /// Counts the connection for `client`, an IPv6 one by its network. Returns whether it may stay: the client has fewer than
    /// `each`, and no more than a hundredth of `max` while others might find none.
    pub(crate) fn count_for(
        &mut self,
        client: IpAddr,
        each: Option<NonZeroU32>,
        max: usize,
    ) -> bool {
        let others = self.process.open.load(Ordering::Relaxed).saturating_sub(1);
        let is_crowded = others.saturating_mul(100) > max.saturating_mul(CROWDED);
        let share = u32::try_from(max / 100).unwrap_or(u32::MAX);
        let share = is_crowded.then(|| NonZeroU32::MIN.saturating_add(share));
        let most = each.into_iter().chain(share).min();
        let most = most.unwrap_or(NonZeroU32::MAX);
        self.client = self.process.clients.acquire(client.into(), most);
        self.client.is_some()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.process.loads.end(self.worker);
        self.process.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    const MAX: usize = 1000;

    fn connect(process: &Arc<Process>, client: &str, each: Option<NonZeroU32>) -> Option<Permit> {
        let mut permit = process.permit(0, MAX)?;
        let client = client.parse().unwrap();
        permit.count_for(client, each, MAX).then_some(permit)
    }

    #[test]
    fn a_client_has_a_number_of_connections() {
        let process = Arc::new(Process::new(1));
        let two = NonZeroU32::new(2);
        let _one = connect(&process, "2001:db8::1", two).unwrap();
        let other = connect(&process, "2001:db8::2", two).unwrap();
        assert!(connect(&process, "2001:db8::3", two).is_none());
        let _elsewhere = connect(&process, "2001:db8:0:1::1", two).unwrap();
        drop(other);
        let _again = connect(&process, "2001:db8::3", two).unwrap();
        assert_eq!(process.open.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_last_tenth_is_for_clients_with_few_connections() {
        let process = Arc::new(Process::new(1));
        // One client takes all that it gets: the limit counts what it had before it was enforced.
        let greedy: Vec<Permit> =
            std::iter::from_fn(|| connect(&process, "192.0.2.1", None)).collect();
        assert_eq!(greedy.len(), 901);
        let modest: Vec<Permit> =
            std::iter::from_fn(|| connect(&process, "192.0.2.2", None)).collect();
        assert_eq!(modest.len(), 11, "a hundredth, and one");
        assert!(connect(&process, "192.0.2.3", None).is_some());
        drop(greedy);
        assert!(connect(&process, "192.0.2.2", None).is_some());
    }

    #[test]
    fn a_connection_counts_for_the_worker_that_serves_it() {
        let process = Arc::new(Process::new(2));
        let first = process.permit(0, MAX).unwrap();
        assert_eq!(process.lighter(0), Some(1));
        let mut second = process.permit(0, MAX).unwrap();
        second.hand_over(1);
        assert_eq!([0, 1].map(|worker| process.lighter(worker)), [None, None]);
        drop(first);
        assert_eq!(process.lighter(1), Some(0));
        drop(second);
        assert_eq!(process.lighter(1), None);
        assert_eq!(process.open.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn connections_are_short_before_there_is_none() {
        let process = Arc::new(Process::new(1));
        let mut permits: Vec<Permit> = (0..969).map(|_| process.permit(0, MAX).unwrap()).collect();
        assert!(!process.is_short(MAX));
        permits.extend(process.permit(0, MAX));
        assert!(process.is_short(MAX));
    }
}
