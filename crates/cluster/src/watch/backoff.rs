//! How long to wait before the next attempt.

use std::time::Duration;

/// Waits that double with each failure, spread by chance so that many clients do not come at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    /// From about `first`.
    pub(super) fn new(first: Duration) -> Self {
        Self { first, failures: 0 }
    }

    /// An attempt succeeded.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// An attempt failed: the wait before the next, up to `longest`; `chance` is from 0 to 1 and moves it between half and
    /// all of its length.
    pub(super) fn failed(&mut self, longest: Duration, chance: f32) -> Duration {
        let doubled = 2_u32.saturating_pow(self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        let whole = self.first.saturating_mul(doubled).min(longest);
        let half = whole / 2;
        half + half.mul_f32(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100));
        let waits: Vec<_> = (0..6).map(|_| backoff.failed(ms(1000), 0.0)).collect();
        assert_eq!(waits, [50, 100, 200, 400, 500, 500].map(ms));
        assert_eq!(backoff.failed(ms(300), 0.0), ms(150));
        backoff.reset();
        assert_eq!(backoff.failed(ms(1000), 0.0), ms(50));
        assert!(backoff.failed(ms(1000), 1.0) > ms(199));
    }
}
