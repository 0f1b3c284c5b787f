//! How fast statuses are written, so that many changes at once do not flood the API server.

use std::time::Duration;

use tokio::time::{Instant, Interval, MissedTickBehavior};

/// Most concurrent writes.
pub(crate) const CONCURRENT: usize = 10;
/// Between two writes: at most a hundred a second.
pub(crate) const PACE: Duration = Duration::from_millis(10);
/// First and longest wait after failures; it doubles.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The pause of all writes after a failure.
pub(crate) struct Pause {
    pub(crate) until: Option<Instant>,
    next: Duration,
}

impl Pause {
    pub(crate) fn new() -> Self {
        Self {
            until: None,
            next: BACK_OFF.0,
        }
    }

    /// A write succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = BACK_OFF.0;
    }

    /// Pauses for the longest time.
    pub(crate) fn longest(&mut self) {
        self.pause(BACK_OFF.1);
    }

    /// A write failed. Concurrent writes fail together: only the first failure extends the back-off.
    pub(crate) fn back_off(&mut self, at_least: Duration) {
        let mut wait = at_least;
        if self.until.is_none() {
            wait = wait.max(self.next);
            self.next = (self.next * 2).min(BACK_OFF.1);
        }
        self.pause(wait);
    }

    fn pause(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        self.until = Some(self.until.map_or(until, |before| before.max(until)));
    }
}

pub(crate) fn ticks(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Never, for `None`.
pub(crate) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
