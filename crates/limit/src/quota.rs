//! How many requests a client may make, and the decision on one request.
//!
//! The decision is the generic cell rate algorithm. Its only state of a client is one point in time, the *theoretical arrival
//! time*: when a client that sends at exactly its rate would send its next request. It advances by one interval with each
//! admitted request; how far it is ahead of the clock is how much of the burst the client has used. As admitted requests are
//! not delayed, this is the same rule as nginx's leaky bucket (`limit_req` with `nodelay`), where the "excess" is that distance
//! counted in requests.
//!
//! Simplifying assumptions: intervals are whole nanoseconds, rounded up, so that a quota is never exceeded; the burst ends at
//! 292 years of the rate, so that no sum leaves the range of [`Nanos`].

use crate::Nanos;
use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

/// How far ahead of the clock a theoretical arrival time may be, in nanoseconds (292 years).
const MAX_ADVANCE: u64 = u64::MAX / 2;

/// How many requests a client may make: a steady rate, and a burst on top of it.
///
/// An idle client may send `burst + 1` requests at once, then one per interval (behaviour.md 1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    rate: NonZeroU32,
    period: Period,
    burst: u32,
    /// The period divided by the rate, rounded up: dividing once here keeps it out of every request.
    interval: NonZeroU64,
}

/// The unit of time of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Period {
    Second,
    Minute,
}

/// Whether a request is within its quota.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Within the quota, and counted.
    Admitted,
    /// Over the quota, and not counted.
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

    /// The time per request at the steady rate, rounded up to a nanosecond.
    #[must_use]
    pub const fn interval(self) -> Duration {
        Duration::from_nanos(self.interval.get())
    }

    /// Requests admitted at once beyond the first.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// Decides on a request that arrives at `now` from a client whose theoretical arrival time is `tat`
    /// ([`Nanos::ORIGIN`] for one never seen), and returns the client's new one.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the client has used up its quota. Its theoretical arrival time stays: a rejected request is not counted.
    pub fn admit(self, tat: Nanos, now: Nanos) -> Result<Nanos, Rejected> {
        if tat.since(now) > self.advance() {
            return Err(Rejected);
        }
        Ok(tat.max(now).plus(self.interval.get()))
    }

    /// A client's theoretical arrival time without one request that was admitted before.
    ///
    /// Exact: from then on the client is treated as if it had never sent that request.
    #[must_use]
    pub fn refund(self, tat: Nanos) -> Nanos {
        tat.minus(self.interval.get())
    }

    /// Converts `tat` from a quota with the interval `before`, so that the client is ahead by as many requests as before, but by
    /// no more than this quota allows.
    ///
    /// Without this a client that used up one request a minute would wait for minutes after its limit was raised.
    pub(crate) fn convert(self, tat: Nanos, before: NonZeroU64, now: Nanos) -> Nanos {
        let interval = u128::from(self.interval.get());
        let ahead = (u128::from(tat.since(now)) * interval).div_ceil(u128::from(before.get()));
        let most = self.advance().saturating_add(self.interval.get());
        now.plus(u64::try_from(ahead).map_or(most, |ahead| ahead.min(most)))
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

    /// How far ahead of the clock a client's theoretical arrival time may be for a request to be admitted.
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
    fn the_interval_of_a_rate_per_minute_is_its_share_of_a_minute() {
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
    fn state_is_converted_in_requests() {
        let slow = Quota::per_minute(rate(1), 5);
        let fast = Quota::per_second(rate(100), 9);
        let now = Nanos::new(SECOND);
        let six_ahead = now.plus(6 * 60 * SECOND);

        let converted = fast.convert(six_ahead, slow.interval_nanos(), now);
        assert_eq!(converted, now.plus(6 * SECOND / 100));
        assert_eq!(
            slow.convert(converted, fast.interval_nanos(), now),
            six_ahead
        );
    }

    #[test]
    fn converted_state_never_exceeds_a_used_up_quota() {
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
