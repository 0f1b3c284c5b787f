//! Responses of authentication services, kept for a while (behaviour.md 1.7).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, StatusCode};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::keyed_hash::{Digest, HashKey};

/// Parts of the cache, so that workers rarely wait for each other.
const SHARDS: usize = 16;
/// Most responses in one shard.
const ENTRIES: usize = 2048;
/// Most bytes of field values in one shard.
const BYTES: usize = 2 << 20;

/// A keyed hash of what a response is kept under.
pub(crate) type Key = Digest;

/// What a service responded, as far as it matters.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) status: StatusCode,
    /// The fields for the backend, with their values.
    pub(crate) fields: Vec<(HeaderName, HeaderValue)>,
    /// `WWW-Authenticate`
    pub(crate) challenge: Option<HeaderValue>,
    /// `Set-Cookie`
    pub(crate) cookies: Vec<HeaderValue>,
}

/// The responses that all workers share.
pub(crate) struct AuthCache {
    key: HashKey,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Default)]
struct Shard {
    entries: foldhash::HashMap<Key, Entry>,
    /// In the order of insertion, with the number of the entry: a key may be inserted again.
    order: VecDeque<(Key, u64)>,
    /// Requests to services that others with the same key wait for.
    pending: foldhash::HashMap<Key, watch::Receiver<()>>,
    bytes: usize,
    inserted: u64,
}

struct Entry {
    verdict: Arc<Verdict>,
    expiry: Instant,
    number: u64,
    bytes: usize,
}

/// What a request has to do for its verdict.
pub(crate) enum Lookup<'c> {
    /// Nothing.
    Known(Arc<Verdict>),
    /// Wait for the request of another, and look again.
    Wait(watch::Receiver<()>),
    /// Send a request to the service. Others wait until the guard is dropped.
    Send(Pending<'c>),
}

/// A request to a service that others wait for.
pub(crate) struct Pending<'c> {
    shard: &'c Mutex<Shard>,
    key: Key,
    /// Dropped with the guard, which wakes those that wait.
    _done: watch::Sender<()>,
}

impl AuthCache {
    pub(crate) fn new() -> Self {
        Self {
            key: HashKey::random(),
            shards: Default::default(),
        }
    }

    /// The keyed hash of `parts`, each preceded by its length.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        self.key.hash(parts)
    }

    /// The response under `key`, or what to do for one.
    pub(crate) fn lookup(&self, key: Key, now: Instant) -> Lookup<'_> {
        let place = self.shard(&key);
        let mut shard = place.lock();
        if let Some(entry) = shard.entries.get(&key).filter(|entry| now < entry.expiry) {
            return Lookup::Known(entry.verdict.clone());
        }
        if let Some(pending) = shard.pending.get(&key) {
            return Lookup::Wait(pending.clone());
        }
        let (done, waiting) = watch::channel(());
        shard.pending.insert(key, waiting);
        Lookup::Send(Pending {
            shard: place,
            key,
            _done: done,
        })
    }

    fn shard(&self, key: &Key) -> &Mutex<Shard> {
        let [first, ..] = *key;
        let index = usize::from(first) % SHARDS;
        self.shards.get(index).unwrap_or(&self.shards[0])
    }
}

impl Pending<'_> {
    /// Keeps `verdict` for `lifetime` from `now`.
    pub(crate) fn keep(&self, verdict: Arc<Verdict>, now: Instant, lifetime: Duration) {
        if let Some(expiry) = now.checked_add(lifetime) {
            self.shard.lock().insert(self.key, verdict, now, expiry);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.shard.lock().pending.remove(&self.key);
    }
}

impl Shard {
    fn insert(&mut self, key: Key, verdict: Arc<Verdict>, now: Instant, expiry: Instant) {
        const ENTRY: usize = 256;
        let values = verdict
            .fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len());
        let challenge = verdict.challenge.as_ref().map_or(0, HeaderValue::len);
        let bytes = ENTRY + challenge + values.sum::<usize>();
        if bytes > BYTES / 16 {
            return;
        }
        self.inserted += 1;
        let number = self.inserted;
        let entry = Entry {
            verdict,
            expiry,
            number,
            bytes,
        };
        self.bytes += bytes;
        if let Some(former) = self.entries.insert(key, entry) {
            self.bytes -= former.bytes;
        }
        self.order.push_back((key, number));
        self.shrink(now);
    }

    /// Removes the oldest entries until the rest fits, and those at the front that expired.
    fn shrink(&mut self, now: Instant) {
        while let Some((oldest, number)) = self.order.front().copied() {
            let entry = self
                .entries
                .get(&oldest)
                .filter(|entry| entry.number == number);
            let fits = self.order.len() <= ENTRIES && self.bytes <= BYTES;
            if fits && entry.is_some_and(|entry| now < entry.expiry) {
                return;
            }
            if let Some(bytes) = entry.map(|entry| entry.bytes) {
                self.bytes -= bytes;
                self.entries.remove(&oldest);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: StatusCode) -> Arc<Verdict> {
        Arc::new(Verdict {
            status,
            fields: Vec::new(),
            challenge: None,
            cookies: Vec::new(),
        })
    }

    fn send(cache: &AuthCache, key: Key, now: Instant) -> Pending<'_> {
        match cache.lookup(key, now) {
            Lookup::Send(pending) => pending,
            Lookup::Known(_) | Lookup::Wait(_) => panic!("the response is not known"),
        }
    }

    #[test]
    fn one_request_is_sent_and_its_response_kept_for_its_lifetime() {
        let cache = AuthCache::new();
        let (key, now) = (cache.key(&[b"host", b"user"]), Instant::now());
        let pending = send(&cache, key, now);
        assert!(matches!(cache.lookup(key, now), Lookup::Wait(_)));
        pending.keep(verdict(StatusCode::OK), now, Duration::from_secs(5));
        drop(pending);
        let later = now + Duration::from_secs(4);
        let known = matches!(cache.lookup(key, later), Lookup::Known(known) if known.status == StatusCode::OK);
        assert!(known);
        drop(send(&cache, key, now + Duration::from_secs(5)));
    }

    #[test]
    fn those_that_wait_look_again_when_a_request_is_given_up() {
        let cache = AuthCache::new();
        let (key, now) = (cache.key(&[b"a"]), Instant::now());
        let pending = send(&cache, key, now);
        let Lookup::Wait(waiting) = cache.lookup(key, now) else {
            panic!("a request is pending");
        };
        drop(pending);
        assert!(waiting.has_changed().is_err(), "the channel is closed");
        drop(send(&cache, key, now));
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut shard = Shard::default();
        for number in 0_u64..5_000 {
            let mut key = [0; 32];
            for (to, from) in key.iter_mut().zip(number.to_be_bytes()) {
                *to = from;
            }
            let expiry = now + Duration::from_secs(60);
            shard.insert(key, verdict(StatusCode::OK), now, expiry);
            shard.insert(key, verdict(StatusCode::OK), now, expiry);
        }
        assert!(shard.entries.len() <= ENTRIES && shard.order.len() <= ENTRIES);
        assert_eq!(
            shard.bytes,
            shard
                .entries
                .values()
                .map(|entry| entry.bytes)
                .sum::<usize>()
        );
    }
}
