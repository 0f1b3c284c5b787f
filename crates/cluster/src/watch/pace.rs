//! When to return a batch of changes: at once after an idle time, otherwise with those of the next milliseconds.

use std::time::Duration;

use tokio::time::Instant;

/// Changes within this time after the last batch are batched.
const SHORTEST: Duration = Duration::from_millis(2);
/// Changes wait no longer than this, however long the consumer takes for a batch.
const LONGEST: Duration = Duration::from_millis(100);
/// The consumer may spend one part in this many of the time on batches.
const SHARE: u32 = 10;

/// Spaces batches so that handling them leaves most of the time to other work.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the last batch was returned.
    last: Option<Instant>,
    /// Least time from the last batch to the next.
    window: Duration,
    /// The consumer still handles the last batch.
    is_busy: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            last: None,
            window: SHORTEST,
            is_busy: false,
        }
    }
}

impl Pace {
    /// A batch is returned to the consumer.
    pub(super) fn returned(&mut self, now: Instant) {
        self.last = Some(now);
        self.is_busy = true;
    }

    /// The consumer requests the next batch: the time since the last was returned is its cost.
    pub(super) fn requested(&mut self, now: Instant) {
        if let Some(last) = self.last.filter(|_| self.is_busy) {
            let cost = now.duration_since(last);
            self.window = (cost * SHARE).clamp(SHORTEST, LONGEST);
        }
        self.is_busy = false;
    }

    /// When a batch is due whose first change arrived at `first`.
    pub(super) fn due(&self, first: Instant) -> Instant {
        let earliest = self.last.map(|last| last + self.window);
        earliest.map_or(first, |earliest| earliest.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_change_after_an_idle_time_is_due_at_once_and_later_ones_are_batched() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(start), start);
        pace.returned(start);
        pace.requested(start + MS);
        assert_eq!(pace.due(start + MS), start + MS * 10);
        assert_eq!(pace.due(start + MS * 50), start + MS * 50);
    }

    #[test]
    fn costly_batches_are_rarer_up_to_a_ceiling() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.returned(start);
        pace.requested(start + MS / 10);
        assert_eq!(pace.due(start + MS), start + MS * 2);
        pace.returned(start);
        pace.requested(start + MS * 8);
        assert_eq!(pace.due(start + MS * 9), start + MS * 80);
        pace.returned(start);
        pace.requested(start + MS * 500);
        assert_eq!(pace.due(start), start + MS * 100);
        // A second request without a batch in between has no cost.
        pace.requested(start + MS * 5000);
        assert_eq!(pace.due(start), start + MS * 100);
    }
}
