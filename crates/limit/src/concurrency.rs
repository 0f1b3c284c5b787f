//! Concurrency limits: how many requests of a client are in flight.

use crate::{Key, shards::Shards};
use foldhash::HashMap;
use std::{fmt, num::NonZeroU32, sync::Arc};

/// A map with room for fewer clients keeps its memory.
const SMALL: usize = 64;

/// The requests in flight of each client under one rule: one store for one rule of one Ingress, shared by all workers.
///
/// An empty store allocates nothing. A client is stored only while it has requests in flight, so the store is bounded by the
/// requests that the proxy processes at once.
#[derive(Default)]
pub struct ConcurrencyLimiter {
    shards: Shards<InFlight>,
}

/// Counts one request in flight until it is dropped.
#[must_use = "dropping the permit ends the request's time in flight"]
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<ConcurrencyLimiter>,
    key: Key,
}

impl ConcurrencyLimiter {
    /// A permit for one more request of the client `key`, or `None` if it has `max` or more in flight.
    ///
    /// `max` may differ from call to call; requests admitted under a higher one stay.
    pub fn acquire(self: &Arc<Self>, key: Key, max: NonZeroU32) -> Option<Permit> {
        let acquired = self.shards.with(key, |in_flight| in_flight.enter(key, max));
        acquired.then(|| Permit {
            limiter: Arc::clone(self),
            key,
        })
    }

    /// How many clients have requests in flight.
    #[must_use]
    pub fn keys(&self) -> usize {
        let mut keys = 0;
        self.shards
            .for_each(|in_flight| keys += in_flight.requests.len());
        keys
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter
            .shards
            .with(self.key, |in_flight| in_flight.leave(self.key));
    }
}

/// Prints how many clients are stored, never which: an address must not get into a log by accident.
impl fmt::Debug for ConcurrencyLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimiter")
            .field("keys", &self.keys())
            .finish()
    }
}

/// One shard of the store.
#[derive(Default)]
struct InFlight {
    /// Requests in flight, by client; never 0.
    requests: HashMap<Key, NonZeroU32>,
}

impl InFlight {
    fn enter(&mut self, key: Key, max: NonZeroU32) -> bool {
        let Some(requests) = self.requests.get_mut(&key) else {
            self.requests.insert(key, NonZeroU32::MIN);
            return true;
        };
        let entered = *requests < max;
        if entered {
            *requests = requests.saturating_add(1); // below max, so it never saturates
        }
        entered
    }

    fn leave(&mut self, key: Key) {
        let Some(requests) = self.requests.get_mut(&key) else {
            return;
        };
        match NonZeroU32::new(requests.get() - 1) {
            Some(left) => *requests = left,
            None => {
                self.requests.remove(&key);
                self.shrink();
            }
        }
    }

    /// Frees the memory of a past peak. Many clients leave between two calls that shrink, so the cost is spread over them.
    fn shrink(&mut self) {
        let capacity = self.requests.capacity();
        if capacity > SMALL && self.requests.len() < capacity / 8 {
            self.requests.shrink_to(capacity / 4);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;
    use std::{net::IpAddr, sync::Barrier, thread};

    fn key(number: u32) -> Key {
        Key::from(IpAddr::from(number.to_be_bytes()))
    }

    fn max(max: u32) -> NonZeroU32 {
        NonZeroU32::new(max).unwrap()
    }

    #[test]
    fn a_dropped_permit_makes_room() {
        let limiter = Arc::new(ConcurrencyLimiter::default());
        let first = limiter.acquire(key(1), max(2)).unwrap();
        let _second = limiter.acquire(key(1), max(2)).unwrap();
        assert!(limiter.acquire(key(1), max(2)).is_none());

        drop(first);
        assert!(limiter.acquire(key(1), max(2)).is_some());
    }

    #[test]
    fn clients_do_not_share_permits() {
        let limiter = Arc::new(ConcurrencyLimiter::default());
        let _one = limiter.acquire(key(1), max(1)).unwrap();

        assert!(limiter.acquire(key(1), max(1)).is_none());
        assert!(limiter.acquire(key(2), max(1)).is_some());
    }

    #[test]
    fn a_lowered_limit_waits_for_requests_in_flight() {
        let limiter = Arc::new(ConcurrencyLimiter::default());
        let mut permits: Vec<_> = (0..3)
            .map(|_| limiter.acquire(key(1), max(3)).unwrap())
            .collect();

        assert!(limiter.acquire(key(1), max(2)).is_none());
        permits.pop();
        assert!(limiter.acquire(key(1), max(2)).is_none());
        permits.pop();
        assert!(limiter.acquire(key(1), max(2)).is_some());
    }

    #[test]
    fn a_client_is_forgotten_with_its_last_request() {
        let limiter = Arc::new(ConcurrencyLimiter::default());
        let permits: Vec<_> = (0..20_000)
            .map(|number| limiter.acquire(key(number / 2), max(2)).unwrap())
            .collect();
        assert_eq!(limiter.keys(), 10_000);

        drop(permits);
        assert_eq!(limiter.keys(), 0);
        limiter
            .shards
            .for_each(|in_flight| assert!(in_flight.requests.capacity() <= SMALL));
    }

    #[test]
    fn threads_together_never_exceed_the_limit() {
        const THREADS: u32 = 8;
        let limiter = Arc::new(ConcurrencyLimiter::default());
        for round in 1..=200 {
            let limit = max(round % THREADS + 1);
            let all_acquired = Barrier::new(THREADS as usize);
            let acquired = thread::scope(|scope| {
                let acquire = || {
                    let permit = limiter.acquire(key(1), limit);
                    all_acquired.wait();
                    permit.is_some()
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(acquire)).collect();
                threads
                    .into_iter()
                    .map(|thread| u32::from(thread.join().unwrap()))
                    .sum::<u32>()
            });
            assert_eq!(acquired, limit.get());
            assert_eq!(limiter.keys(), 0, "all permits were dropped");
        }
    }
}
