//! A gate that threads wait at until a test opens it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::wait::PATIENCE;

/// A gate that is closed until it is opened, for good. Clones share its state.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate for current and later callers of [`pass`](Self::pass).
    pub fn open(&self) {
        *lock(&self.inner.0) = true;
        self.inner.1.notify_all();
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        *lock(&self.inner.0)
    }

    /// Waits until the gate is open.
    ///
    /// # Panics
    /// When it stays closed for [`PATIENCE`].
    pub fn pass(&self) {
        let (open, waited) = self
            .inner
            .1
            .wait_timeout_while(lock(&self.inner.0), PATIENCE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        drop(open);
        assert!(!waited.timed_out(), "a gate stayed closed for {PATIENCE:?}");
    }
}

/// Locks, also after a holder panicked: its test has failed, and other threads still read.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
