//! The listener of a connection: its current table, and whether it is still open.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Listener, RoutingTable, SocketKind};

use crate::worker::Worker;

/// A listening socket as its connections see it. They may outlive it.
pub(crate) struct OpenListener {
    /// The bound address, which identifies it in tables.
    pub(crate) address: SocketAddr,
    pub(crate) kind: SocketKind,
    /// The newest known table that contains it.
    table: RefCell<Rc<Arc<RoutingTable>>>,
    closed: Cell<bool>,
}

impl OpenListener {
    /// The socket of `listener`, which is in `table`.
    pub(crate) fn new(listener: &Listener, table: Rc<Arc<RoutingTable>>) -> Self {
        Self {
            address: listener.address,
            kind: listener.socket.kind(),
            table: RefCell::new(table),
            closed: Cell::new(false),
        }
    }

    /// The table for a new request or connection of the listener: the current one, or the last one that contains the
    /// listener.
    pub(crate) fn table(&self, worker: &Worker) -> Rc<Arc<RoutingTable>> {
        let current = worker.table();
        let known = self.table.borrow();
        let serves = Rc::ptr_eq(&current, &known) || (!self.closed() && self.is_in(&current));
        if serves { current } else { known.clone() }
    }

    /// The newest known table that contains it.
    pub(crate) fn known_table(&self) -> Arc<RoutingTable> {
        Arc::clone(&self.table.borrow())
    }

    /// Whether it was removed from the table: its connections end with their next response.
    pub(crate) fn closed(&self) -> bool {
        self.closed.get()
    }

    /// Serves new requests from `table`, which contains it.
    pub(crate) fn update(&self, table: Rc<Arc<RoutingTable>>) {
        self.table.replace(table);
    }

    /// The current table does not contain it any more.
    pub(crate) fn close(&self) {
        self.closed.set(true);
    }

    pub(crate) fn is_in(&self, table: &RoutingTable) -> bool {
        table
            .listener(self.address)
            .is_some_and(|listener| listener.socket.kind() == self.kind)
    }
}
