//! The current routing table of a worker.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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

/// Waits until the current table is not `known`, and then for `pause`: there may be a thousand tables a second while endpoints
/// change, and each would wake every task that follows them. Requests do not wait; they take the current table.
pub(crate) async fn changed(reader: &TableReader, known: &Arc<RoutingTable>, pause: Duration) {
    reader.changed(known).await;
    tokio::time::sleep(pause).await;
}

#[cfg(test)]
pub(crate) mod testing;
