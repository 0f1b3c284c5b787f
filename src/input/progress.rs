//! The progress of a long run, on a terminal.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Nothing is shown for shorter runs.
const PATIENCE: Duration = Duration::from_millis(400);
/// Between two updates of the line.
const INTERVAL: Duration = Duration::from_millis(100);
/// Characters of a full bar.
const WIDTH: usize = 30;

/// A line on standard error, if that is a terminal.
pub(crate) struct Progress {
    is_shown: bool,
    began: Instant,
    /// What is counted, and how many there are.
    phase: Mutex<(&'static str, Option<usize>)>,
    count: AtomicUsize,
    /// Milliseconds after which the line is written again.
    due: AtomicU64,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
            began: Instant::now(),
            phase: Mutex::new(("", None)),
            count: AtomicUsize::new(0),
            due: AtomicU64::new(milliseconds(PATIENCE)),
        }
    }

    /// One that is not shown.
    pub(crate) fn hidden() -> Self {
        Self {
            is_shown: false,
            ..Self::start()
        }
    }

    /// Begins to count something else, of which there are `total` if that is known.
    pub(crate) fn phase(&self, name: &'static str, total: Option<usize>) {
        *self.phase.lock() = (name, total);
        self.count.store(0, Ordering::Relaxed);
        self.show();
    }

    /// Counts; may be called on any thread.
    pub(crate) fn add(&self, more: usize) {
        self.count.fetch_add(more, Ordering::Relaxed);
        self.show();
    }

    /// Removes the line.
    pub(crate) fn end(&self) {
        if self.is_shown && self.began.elapsed() > PATIENCE {
            self.write("\r\x1b[K");
        }
    }

    fn show(&self) {
        if !self.is_shown {
            return;
        }
        let now = milliseconds(self.began.elapsed());
        let due = self.due.load(Ordering::Relaxed);
        let next = now + milliseconds(INTERVAL);
        let is_mine = now >= due
            && self
                .due
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            let (name, total) = *self.phase.lock();
            let line = line(name, self.count.load(Ordering::Relaxed), total);
            self.write(&format!("\r{line}\x1b[K"));
        }
    }

    /// A terminal that is gone is no reason to stop.
    fn write(&self, text: &str) {
        let mut terminal = std::io::stderr().lock();
        let _ = terminal
            .write_all(text.as_bytes())
            .and_then(|()| terminal.flush());
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn line(name: &str, count: usize, total: Option<usize>) -> String {
    match total.filter(|total| *total > 0) {
        None if count == 0 => name.to_owned(),
        None => format!("{name} {count}"),
        Some(total) => {
            let done = (WIDTH * count.min(total)) / total;
            let (bar, rest) = ("#".repeat(done), ".".repeat(WIDTH - done));
            format!("{name} [{bar}{rest}] {count} of {total}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_needs_a_total() {
        assert_eq!(line("compiling", 0, None), "compiling");
        assert_eq!(line("reading", 7, None), "reading 7");
        let half = line("checking", 10, Some(20));
        assert_eq!(half, "checking [###############...............] 10 of 20");
        assert!(line("checking", 30, Some(20)).contains(&"#".repeat(WIDTH)));
    }
}
