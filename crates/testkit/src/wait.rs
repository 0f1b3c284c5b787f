//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// Maximum duration of a wait before the test fails. Generous: a loaded machine is not a bug.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two checks of a condition without an event.
const PAUSE: Duration = Duration::from_millis(2);

/// Polls until `check` returns something, at most for [`PATIENCE`].
///
/// # Panics
/// When the time is up; the message names `what`.
pub fn until<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "timed out after {PATIENCE:?} waiting for {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
