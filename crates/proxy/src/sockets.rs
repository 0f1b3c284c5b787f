//! The sockets of one worker: one for each listener of the current table, for TCP and UDP.
//!
//! Each worker has its own socket at every address (`SO_REUSEPORT`), and opens and closes them when a new table is
//! published. This does not affect other listeners and open connections.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use headgate_table::{Listener, RoutingTable, SocketKind};
use tokio::task::JoinHandle;

use crate::accept::{self, Acceptor};
use crate::connection::{Handler, WorkerContext};
use crate::current;
use crate::datagram::UdpSockets;
use crate::handover::{HandedOver, Inbox};
use crate::limit::Limit;
use crate::listen::{self, BindError};
use crate::open_listener::OpenListener;
use crate::telemetry::Protocol;

/// How long a former table may be kept by a listener without connections.
const RELEASE: Duration = Duration::from_secs(1);
/// Interval of attempts to listen on an address that failed; a new table causes one at once.
const RETRY: Duration = Duration::from_secs(1);

/// The listening sockets of one worker.
pub(crate) struct Sockets<H> {
    context: Rc<WorkerContext<H>>,
    /// Connections that other workers have accepted.
    inbox: Inbox,
    /// Bound before there was a table; empty from the first one on.
    bound: Vec<(SocketAddr, TcpListener)>,
    open: Vec<OpenSocket>,
    udp: UdpSockets<H>,
    /// Tasks that accept the rest of a backlog.
    closing: Vec<JoinHandle<()>>,
    /// Addresses on which the last attempt to listen failed.
    failing: Vec<(Protocol, SocketAddr)>,
}

struct OpenSocket {
    listener: Rc<OpenListener>,
    acceptor: Acceptor,
}

impl<H: Handler> Sockets<H> {
    /// No open sockets. `bound` exist already; those that the first table does not use are closed.
    pub(crate) fn new(
        context: Rc<WorkerContext<H>>,
        inbox: Inbox,
        bound: Vec<(SocketAddr, TcpListener)>,
    ) -> Self {
        Self {
            udp: UdpSockets::new(context.clone()),
            context,
            inbox,
            bound,
            open: Vec::new(),
            closing: Vec::new(),
            failing: Vec::new(),
        }
    }

    /// Opens and closes sockets for the current table and every later one, and serves what other workers hand over.
    pub(crate) async fn follow(&mut self) -> Infallible {
        let worker = self.context.worker.clone();
        loop {
            let table = worker.table();
            self.reconcile(&table);
            let reader = &worker.shared.reader;
            let retries = !self.failing.is_empty();
            let mut outdated = pin!(async {
                tokio::select! {
                    () = reader.sockets_changed(&table) => {}
                    // So that idle listeners release former tables.
                    () = current::changed(reader, &table, RELEASE) => {}
                    // The same table is reconciled again.
                    () = tokio::time::sleep(RETRY), if retries => {}
                }
            });
            loop {
                tokio::select! {
                    () = &mut outdated => break,
                    Some(connection) = self.inbox.next() => self.take(connection),
                }
            }
        }
    }

    /// Closes all sockets after accepting the connections that wait in their backlogs, and those that other workers have handed
    /// over.
    pub(crate) async fn close(mut self) {
        self.inbox.close();
        while let Some(connection) = self.inbox.next().await {
            self.take(connection);
        }
        self.udp.close();
        let stopped = self.open.into_iter().map(|open| open.acceptor.stop());
        join_all(stopped.chain(self.closing)).await;
    }

    /// Serves a connection that another worker has accepted, as one of the same listener here.
    fn take(&mut self, connection: HandedOver) {
        let address = connection.listener;
        let Some(sent) = connection.table.listener(address) else {
            return; // it is in the table by which it was accepted
        };
        let kind = sent.socket.kind();
        if self.listener(address, kind).is_none() {
            // The other worker may have been faster to open it.
            self.reconcile(&self.context.worker.table());
        }
        let listener = self.listener(address, kind).unwrap_or_else(|| {
            // It is being removed. Its connections end with their next response.
            let table = Rc::new(connection.table.clone());
            let removed = OpenListener::new(sent, table);
            removed.close();
            Rc::new(removed)
        });
        accept::take(&self.context, &listener, connection);
    }

    fn listener(&self, address: SocketAddr, kind: SocketKind) -> Option<Rc<OpenListener>> {
        let is_it = |open: &&OpenSocket| {
            let listener = &open.listener;
            listener.address == address && listener.kind == kind
        };
        Some(self.open.iter().find(is_it)?.listener.clone())
    }

    fn reconcile(&mut self, table: &Rc<Arc<RoutingTable>>) {
        self.close_removed(table);
        let failed_before = std::mem::take(&mut self.failing);
        for listener in table.listeners() {
            if self.is_open(listener.address) {
                continue;
            }
            if let Err(error) = self.open(listener, table) {
                self.note_failure(Protocol::Tcp, error, &failed_before);
            }
        }
        for error in self.udp.reconcile(table) {
            self.note_failure(Protocol::Udp, error, &failed_before);
        }
        self.bound.clear();
    }

    fn is_open(&self, address: SocketAddr) -> bool {
        self.open
            .iter()
            .any(|open| open.listener.address == address)
    }

    /// A socket whose kind changes is closed as well, and opened again.
    fn close_removed(&mut self, table: &Rc<Arc<RoutingTable>>) {
        self.closing.retain(|task| !task.is_finished());
        for OpenSocket { listener, acceptor } in std::mem::take(&mut self.open) {
            if listener.is_in(table) {
                listener.update(table.clone());
                self.open.push(OpenSocket { listener, acceptor });
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
        let acceptor = Acceptor::start(self.context.clone(), listener.clone(), socket);
        self.open.push(OpenSocket { listener, acceptor });
        tracing::debug!(%address, "listening");
        Ok(())
    }

    /// Logs and counts an address when it begins to fail, not at every attempt.
    fn note_failure(
        &mut self,
        protocol: Protocol,
        error: BindError,
        failed_before: &[(Protocol, SocketAddr)],
    ) {
        let BindError { address, source } = error;
        if !failed_before.contains(&(protocol, address)) {
            tracing::error!(%address, protocol = protocol.as_str(), error = %source, "cannot listen");
            self.context.worker.telemetry.refused(Limit::Listen);
        }
        self.failing.push((protocol, address));
    }
}

#[cfg(test)]
pub(crate) mod tests;
