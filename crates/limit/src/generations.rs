//! One shard of a rate limiter's store: a bounded cache of clients that evicts those unseen for longest.
//!
//! Clients are kept in two generations. A client that sends a request moves to the younger one; when that is full, the older
//! generation is dropped and the younger becomes the older. So the last [`GENERATION_KEYS`] clients are always stored, and
//! eviction needs neither a list through all entries nor a scan. Generations also rotate with time, but only once no client of
//! the older one is ahead of its quota: memory follows the clients of the last minute or two and no decision changes.
//!
//! The cost of a call is bounded: two look-ups, and occasionally one map of at most `GENERATION_KEYS` entries to grow.

use crate::{Admission, Key, Nanos, Quota};
use foldhash::HashMap;
use std::{mem, num::NonZeroU64};

/// Clients in one generation: what a standard map of 4,096 slots holds without growing.
pub(crate) const GENERATION_KEYS: usize = 3_584;

/// Nanoseconds after which a generation is old even if it is not full.
const LIFETIME: u64 = 60_000_000_000;

/// The clients of one shard of the store.
#[derive(Default)]
pub(crate) struct Generations {
    younger: Generation,
    older: Generation,
    /// When the generations rotate next, full or not.
    rotate_at: Nanos,
}

#[derive(Default)]
struct Generation {
    clients: HashMap<Key, Client>,
    /// From this time on no client is ahead of its quota; it may be later than necessary.
    clear_at: Nanos,
}

/// The state of a client.
#[derive(Clone, Copy)]
struct Client {
    tat: Nanos,
    /// The interval of the quota that `tat` was computed with.
    interval: NonZeroU64,
}

impl Generations {
    /// Decides on one request and stores the client's new state.
    pub(crate) fn admit(&mut self, key: Key, quota: Quota, now: Nanos) -> Admission {
        self.rotate_if_due(now);
        let tat = self.recall(key, quota, now);
        let (admission, tat) = match quota.admit(tat, now) {
            Ok(tat) => (Admission::Admitted, tat),
            Err(_) => (Admission::Rejected, tat),
        };
        // A rejected client is stored too: one that keeps sending must not be evicted as the longest unseen.
        self.remember(
            key,
            Client {
                tat,
                interval: quota.interval_nanos(),
            },
        );
        admission
    }

    /// Takes back one request of `key` that was let through, if the client is still stored.
    pub(crate) fn refund(&mut self, key: Key, quota: Quota) {
        let client = self
            .younger
            .clients
            .get_mut(&key)
            .or_else(|| self.older.clients.get_mut(&key));
        // Under another interval the state was converted since, so the time that the request took is unknown.
        if let Some(client) = client.filter(|client| client.interval == quota.interval_nanos()) {
            client.tat = quota.refund(client.tat);
        }
    }

    /// Frees the memory of each generation in which no client is ahead of its quota.
    pub(crate) fn release(&mut self, now: Nanos) {
        for generation in [&mut self.younger, &mut self.older] {
            if generation.is_clear(now) {
                *generation = Generation::default();
            }
        }
    }

    /// How many clients are stored.
    pub(crate) fn len(&self) -> usize {
        self.younger.clients.len() + self.older.clients.len()
    }

    /// The client's theoretical arrival time under `quota`.
    fn recall(&self, key: Key, quota: Quota, now: Nanos) -> Nanos {
        let client = self
            .younger
            .clients
            .get(&key)
            .or_else(|| self.older.clients.get(&key));
        match client {
            Some(client) if client.interval == quota.interval_nanos() => client.tat,
            Some(client) => quota.convert(client.tat, client.interval, now),
            None => Nanos::ORIGIN,
        }
    }

    fn remember(&mut self, key: Key, client: Client) {
        if let Some(known) = self.younger.clients.get_mut(&key) {
            *known = client;
        } else {
            self.older.clients.remove(&key);
            if self.younger.clients.len() >= GENERATION_KEYS {
                self.rotate_full();
            }
            self.younger.clients.insert(key, client);
        }
        self.younger.clear_at = self.younger.clear_at.max(client.tat);
    }

    /// Rotates because the younger generation is full, and reuses the older one's memory: under a flood this happens often.
    fn rotate_full(&mut self) {
        mem::swap(&mut self.younger, &mut self.older);
        self.younger.clients.clear();
        self.younger.clear_at = Nanos::ORIGIN;
    }

    fn rotate_if_due(&mut self, now: Nanos) {
        if now >= self.rotate_at && self.older.is_clear(now) {
            self.older = mem::take(&mut self.younger);
            self.rotate_at = now.plus(LIFETIME);
        }
    }
}

impl Generation {
    fn is_clear(&self, now: Nanos) -> bool {
        self.clear_at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::IpAddr, num::NonZeroU32};

    fn key(number: u32) -> Key {
        Key::from(IpAddr::from(number.to_be_bytes()))
    }

    /// One request a minute.
    fn strict() -> Quota {
        Quota::per_minute(NonZeroU32::MIN, 0)
    }

    fn flood(clients: &mut Generations, range: std::ops::Range<u32>, now: Nanos) {
        for number in range {
            assert_eq!(
                clients.admit(key(number), strict(), now),
                Admission::Admitted
            );
        }
    }

    const FULL: u32 = GENERATION_KEYS as u32;
    const START: Nanos = Nanos::new(1_000);

    #[test]
    fn a_client_is_small() {
        assert_eq!(size_of::<(Key, Client)>(), 32);
    }

    #[test]
    fn the_clients_seen_last_are_kept() {
        let mut clients = Generations::default();
        flood(&mut clients, 0..4 * FULL, START);

        for number in 3 * FULL..4 * FULL {
            assert_eq!(
                clients.recall(key(number), strict(), START),
                START.plus(60_000_000_000)
            );
        }
        assert_eq!(
            clients.recall(key(0), strict(), START),
            Nanos::ORIGIN,
            "the oldest is evicted"
        );
    }

    #[test]
    fn memory_is_flat_under_a_flood() {
        let mut clients = Generations::default();
        flood(&mut clients, 0..20 * FULL, START);

        assert!(clients.len() <= 2 * GENERATION_KEYS);
        assert!(clients.younger.clients.capacity() <= GENERATION_KEYS);
        assert!(clients.older.clients.capacity() <= GENERATION_KEYS);
    }

    #[test]
    fn a_rejected_client_that_keeps_sending_outlives_a_flood() {
        let mut clients = Generations::default();
        let stubborn = key(u32::MAX);
        assert_eq!(
            clients.admit(stubborn, strict(), START),
            Admission::Admitted
        );
        for round in 0..8 {
            flood(
                &mut clients,
                round * FULL / 2..(round + 1) * FULL / 2,
                START,
            );
            assert_eq!(
                clients.admit(stubborn, strict(), START),
                Admission::Rejected,
                "round {round}"
            );
        }
    }

    #[test]
    fn a_client_is_in_one_generation_only() {
        let mut clients = Generations::default();
        flood(&mut clients, 0..FULL + 1, START);
        assert_eq!(clients.len(), GENERATION_KEYS + 1);

        assert_eq!(clients.admit(key(0), strict(), START), Admission::Rejected);
        assert_eq!(clients.len(), GENERATION_KEYS + 1);
    }

    #[test]
    fn clients_unseen_for_two_lifetimes_are_evicted() {
        let mut clients = Generations::default();
        flood(&mut clients, 0..100, START);
        flood(&mut clients, 100..101, START.plus(LIFETIME));
        flood(&mut clients, 101..102, START.plus(2 * LIFETIME));

        assert_eq!(clients.len(), 2);
    }

    #[test]
    fn a_client_ahead_of_its_quota_is_not_evicted_with_time() {
        let mut clients = Generations::default();
        let generous = Quota::per_minute(NonZeroU32::MIN, 9);
        for _ in 0..10 {
            assert_eq!(clients.admit(key(0), generous, START), Admission::Admitted);
        }
        for minute in 1..9 {
            let now = START.plus(minute * LIFETIME);
            let _ = clients.admit(key(1), generous, now);
            assert!(
                clients.recall(key(0), generous, now) > now,
                "minute {minute}"
            );
        }
    }

    #[test]
    fn release_frees_memory_once_no_client_is_ahead_of_its_quota() {
        let mut clients = Generations::default();
        flood(&mut clients, 0..FULL + 1, START);

        clients.release(START.plus(LIFETIME - 1));
        assert_eq!(clients.len(), GENERATION_KEYS + 1);
        clients.release(START.plus(LIFETIME));
        assert_eq!(clients.len(), 0);
        assert_eq!(
            clients.younger.clients.capacity() + clients.older.clients.capacity(),
            0
        );
    }
}
