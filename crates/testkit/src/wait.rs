//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// How long a wait may take before the test fails. Generous: a loaded machine is no bug.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Between two checks of a condition that sends no event.
const PAUSE: Duration = Duration::from_millis(2);

/// Polls until `look` returns something, at most for [`PATIENCE`].
///
/// # Panics
/// When the time is up; the message names `what`.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "timed out after {PATIENCE:?} waiting for {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
