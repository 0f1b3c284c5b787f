//! When to hand out changes: at once after a quiet time, else together with those of the next milliseconds.

use std::time::Duration;

use tokio::time::Instant;

/// Changes within this time after the last batch are batched.
const SHORTEST: Duration = Duration::from_millis(2);
/// Changes wait no longer than this, however busy the one is who takes them in.
const LONGEST: Duration = Duration::from_millis(100);
/// The share of time that taking batches in may cost: one part in so many.
const SHARE: u32 = 10;

/// Spaces batches out so that taking them in leaves most of the time to other work.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the last batch was given out.
    given: Option<Instant>,
    /// How long after it the next may follow.
    window: Duration,
    /// The one who takes them in has it still.
    is_out: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            given: None,
            window: SHORTEST,
            is_out: false,
        }
    }
}

impl Pace {
    /// A batch is given out.
    pub(super) fn give(&mut self, now: Instant) {
        self.given = Some(now);
        self.is_out = true;
    }

    /// The one who takes them in asks for the next: the time since the last was given out is what that cost.
    pub(super) fn ask(&mut self, now: Instant) {
        if let Some(given) = self.given.filter(|_| self.is_out) {
            let cost = now.duration_since(given);
            self.window = (cost * SHARE).clamp(SHORTEST, LONGEST);
        }
        self.is_out = false;
    }

    /// When a batch may be given out whose first change came at `first`.
    pub(super) fn due(&self, first: Instant) -> Instant {
        let open = self.given.map(|given| given + self.window);
        open.map_or(first, |open| open.max(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_after_quiet_goes_out_at_once_and_the_next_together() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.due(start), start);
        pace.give(start);
        pace.ask(start + MS);
        assert_eq!(pace.due(start + MS), start + MS * 10);
        assert_eq!(pace.due(start + MS * 50), start + MS * 50);
    }

    #[test]
    fn costly_batches_are_rarer_up_to_a_ceiling() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.give(start);
        pace.ask(start + MS / 10);
        assert_eq!(pace.due(start + MS), start + MS * 2);
        pace.give(start);
        pace.ask(start + MS * 8);
        assert_eq!(pace.due(start + MS * 9), start + MS * 80);
        pace.give(start);
        pace.ask(start + MS * 500);
        assert_eq!(pace.due(start), start + MS * 100);
        // Asking again without a batch in between is no cost.
        pace.ask(start + MS * 5000);
        assert_eq!(pace.due(start), start + MS * 100);
    }
}
