//! When to return a batch of changes: at once after an idle time, otherwise with those of the next milliseconds.

use std::time::Duration;

use tokio::time::Instant;

/// Changes within this time after the last batch are batched.
const SHORTEST: Duration = Duration::from_millis(2);
/// Changes wait no longer than this, however long the consumer takes for a batch.
const LONGEST: Duration = Duration::from_millis(100);
/// The consumer may spend one part in this many of the time on batches.
const SHARE: u32 = 5;
/// How much of the time to come it may use ahead: the objects of a new host, which arrive one after the other, do not wait.
const AHEAD: Duration = Duration::from_millis(100);

/// Spaces batches so that handling them leaves most of the time to other work.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last batch was returned.
    last: Option<Instant>,
    /// Until when the share of the time is used.
    used: Option<Instant>,
    /// The consumer still handles the last batch.
    is_busy: bool,
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
            let from = self.used.map_or(last, |used| used.max(last));
            let cost = now.duration_since(last);
            // More is never waited for.
            let latest = last + LONGEST + AHEAD;
            self.used = Some((from + cost * SHARE).min(latest));
        }
        self.is_busy = false;
    }

    /// When a batch is due whose first change arrived at `first`.
    pub(super) fn due(&self, first: Instant) -> Instant {
        let Some((last, used)) = self.last.zip(self.used) else {
            return first;
        };
        let within_share = used.checked_sub(AHEAD).unwrap_or(last);
        first.max(within_share).max(last + SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Handles batches of this cost, each requested as soon as it is due, and returns the times from each to the next.
    fn times(pace: &mut Pace, start: Instant, cost: Duration, count: usize) -> Vec<Duration> {
        let mut now = start;
        let batches = std::iter::repeat_with(|| {
            let before = now;
            pace.returned(now);
            pace.requested(now + cost);
            now = pace.due(now + cost);
            now - before
        });
        batches.take(count).collect()
    }

    #[test]
    fn the_first_change_after_an_idle_time_is_due_at_once_and_later_ones_are_batched() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(start), start);
        pace.returned(start);
        pace.requested(start + MS / 10);
        assert_eq!(pace.due(start + MS), start + MS * 2);
        assert_eq!(pace.due(start + MS * 50), start + MS * 50);
    }

    #[test]
    fn a_few_batches_follow_soon_and_many_take_their_share_of_the_time() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let found = times(&mut pace, start, MS, 100);
        assert!(found[..20].iter().all(|time| *time == MS * 2), "{found:?}");
        assert!(found[40..].iter().all(|time| *time == MS * 5), "{found:?}");
        // After a rest there is time to use again.
        let later = times(&mut pace, start + MS * 5000, MS, 20);
        assert!(later.iter().all(|time| *time == MS * 2), "{later:?}");
    }

    #[test]
    fn costly_batches_are_rarer_up_to_a_ceiling() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let found = times(&mut pace, start, MS * 8, 20);
        assert_eq!(found[10..], [MS * 40; 10]);
        let mut pace = Pace::default();
        let found = times(&mut pace, start, MS * 50, 20);
        assert_eq!(found[10..], [MS * 100; 10]);
        // A second request without a batch in between has no cost.
        let due = pace.due(start);
        pace.requested(start + MS * 50_000);
        assert_eq!(pace.due(start), due);
    }
}
