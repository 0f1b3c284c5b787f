//! Points in time as one integer.

use std::time::{Duration, Instant};

/// A point in time: nanoseconds since an origin that the caller chose, the same one for every call on one limiter.
///
/// The range is 584 years from the origin. All arithmetic stops at the ends of the range instead of wrapping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(u64);

impl Nanos {
    /// The origin itself.
    pub const ORIGIN: Self = Self(0);

    /// The point `nanos` nanoseconds after the origin.
    #[must_use]
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// `now` relative to `origin`; the origin itself when `now` is earlier.
    #[must_use]
    pub fn between(origin: Instant, now: Instant) -> Self {
        Self::from(now.saturating_duration_since(origin))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Nanoseconds from `earlier` to this point; 0 when `earlier` is in fact later.
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This point moved forward by `nanos` nanoseconds.
    pub(crate) const fn plus(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// This point moved back by `nanos` nanoseconds.
    pub(crate) const fn minus(self, nanos: u64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }
}

/// The point that long after the origin.
impl From<Duration> for Nanos {
    fn from(elapsed: Duration) -> Self {
        Self(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "only a clock makes instants")]
    fn instants_become_distances_from_the_origin() {
        let origin = Instant::now();
        let later = origin + Duration::from_micros(7);

        assert_eq!(Nanos::between(origin, later), Nanos::new(7_000));
        assert_eq!(Nanos::between(later, origin), Nanos::ORIGIN);
    }

    #[test]
    fn the_range_has_hard_ends() {
        assert_eq!(Nanos::from(Duration::MAX), Nanos::new(u64::MAX));
        assert_eq!(Nanos::new(u64::MAX).plus(1), Nanos::new(u64::MAX));
        assert_eq!(Nanos::new(1).minus(2), Nanos::ORIGIN);
        assert_eq!(Nanos::new(1).since(Nanos::new(2)), 0);
    }
}
