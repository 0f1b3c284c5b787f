//! The time in log lines, formatted once per second.

use std::fmt::Write;
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The time as in `12/Mar/2026:10:00:00 +0000`. Reads the system clock once per second.
#[derive(Default)]
pub(super) struct Clock {
    text: String,
    until: Option<Instant>,
}

impl Clock {
    /// The time at `now`, which must be the present.
    pub(super) fn text(&mut self, now: Instant) -> &str {
        if self.until.is_none_or(|until| now >= until) {
            self.read(now, Timestamp::now());
        }
        &self.text
    }

    fn read(&mut self, now: Instant, time: Timestamp) {
        self.text.clear();
        // The format is a constant, and writing to a string cannot fail.
        let _ = write!(self.text, "{}", time.strftime("%d/%b/%Y:%H:%M:%S +0000"));
        let elapsed = u64::try_from(time.subsec_nanosecond()).unwrap_or(0);
        self.until =
            now.checked_add(Duration::from_secs(1).saturating_sub(Duration::from_nanos(elapsed)));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn text_is_kept_to_the_end_of_its_second() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        clock.read(start, "2026-03-12T10:00:00.25Z".parse().unwrap());
        assert_eq!(
            clock.text(start + Duration::from_millis(749)),
            "12/Mar/2026:10:00:00 +0000"
        );
        assert_eq!(clock.until, Some(start + Duration::from_millis(750)));
    }
}
