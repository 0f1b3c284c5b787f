//! The current routing table of a worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{LocalTable, RoutingTable, TableReader};

/// One worker's view of the current table. Clones share the view: [`CurrentTable::get`] of any of them releases the
/// former table for all.
#[derive(Clone)]
pub(crate) struct CurrentTable(Rc<RefCell<LocalTable>>);

impl CurrentTable {
    /// A view for the calling thread.
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
