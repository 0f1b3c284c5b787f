//! Where run-time state hangs off the table.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// A place for the run-time state of a route, upstream or limit: empty when compiled, filled by the data plane at
/// first use, and carried by compiling from the previous version of the same thing, so that state outlives swaps.
///
/// Clones share the place, also before it is filled. A slot takes no part in comparing or rendering tables.
#[derive(Clone, Default)]
pub struct Slot(Arc<OnceLock<Arc<dyn Any + Send + Sync>>>);

impl Slot {
    /// The state, made by `init` if this is the first use. One kind of thing keeps one type in its slots; `None`
    /// when the slot already holds another type, which is a mistake of the caller's.
    pub fn get_or_init<T: Any + Send + Sync>(&self, init: impl FnOnce() -> Arc<T>) -> Option<&T> {
        self.0.get_or_init(|| init()).downcast_ref()
    }

    /// The state, if there is some.
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
