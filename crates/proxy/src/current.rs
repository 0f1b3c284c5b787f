//! The routing table that a worker serves from right now.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{LocalTable, RoutingTable, TableReader};

/// One worker's view of the current table. Clones share the view: taking the table through any of them lets go of the
/// former table for all.
#[derive(Clone)]
pub(crate) struct CurrentTable(Rc<RefCell<LocalTable>>);

impl CurrentTable {
    /// A view of what `reader` reads, for the thread that this is called on.
    pub(crate) fn new(reader: &TableReader) -> Self {
        Self(Rc::new(RefCell::new(reader.local())))
    }

    /// The current table. A request takes it once and keeps it to its end.
    pub(crate) fn get(&self) -> Rc<Arc<RoutingTable>> {
        self.0.borrow_mut().current()
    }
}

#[cfg(test)]
pub(crate) mod testing;
