//! Results of verifications, for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Key;

/// How long a result is kept. It can be long, because the key changes with the users: it bounds only how long a hash of
/// credentials stays in memory.
const LIFETIME: Duration = Duration::from_secs(5 * 60);
/// Most results of one kind in one shard.
const GRANTED: usize = 512;
const REFUSED: usize = 128;

/// Results of verifications. Refusals have a place of their own: guesses do not drive out the results of users.
#[derive(Default)]
pub(super) struct Results {
    granted: Recent,
    refused: Recent,
}

/// Keys that expire in the order in which they were added.
#[derive(Default)]
struct Recent {
    expiry: foldhash::HashMap<Key, Instant>,
    order: VecDeque<(Key, Instant)>,
}

impl Results {
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<bool> {
        if self.granted.contains(key, now) {
            return Some(true);
        }
        self.refused.contains(key, now).then_some(false)
    }

    pub(super) fn insert(&mut self, key: Key, granted: bool, now: Instant) {
        if granted {
            self.granted.insert(key, now, GRANTED);
        } else {
            self.refused.insert(key, now, REFUSED);
        }
    }
}

impl Recent {
    fn contains(&self, key: &Key, now: Instant) -> bool {
        self.expiry.get(key).is_some_and(|expiry| now < *expiry)
    }

    /// Adds `key` for its lifetime, and removes those that expired or, when there are `most`, the oldest.
    fn insert(&mut self, key: Key, now: Instant, most: usize) {
        while let Some((oldest, expiry)) = self.order.front().copied() {
            if expiry > now && self.order.len() < most {
                break;
            }
            self.order.pop_front();
            // The key may have been added again, and then expires later.
            if self.expiry.get(&oldest) == Some(&expiry) {
                self.expiry.remove(&oldest);
            }
        }
        let expiry = now + LIFETIME;
        self.expiry.insert(key, expiry);
        self.order.push_back((key, expiry));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        key
    }

    #[test]
    fn results_expire() {
        let mut results = Results::default();
        let now = Instant::now();
        results.insert(key(1), true, now);
        results.insert(key(2), false, now);
        let just_before = now + LIFETIME - Duration::from_nanos(1);
        assert_eq!(results.get(&key(1), just_before), Some(true));
        assert_eq!(results.get(&key(2), just_before), Some(false));
        assert_eq!(results.get(&key(1), now + LIFETIME), None);
        assert_eq!(results.get(&key(3), now), None);
    }

    #[test]
    fn a_key_that_is_added_again_expires_later() {
        let mut results = Results::default();
        let now = Instant::now();
        results.insert(key(1), true, now);
        let later = now + LIFETIME / 2;
        results.insert(key(1), true, later);
        results.insert(key(2), true, now + LIFETIME);
        assert_eq!(results.get(&key(1), now + LIFETIME), Some(true));
    }

    #[test]
    fn memory_is_bounded_and_guesses_do_not_drive_out_users() {
        let mut results = Results::default();
        let now = Instant::now();
        results.insert(key(0), true, now);
        for number in 1..10 * REFUSED {
            results.insert(key(number), false, now);
        }
        assert_eq!(results.get(&key(0), now), Some(true));
        assert_eq!(results.get(&key(1), now), None);
        assert_eq!(results.refused.order.len(), REFUSED);
        assert_eq!(results.refused.expiry.len(), REFUSED);
        for number in 1..=GRANTED {
            results.insert(key(number), true, now);
        }
        assert_eq!(results.granted.expiry.len(), GRANTED);
        assert!(
            !results.granted.contains(&key(0), now),
            "the oldest goes first"
        );
    }
}
