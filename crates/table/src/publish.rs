//! One writer swaps tables in; many readers take the current one.

use std::rc::Rc;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use crate::RoutingTable;

/// The one handle that publishes. It cannot be cloned.
pub struct Publisher {
    current: Arc<ArcSwap<RoutingTable>>,
}

/// A handle that reads the current table; for threads that look now and then.
#[derive(Clone)]
pub struct TableReader {
    current: Arc<ArcSwap<RoutingTable>>,
}

/// A worker's view of the current table: taking it costs one atomic load and a count that no other thread touches.
///
/// It keeps the table it last saw alive, so an idle worker must call [`LocalTable::current`] now and then.
pub struct LocalTable {
    cache: Cache<Arc<ArcSwap<RoutingTable>>, Arc<RoutingTable>>,
    local: Rc<Arc<RoutingTable>>,
}

/// A publisher that starts with `table`, and a reader.
pub fn publisher(table: Arc<RoutingTable>) -> (Publisher, TableReader) {
    let current = Arc::new(ArcSwap::new(table));
    (
        Publisher {
            current: current.clone(),
        },
        TableReader { current },
    )
}

impl Publisher {
    /// Makes `table` the current one; requests that run keep theirs. Gives the former one.
    pub fn publish(&mut self, table: Arc<RoutingTable>) -> Arc<RoutingTable> {
        self.current.swap(table)
    }
}

impl TableReader {
    /// The current table.
    pub fn current(&self) -> Arc<RoutingTable> {
        self.current.load_full()
    }

    /// A view for one worker thread.
    pub fn local(&self) -> LocalTable {
        let mut cache = Cache::new(self.current.clone());
        let local = Rc::new(cache.load().clone());
        LocalTable { cache, local }
    }
}

impl LocalTable {
    /// The current table; a request takes it once and keeps it to its end.
    pub fn current(&mut self) -> Rc<Arc<RoutingTable>> {
        let latest = self.cache.load();
        if !Arc::ptr_eq(latest, &self.local) {
            self.local = Rc::new(latest.clone());
        }
        self.local.clone()
    }
}
