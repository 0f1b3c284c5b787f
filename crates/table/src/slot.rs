//! Run-time state attached to the table.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Holds the run-time state of a part of the table, such as a route, upstream or limit. The data plane fills it at first use,
/// and compilation carries it over from the previous version of the same part, so that state survives a new table.
///
/// Clones share the state, also if it is set later. Comparing and rendering tables ignore slots.
#[derive(Clone, Default)]
pub struct Slot(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Slot {
    /// The state, created by `init` at first use. All slots of one kind of part hold one type; `None` if the slot already
    /// holds another, which is an error of the caller.
    pub fn get_or_init<T: Any + Send + Sync>(&self, init: impl FnOnce() -> Arc<T>) -> Option<&T> {
        self.0.get_or_init(|| init()).downcast_ref()
    }

    /// The state, if it is set.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.get()?.downcast_ref()
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() {
            "Slot(filled)"
        } else {
            "Slot"
        })
    }
}
