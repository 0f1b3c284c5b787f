//! Rate limits: the store of clients between requests, for one rule.

use crate::{
    Admission, Key, Nanos, Quota,
    generations::{GENERATION_KEYS, Generations},
    shards::{SHARDS, Shards},
};
use std::fmt;

/// What each client has used of one rule's quota: one store for one rule of one Ingress, shared by all workers.
///
/// An empty store allocates nothing. It keeps at most [`RateLimiter::MAX_KEYS`] clients and then evicts those unseen for
/// longest, which get their full burst again; the most recently seen half of that number is always kept, depending on how evenly
/// they spread over the shards. The time of a call is bounded however many are stored.
#[derive(Default)]
pub struct RateLimiter {
    shards: Shards<Generations>,
}

/// One of several limits that apply to a request together.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// Where the rule's clients are counted.
    pub limiter: &'a RateLimiter,
    /// What each of them may use.
    pub quota: Quota,
}

/// Decides on a request that must pass all of `rules`, in that order. If one rejects it, none counts it, as nginx does with
/// several `limit_req` lines.
///
/// Without rules every request is admitted. While a later rule rejects a request, another request of the same client may see
/// the count of an earlier rule one too high, never too low.
pub fn admit_all(rules: &[Rule<'_>], key: Key, now: Nanos) -> Admission {
    let rejecting = rules
        .iter()
        .position(|rule| rule.limiter.admit(key, rule.quota, now) == Admission::Rejected);
    let Some(rejecting) = rejecting else {
        return Admission::Admitted;
    };
    for rule in rules.iter().take(rejecting) {
        rule.limiter.refund(key, rule.quota);
    }
    Admission::Rejected
}

impl RateLimiter {
    /// The most clients that one store keeps: 114,688, in 4.3 MB. ingress-nginx gives each rule a zone of 5 MB, which holds
    /// about 80,000 (behaviour.md 1.3).
    pub const MAX_KEYS: usize = 2 * SHARDS * GENERATION_KEYS;

    /// Decides on a request of the client `key` at `now`, and counts it if it is admitted.
    ///
    /// The quota may differ from call to call: the requests that a client is ahead are carried over, not the time.
    pub fn admit(&self, key: Key, quota: Quota, now: Nanos) -> Admission {
        self.shards
            .with(key, |clients| clients.admit(key, quota, now))
    }

    /// Frees memory that holds only clients within their quota; this changes no decision. Call it periodically: otherwise a
    /// store that gets no more requests keeps its memory. Costs 16 short locks and no scan.
    pub fn release(&self, now: Nanos) {
        self.shards.for_each(|clients| clients.release(now));
    }

    /// How many clients are stored.
    #[must_use]
    pub fn keys(&self) -> usize {
        let mut keys = 0;
        self.shards.for_each(|clients| keys += clients.len());
        keys
    }

    fn refund(&self, key: Key, quota: Quota) {
        self.shards.with(key, |clients| clients.refund(key, quota));
    }
}

/// Prints how many clients are stored, never which: an address must not get into a log by accident.
impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("keys", &self.keys())
            .finish()
    }
}
