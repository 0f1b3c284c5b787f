//! Pauses between exports that fail.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// Attempts at one batch; then it makes room for newer spans.
const MOST: u32 = 4;

/// The pauses of a collector that fails; they grow until it takes spans again.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    pause: Option<Duration>,
}

impl Backoff {
    /// The pause after another failure, which is at least `least` if the collector says so. `jitter`, 0 to 1, spreads the
    /// pauses of processes that failed together.
    pub(super) fn failed(&mut self, least: Option<Duration>, jitter: f64) -> Duration {
        let pause = self.pause.map_or(FIRST, |pause| (pause * 2).min(LONGEST));
        self.pause = Some(pause);
        let spread = pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        spread.max(least.unwrap_or_default().min(LONGEST))
    }

    /// Whether it had failed before this success.
    pub(super) fn succeeded(&mut self) -> bool {
        self.pause.take().is_some()
    }

    /// Whether a batch is given up after this number of attempts.
    pub(super) fn gives_up(attempts: u32) -> bool {
        attempts >= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_end_with_a_success() {
        let mut backoff = Backoff::default();
        let pauses = [(); 8].map(|()| backoff.failed(None, 1.0).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(backoff.succeeded() && !backoff.succeeded());
        assert_eq!(backoff.failed(None, 0.0), Duration::from_millis(500));
    }

    #[test]
    fn the_collector_may_ask_for_a_longer_pause() {
        let mut backoff = Backoff::default();
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(backoff.failed(asked(7), 1.0).as_secs(), 7);
        assert_eq!(backoff.failed(asked(1), 1.0).as_secs(), 2);
        assert_eq!(backoff.failed(asked(9999), 1.0), LONGEST);
    }
}
