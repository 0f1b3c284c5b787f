//! A gate that threads wait at until a test opens it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::wait::PATIENCE;

/// Shut at first; opens once and for all. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inner: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A gate that is shut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it: everything that waits or comes later passes.
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
    /// When it stays shut for [`PATIENCE`].
    pub fn pass(&self) {
        let (shut, waited) = self
            .inner
            .1
            .wait_timeout_while(lock(&self.inner.0), PATIENCE, |open| !*open)
            .unwrap_or_else(PoisonError::into_inner);
        drop(shut);
        assert!(!waited.timed_out(), "a gate stayed shut for {PATIENCE:?}");
    }
}

/// Locks, also after a holder panicked: that test has failed, and others still read.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
