//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits that double with each failure, with jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    /// The last wait, without jitter; zero without a failure.
    last: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self {
            first,
            last: Duration::ZERO,
        }
    }

    /// An attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.last = Duration::ZERO;
    }

    /// The wait after a failed attempt, up to `longest`; the random `sample` from 0 to 1 sets it between half and all of its
    /// length.
    pub(super) fn failed(&mut self, longest: Duration, sample: f32) -> Duration {
        self.last = self.last.saturating_mul(2).max(self.first).min(longest);
        let half = self.last / 2;
        half + half.mul_f32(sample.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_reset() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100));
        let waits: Vec<_> = (0..6).map(|_| backoff.failed(ms(1000), 0.0)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500].map(ms));
        // With another bound the waits double from that bound.
        assert_eq!(backoff.failed(ms(300), 0.0), ms(150));
        assert_eq!(backoff.failed(ms(1000), 0.0), ms(300));
        backoff.reset();
        assert_eq!(backoff.failed(ms(1000), 0.0), ms(50));
        assert!(backoff.failed(ms(1000), 1.0) > ms(199));
    }
}
