//! The number of open connections of all workers, which is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What the connections of all workers share.
pub(crate) struct Process {
    open: AtomicUsize,
    serial: AtomicU64,
}

/// Counts one of the connections that may be open at once; returned when dropped.
pub(crate) struct Permit(Arc<Process>);

impl Process {
    /// No open connections.
    pub(crate) fn new() -> Self {
        Self {
            open: AtomicUsize::new(0),
            serial: AtomicU64::new(1),
        }
    }

    /// The serial number of a new connection.
    pub(crate) fn next_serial(&self) -> u64 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// A permit for one more connection, if there are fewer than `max`.
    pub(crate) fn permit(self: &Arc<Self>, max: usize) -> Option<Permit> {
        let permit = Permit(self.clone());
        (self.open.fetch_add(1, Ordering::Relaxed) < max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
