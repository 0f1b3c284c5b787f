//! How many requests a client may make, and the decision on one request.
//!
//! The decision is the generic cell rate algorithm. All it remembers of a client is one point in time, the *theoretical
//! arrival time*: when a client that sends at exactly its rate would send its next request. It advances by one interval with
//! each request let through; how far it lies ahead of the clock is what the client has taken in advance. For requests let
//! through at once this is the same rule as nginx's leaky bucket (`limit_req` with `nodelay`), where the "excess" is that
//! distance counted in requests.
//!
//! Simplifying assumptions: intervals are whole nanoseconds, rounded up, so that a quota is never exceeded; what a client may
//! take in advance ends at 292 years of its rate, so that no sum leaves the range of [`Nanos`].

use crate::Nanos;
use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

/// The longest stretch that a client may take in advance, in nanoseconds (292 years).
const MAX_ADVANCE: u64 = u64::MAX / 2;

/// How many requests a client may make: a steady rate, and a burst on top of it.
///
/// `burst + 1` requests are let through at once to a client that comes from rest, then one per interval (behaviour.md
/// 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    rate: NonZeroU32,
    period: Period,
    burst: u32,
    /// The period divided by the rate, rounded up: dividing once here keeps it out of every request.
    interval: NonZeroU64,
}

/// What a rate is counted over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Second,
    Minute,
}

/// Whether a request is let through.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is within the quota, and counted.
    Admitted,
    /// It is over the quota, and not counted.
    Rejected,
}

/// The request is over its quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected;

impl Quota {
    /// `rate` requests a second, and `burst` more at once.
    #[must_use]
    pub const fn per_second(rate: NonZeroU32, burst: u32) -> Self {
        Self::new(rate, Period::Second, burst)
    }

    /// `rate` requests a minute (one per 60/`rate` seconds), and `burst` more at once.
    #[must_use]
    pub const fn per_minute(rate: NonZeroU32, burst: u32) -> Self {
        Self::new(rate, Period::Minute, burst)
    }

    /// The time in which one request is earned back, rounded up to a nanosecond.
    #[must_use]
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval.get())
    }

    /// Requests let through at once beyond the first.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Decides on a request that comes at `now` from a client whose theoretical arrival time is `tat`
    /// ([`Nanos::ORIGIN`] for one never seen), and returns the client's new one.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the client has used its quota up. Its theoretical arrival time stays: a rejected request costs nothing.
    pub fn admit(self, tat: Nanos, now: Nanos) -> Result<Nanos, Rejected> {
        if tat.since(now) > self.advance() {
            return Err(Rejected);
        }
        Ok(tat.max(now).plus(self.interval.get()))
    }

    /// A client's theoretical arrival time without one request that was let through before.
    ///
    /// Exact: from then on the client is treated as if it had never sent that request.
    #[must_use]
    pub fn refund(self, tat: Nanos) -> Nanos {
        tat.minus(self.interval.get())
    }

    /// Converts `tat` from a quota with the interval `before`, so that the client still owes as many requests, but never more
    /// than it can owe under this quota.
    ///
    /// Without this a client that used up one request a minute would wait for minutes after its limit had been raised.
    pub(crate) fn convert(self, tat: Nanos, before: NonZeroU64, now: Nanos) -> Nanos {
        let interval = u128::from(self.interval.get());
        let owed = (u128::from(tat.since(now)) * interval).div_ceil(u128::from(before.get()));
        let most = self.advance().saturating_add(self.interval.get());
        now.plus(u64::try_from(owed).map_or(most, |owed| owed.min(most)))
    }

    /// [`Self::interval`] in nanoseconds.
    pub(crate) const fn interval_nanos(self) -> NonZeroU64 {
        self.interval
    }

    const fn new(rate: NonZeroU32, period: Period, burst: u32) -> Self {
        let interval = period.nanos().div_ceil(rate.get() as u64);
        // A period is never 0, so neither is its rounded-up share; the compiler can't see that.
        let interval = match NonZeroU64::new(interval) {
            Some(interval) => interval,
            None => NonZeroU64::MIN,
        };
        Self {
            rate,
            period,
            burst,
            interval,
        }
    }

    /// How far ahead of the clock a client's theoretical arrival time may lie for a request to be let through.
    fn advance(self) -> u64 {
        u64::from(self.burst)
            .saturating_mul(self.interval.get())
            .min(MAX_ADVANCE)
    }
}

/// As in `5 r/s burst 25`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.period {
            Period::Second => "s",
            Period::Minute => "m",
        };
        write!(f, "{} r/{unit} burst {}", self.rate, self.burst)
    }
}

impl Period {
    const fn nanos(self) -> u64 {
        match self {
            Self::Second => 1_000_000_000,
            Self::Minute => 60_000_000_000,
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is over its quota")
    }
}

impl std::error::Error for Rejected {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(rate: u32) -> NonZeroU32 {
        NonZeroU32::new(rate).unwrap()
    }

    #[test]
    fn burst_and_one_more_pass_at_once_then_one_per_interval() {
        let quota = Quota::per_second(rate(5), 2);
        let start = Nanos::new(77 * SECOND);
        let mut tat = Nanos::ORIGIN;
        for _ in 0..3 {
            tat = quota.admit(tat, start).unwrap();
        }

        assert_eq!(quota.admit(tat, start), Err(Rejected));
        assert_eq!(quota.admit(tat, start.plus(SECOND / 5 - 1)), Err(Rejected));
        let tat = quota.admit(tat, start.plus(SECOND / 5)).unwrap();
        assert_eq!(quota.admit(tat, start.plus(SECOND / 5)), Err(Rejected));
    }

    #[test]
    fn a_minute_rate_earns_one_request_per_share_of_a_minute() {
        assert_eq!(
            Quota::per_minute(rate(6), 0).interval(),
            Duration::from_secs(10)
        );
    }

    #[test]
    fn an_interval_that_does_not_divide_evenly_is_rounded_up() {
        assert_eq!(
            Quota::per_second(rate(3), 0).interval(),
            Duration::from_nanos(333_333_334)
        );
        assert_eq!(
            Quota::per_second(NonZeroU32::MAX, 0).interval(),
            Duration::from_nanos(1)
        );
    }

    #[test]
    fn the_largest_quota_stays_in_range() {
        let quota = Quota::per_minute(NonZeroU32::MIN, u32::MAX);
        let now = Nanos::new(SECOND);
        let full = now.plus(MAX_ADVANCE);

        let tat = quota.admit(full, now).unwrap();
        assert_eq!(quota.admit(tat, now), Err(Rejected));
    }

    #[test]
    fn a_refund_undoes_a_request() {
        let quota = Quota::per_second(rate(10), 1);
        let now = Nanos::new(SECOND);
        let once = quota.admit(Nanos::ORIGIN, now).unwrap();
        let twice = quota.admit(once, now).unwrap();

        assert_eq!(quota.refund(twice), once);
        assert!(
            quota
                .admit(quota.refund(once), now)
                .is_ok_and(|tat| tat == once)
        );
    }

    #[test]
    fn debts_are_converted_in_requests() {
        let slow = Quota::per_minute(rate(1), 5);
        let fast = Quota::per_second(rate(100), 9);
        let now = Nanos::new(SECOND);
        let six_owed = now.plus(6 * 60 * SECOND);

        let converted = fast.convert(six_owed, slow.interval_nanos(), now);
        assert_eq!(converted, now.plus(6 * SECOND / 100));
        assert_eq!(
            slow.convert(converted, fast.interval_nanos(), now),
            six_owed
        );
    }

    #[test]
    fn a_converted_debt_never_exceeds_a_used_up_quota() {
        let before = Quota::per_second(rate(1), 1_000);
        let after = Quota::per_second(rate(2), 1);
        let now = Nanos::new(SECOND);

        let converted = after.convert(now.plus(1_000 * SECOND), before.interval_nanos(), now);
        assert_eq!(converted, now.plus(SECOND));
        assert_eq!(
            after.convert(Nanos::new(u64::MAX), NonZeroU64::MIN, now),
            now.plus(SECOND)
        );
    }

    #[test]
    fn a_quota_prints_rate_period_and_burst() {
        assert_eq!(Quota::per_second(rate(5), 25).to_string(), "5 r/s burst 25");
        assert_eq!(Quota::per_minute(rate(30), 0).to_string(), "30 r/m burst 0");
    }
}
