//! The listening sockets of one worker: those that the listeners of the current table ask for.
//!
//! Each worker has its own socket at every address (`SO_REUSEPORT`), and opens and closes them when a new table is
//! published. Other listeners and running connections are not touched by that.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use headgate_table::{Listener, RoutingTable};
use tokio::task::JoinHandle;

use crate::accept::Acceptor;
use crate::connection::{Front, Handler};
use crate::listen::{self, BindError};
use crate::open_listener::OpenListener;

/// Time after which an address that could not be listened on is tried again, if no table comes before.
const RETRY: Duration = Duration::from_secs(1);

/// The listening sockets of one worker.
pub(crate) struct Sockets<H> {
    front: Rc<Front<H>>,
    /// Bound before there was a table; empty from the first one on.
    bound: Vec<(SocketAddr, TcpListener)>,
    open: Vec<Open>,
    /// Take what is left in their backlogs.
    closing: Vec<JoinHandle<()>>,
    /// Addresses that could not be listened on at the last try.
    failing: Vec<SocketAddr>,
}

struct Open {
    listener: Rc<OpenListener>,
    acceptor: Acceptor,
}

impl<H: Handler> Sockets<H> {
    /// Nothing open yet. `bound` are the sockets that exist already: those that the first table does not use are closed.
    pub(crate) fn new(front: Rc<Front<H>>, bound: Vec<(SocketAddr, TcpListener)>) -> Self {
        Self {
            front,
            bound,
            open: Vec::new(),
            closing: Vec::new(),
            failing: Vec::new(),
        }
    }

    /// Opens and closes sockets with every table from now on.
    pub(crate) async fn follow(&mut self) -> Infallible {
        let worker = self.front.worker.clone();
        loop {
            let table = worker.table();
            self.reconcile(&table);
            let changed = worker.shared.reader.changed(&table);
            if self.failing.is_empty() {
                changed.await;
            } else {
                // Elapsed: the same table again.
                let _ = tokio::time::timeout(RETRY, changed).await;
            }
        }
    }

    /// Closes all sockets once the connections that the kernel has accepted are taken.
    pub(crate) async fn close(self) {
        let stopped = self.open.into_iter().map(|open| open.acceptor.stop());
        join_all(stopped.chain(self.closing)).await;
    }

    fn reconcile(&mut self, table: &Rc<Arc<RoutingTable>>) {
        self.close_gone(table);
        let failed_before = std::mem::take(&mut self.failing);
        for listener in table.listeners() {
            if self.is_open(listener.address) {
                continue;
            }
            if let Err(error) = self.open(listener, table) {
                self.failed(error, &failed_before);
            }
        }
        self.bound.clear();
    }

    fn is_open(&self, address: SocketAddr) -> bool {
        self.open
            .iter()
            .any(|open| open.listener.address == address)
    }

    /// Sockets that changed their kind are closed as well, and opened anew.
    fn close_gone(&mut self, table: &Rc<Arc<RoutingTable>>) {
        self.closing.retain(|task| !task.is_finished());
        for Open { listener, acceptor } in std::mem::take(&mut self.open) {
            if listener.is_in(table) {
                listener.keep(table.clone());
                self.open.push(Open { listener, acceptor });
            } else {
                tracing::debug!(address = %listener.address, "stopped listening");
                listener.close();
                self.closing.push(acceptor.stop());
            }
        }
    }

    fn open(
        &mut self,
        listener: &Listener,
        table: &Rc<Arc<RoutingTable>>,
    ) -> Result<(), BindError> {
        let address = listener.address;
        let bound = self.bound.iter().position(|(bound, _)| *bound == address);
        let socket = match bound {
            Some(index) => self.bound.swap_remove(index).1,
            None => listen::listen(address)?,
        };
        let socket = tokio::net::TcpListener::from_std(socket)
            .map_err(|source| BindError { address, source })?;
        let listener = Rc::new(OpenListener::new(listener, table.clone()));
        let acceptor = Acceptor::start(self.front.clone(), listener.clone(), socket);
        self.open.push(Open { listener, acceptor });
        tracing::debug!(%address, "listening");
        Ok(())
    }

    /// Logs and counts an address when it begins to fail, not with every try.
    fn failed(&mut self, error: BindError, failed_before: &[SocketAddr]) {
        let BindError { address, source } = error;
        if !failed_before.contains(&address) {
            tracing::error!(%address, error = %source, "cannot listen");
            self.front.worker.telemetry.refused("listen");
        }
        self.failing.push(address);
    }
}

#[cfg(test)]
mod tests;
