//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// How long a wait may take before the test fails. Generous: a loaded machine is no bug.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// Pause between two looks at a condition that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks until there is something, at most for [`PATIENCE`].
///
/// # Panics
/// When the time is up, with `what` was waited for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain for {what}"
        );
        std::thread::sleep(PAUSE);
    }
}
