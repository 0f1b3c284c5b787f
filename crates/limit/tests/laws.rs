//! The laws of the limiters, under a clock that the tests set.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use headgate_limit::{Admission, Key, Nanos, Quota, RateLimiter, Rejected, Rule, admit_all};
use proptest::prelude::*;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    thread,
};

const SECOND: u64 = 1_000_000_000;

fn key(number: u32) -> Key {
    Key::from(IpAddr::from(number.to_be_bytes()))
}

fn rate(rate: u32) -> NonZeroU32 {
    NonZeroU32::new(rate).unwrap()
}

/// A rate, a burst, and the quota per second or per minute that they make.
fn quotas() -> impl Strategy<Value = Quota> {
    (1..=2_000u32, 0..30u32, any::<bool>()).prop_map(|(requests, burst, minute)| match minute {
        true => Quota::per_minute(rate(requests), burst),
        false => Quota::per_second(rate(requests), burst),
    })
}

/// Arrival times: gaps of up to three intervals, with many at 0, in units of a 256th of the interval.
fn arrivals(quota: Quota) -> impl Strategy<Value = Vec<Nanos>> {
    let gap = prop_oneof![Just(0), 0..256u64, 0..768u64];
    prop::collection::vec(gap, 1..120).prop_map(move |gaps| {
        let unit = nanos(quota) / 256 + 1;
        let mut now = 5 * SECOND;
        gaps.into_iter()
            .map(|gap| {
                now += gap * unit;
                Nanos::new(now)
            })
            .collect()
    })
}

fn nanos(quota: Quota) -> u64 {
    u64::try_from(quota.interval().as_nanos()).unwrap()
}

fn quota_and_arrivals() -> impl Strategy<Value = (Quota, Vec<Nanos>)> {
    quotas().prop_flat_map(|quota| (Just(quota), arrivals(quota)))
}

fn admitted(limiter: &RateLimiter, key: Key, quota: Quota, now: Nanos) -> bool {
    limiter.admit(key, quota, now) == Admission::Admitted
}

/// nginx's leaky bucket, as its documentation describes it: an excess that drains at the rate, and a request that adds one.
#[derive(Default)]
struct LeakyBucket {
    /// In interval-nanoseconds: one request is one interval.
    excess: Option<(u64, Nanos)>,
}

impl LeakyBucket {
    fn admit(&mut self, quota: Quota, now: Nanos) -> bool {
        let excess = match self.excess {
            None => 0,
            Some((excess, last)) => (excess + nanos(quota)).saturating_sub(now.get() - last.get()),
        };
        let admitted = excess <= u64::from(quota.burst()) * nanos(quota);
        if admitted {
            self.excess = Some((excess, now));
        }
        admitted
    }
}

proptest! {
    #[test]
    fn no_window_holds_more_than_the_quota((quota, arrivals) in quota_and_arrivals()) {
        let limiter = RateLimiter::default();
        let passed: Vec<_> = arrivals.into_iter().filter(|&now| admitted(&limiter, key(1), quota, now)).collect();

        for (first, start) in passed.iter().enumerate() {
            for (last, end) in passed.iter().enumerate().skip(first) {
                let requests = u64::try_from(last - first + 1).unwrap();
                let earned = (end.get() - start.get()) / nanos(quota);
                prop_assert!(requests <= u64::from(quota.burst()) + 1 + earned);
            }
        }
    }

    #[test]
    fn decisions_are_those_of_a_leaky_bucket((quota, arrivals) in quota_and_arrivals()) {
        let limiter = RateLimiter::default();
        let mut bucket = LeakyBucket::default();

        for now in arrivals {
            prop_assert_eq!(admitted(&limiter, key(1), quota, now), bucket.admit(quota, now));
        }
    }

    #[test]
    fn rejected_requests_are_not_counted((quota, arrivals) in quota_and_arrivals(), extra in 1..5usize) {
        let (eager, patient) = (RateLimiter::default(), RateLimiter::default());

        for now in arrivals {
            let passed = admitted(&eager, key(1), quota, now);
            if passed {
                prop_assert!(admitted(&patient, key(1), quota, now), "a client without rejected requests is admitted no more often");
            } else {
                for _ in 0..extra {
                    prop_assert!(!admitted(&eager, key(1), quota, now));
                }
            }
        }
    }

    #[test]
    fn a_client_that_pauses_has_its_full_burst_again((quota, arrivals) in quota_and_arrivals()) {
        let limiter = RateLimiter::default();
        for &now in &arrivals {
            let _ = limiter.admit(key(1), quota, now);
        }
        let last = arrivals.last().unwrap().get();
        let rested = Nanos::new(last + (u64::from(quota.burst()) + 1) * nanos(quota));

        for _ in 0..=quota.burst() {
            prop_assert!(admitted(&limiter, key(1), quota, rested));
        }
        prop_assert!(!admitted(&limiter, key(1), quota, rested));
    }

    #[test]
    fn clients_do_not_affect_each_other(
        (quota, arrivals) in quota_and_arrivals(),
        turns in prop::collection::vec(0..3u32, 120),
    ) {
        let together = RateLimiter::default();
        let alone = [RateLimiter::default(), RateLimiter::default(), RateLimiter::default()];

        for (now, client) in arrivals.into_iter().zip(turns) {
            let expected = alone[client as usize].admit(key(client), quota, now);
            prop_assert_eq!(together.admit(key(client), quota, now), expected);
        }
    }

    #[test]
    fn release_changes_no_decision((quota, arrivals) in quota_and_arrivals()) {
        let (released, kept) = (RateLimiter::default(), RateLimiter::default());

        for now in arrivals {
            released.release(now);
            prop_assert_eq!(released.admit(key(1), quota, now), kept.admit(key(1), quota, now));
        }
    }

    #[test]
    fn a_request_that_one_rule_rejects_is_counted_by_none(
        (first, arrivals) in quota_and_arrivals(),
        second in quotas(),
    ) {
        let stores = [RateLimiter::default(), RateLimiter::default()];
        let rules = [Rule { limiter: &stores[0], quota: first }, Rule { limiter: &stores[1], quota: second }];
        let mut tats = [Nanos::ORIGIN; 2];

        for now in arrivals {
            let expected = match (first.admit(tats[0], now), second.admit(tats[1], now)) {
                (Ok(one), Ok(two)) => {
                    tats = [one, two];
                    Admission::Admitted
                }
                _ => Admission::Rejected,
            };
            prop_assert_eq!(admit_all(&rules, key(1), now), expected);
        }
    }

    #[test]
    fn no_input_panics(tat in any::<u64>(), now in any::<u64>(), requests in 1..=u32::MAX, burst in any::<u32>()) {
        for quota in [Quota::per_second(rate(requests), burst), Quota::per_minute(rate(requests), burst)] {
            let (tat, now) = (Nanos::new(tat), Nanos::new(now));
            match quota.admit(tat, now) {
                Ok(next) => prop_assert!(next >= tat && next >= now),
                Err(Rejected) => prop_assert!(tat > now),
            }
        }
    }
}

#[test]
fn a_new_quota_takes_effect_at_once_and_used_requests_stay() {
    let limiter = RateLimiter::default();
    let now = Nanos::new(SECOND);
    let slow = Quota::per_minute(rate(1), 3);
    while admitted(&limiter, key(1), slow, now) {}

    let fast = Quota::per_second(rate(10), 5);
    let passed = (0..10)
        .filter(|_| admitted(&limiter, key(1), fast, now))
        .count();
    assert_eq!(passed, 2, "four of the six requests were used before");

    let later = Nanos::new(SECOND + SECOND / 10);
    assert!(admitted(&limiter, key(1), fast, later));
    assert!(!admitted(&limiter, key(1), fast, later));
}

#[test]
fn a_million_clients_leave_the_store_bounded() {
    let limiter = RateLimiter::default();
    let quota = Quota::per_minute(NonZeroU32::MIN, 0);
    for number in 0..1_000_000u32 {
        let address = Ipv6Addr::from((0x2001_0db8_0000_0000u128 + u128::from(number)) << 64);
        assert!(admitted(
            &limiter,
            Key::from(IpAddr::from(address)),
            quota,
            Nanos::new(SECOND)
        ));
    }

    assert!(
        limiter.keys() <= RateLimiter::MAX_KEYS,
        "{} clients",
        limiter.keys()
    );
    assert!(
        limiter.keys() >= RateLimiter::MAX_KEYS / 3,
        "{} clients",
        limiter.keys()
    );
    limiter.release(Nanos::new(61 * SECOND));
    assert_eq!(limiter.keys(), 0);
}

#[test]
fn threads_share_one_quota() {
    const THREADS: usize = 8;
    let quota = Quota::per_second(rate(1), 999);
    for _ in 0..20 {
        let limiter = RateLimiter::default();
        let send = || {
            (0..500)
                .filter(|_| admitted(&limiter, key(1), quota, Nanos::new(SECOND)))
                .count()
        };
        let passed = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(send)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(passed, 1_000);
    }
}
