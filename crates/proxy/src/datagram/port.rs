//! A UDP port of one worker: its socket, and the sessions of its clients.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use headgate_table::RoutingTable;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::flow::Flow;
use super::sessions::Sessions;
use super::socket::{Addresses, PortSocket};
use crate::connection::{Handler, WorkerContext};
use crate::limit::Limit;
use crate::process::Permit;
use crate::telemetry::Protocol;
use crate::telemetry::stream_session::{Facts, Session};
use crate::worker::repeat_after_panics;

#[cfg(test)]
mod tests;

/// Datagrams that are received before other tasks get their turn.
pub(super) const BATCH: usize = 64;
/// Most datagrams that are taken from the queue of a port that is to be closed, so that new ones cannot delay the end.
const QUEUED: usize = 4096;
/// How long a port that is to be closed waits for responses.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A UDP port.
pub(super) struct Port<H> {
    pub(super) context: Rc<WorkerContext<H>>,
    pub(super) sessions: Rc<Sessions>,
    pub(super) socket: PortSocket,
    /// The newest known table that contains it, for the sessions of new clients; `None`: it opens no more.
    table: RefCell<Option<Rc<Arc<RoutingTable>>>>,
    flows: RefCell<HashMap<Addresses, Rc<Flow>, RandomState>>,
    /// Sessions, also those that were replaced by another one of their client and have not ended yet.
    open: Cell<usize>,
    /// Its last session ended, or it may have been added to the table or removed.
    changed: Notify,
}

impl<H: Handler> Port<H> {
    /// A port of `table`.
    pub(super) fn new(
        context: Rc<WorkerContext<H>>,
        sessions: Rc<Sessions>,
        socket: PortSocket,
        table: Rc<Arc<RoutingTable>>,
    ) -> Self {
        Self {
            context,
            sessions,
            socket,
            table: RefCell::new(Some(table)),
            flows: RefCell::default(),
            open: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// Notes that it may have been added to the table or removed.
    pub(super) fn table_changed(&self) {
        self.changed.notify_one();
    }

    /// Receives until it is closed.
    pub(super) fn run(self: Rc<Self>) -> impl Future<Output = ()> {
        // The worker does not stop before it is closed.
        let registration = self.context.connections.register();
        async move {
            let worker = self.context.worker.clone();
            repeat_after_panics(&worker, async || self.receive_until_closed().await).await;
            tracing::debug!(address = %self.socket.address, "stopped receiving datagrams");
            drop(registration);
        }
    }

    /// Receives until it is not in the table any more, and then until its sessions have ended; after [`DRAIN_TIMEOUT`] it
    /// ends them. It goes on if it is in the table again.
    async fn receive_until_closed(self: &Rc<Self>) {
        let mut deadline = None;
        loop {
            if let Some(table) = self.wanted() {
                self.table.replace(Some(table));
                deadline = None;
            } else {
                self.close_to_new_clients();
                if self.open.get() == 0 {
                    return;
                }
                deadline = deadline.or_else(|| Some(Instant::now() + DRAIN_TIMEOUT));
            }
            tokio::select! {
                biased;
                () = self.changed.notified() => {}
                () = until(deadline) => {
                    self.flows.borrow().values().for_each(|flow| flow.end());
                    deadline = None;
                }
                ready = self.socket.readable() => self.receive(ready).await,
            }
        }
    }

    /// The current table, if it opens sessions for new clients.
    fn wanted(&self) -> Option<Rc<Arc<RoutingTable>>> {
        let table = self.context.worker.table();
        (!self.sessions.is_closed() && self.is_in(&table)).then_some(table)
    }

    fn is_in(&self, table: &RoutingTable) -> bool {
        table.udp_listener(self.socket.address).is_some()
    }

    /// The table for the sessions of new clients: the current one, or until it is closed to them the last one that contains it.
    fn table(&self) -> Option<Rc<Arc<RoutingTable>>> {
        let known = self.table.borrow().clone()?;
        let current = self.context.worker.table();
        Some(if self.is_in(&current) { current } else { known })
    }

    /// Opens no more sessions, after those for the datagrams that the kernel has received already: closing the socket would
    /// lose them.
    fn close_to_new_clients(self: &Rc<Self>) {
        if self.table.borrow().is_some() {
            self.receive_batch(QUEUED, |buffer| self.socket.receive_now(buffer));
            self.table.take();
        }
    }

    async fn receive(self: &Rc<Self>, ready: io::Result<()>) {
        if let Err(error) = ready {
            tracing::warn!(address = %self.socket.address, %error, "cannot receive datagrams");
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if self.receive_batch(BATCH, |buffer| self.socket.try_receive(buffer)) {
            tokio::task::yield_now().await;
        }
    }

    /// Receives up to `most` datagrams. Whether there may be more.
    fn receive_batch(
        self: &Rc<Self>,
        most: usize,
        receive: impl Fn(&mut [u8]) -> io::Result<(usize, Addresses)>,
    ) -> bool {
        for _ in 0..most {
            let received = self.context.worker.relay.with_buffer(|buffer| {
                let (length, addresses) = receive(buffer)?;
                let bytes = buffer.get(..length).unwrap_or_default();
                self.handle(bytes, addresses);
                io::Result::Ok(())
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An error of one datagram.
                Ok(()) | Err(_) => {}
            }
        }
        true
    }

    /// Handles a datagram of a client.
    fn handle(self: &Rc<Self>, bytes: &[u8], addresses: Addresses) {
        let table = self.table();
        let known = self.flows.borrow().get(&addresses).cloned();
        if let Some(flow) = known {
            if table.as_ref().is_none_or(|table| flow.is_current(table)) {
                return flow.request(bytes);
            }
            flow.end();
        }
        if let Some(table) = table {
            self.open(bytes, addresses, table);
        }
    }

    /// Opens a session with its first datagram.
    fn open(self: &Rc<Self>, bytes: &[u8], addresses: Addresses, table: Rc<Arc<RoutingTable>>) {
        let worker = &self.context.worker;
        let Some(listener) = table.udp_listener(self.socket.address) else {
            return;
        };
        let (client, _) = addresses;
        // A response to port 0 cannot be sent, and one to a port of this process would be forwarded again.
        if client.port() == 0 || worker.shared.upstream.local.has_udp(client) {
            return worker.telemetry.refused(Limit::Datagram);
        }
        let process = &self.context.process;
        let new_permit = || process.permit(worker.index, worker.max_connections());
        let Some(permit) = self.sessions.admit(new_permit) else {
            return worker.telemetry.refused(Limit::UdpSessions);
        };
        let backends = listener.backends.clone();
        let flow = Rc::new(self.flow(addresses, permit));
        flow.request(bytes);
        let open = Guard::new(self.clone(), flow.clone());
        self.flows.borrow_mut().insert(addresses, flow.clone());
        tokio::task::spawn_local(flow.run(open, backends, table));
    }

    fn flow(&self, addresses: Addresses, permit: Permit) -> Flow {
        let serial = self.sessions.next_serial();
        Flow::new(self.session(addresses), addresses, serial, permit)
    }

    fn session(&self, (client, local): Addresses) -> Session {
        let address = self.socket.address;
        let local = local.unwrap_or_else(|| address.ip());
        let facts = Facts {
            protocol: Protocol::Udp,
            peer: client,
            client,
            local: SocketAddr::new(local, address.port()),
            proxied: None,
            id: self.context.process.next_serial(),
            logged: true,
        };
        Session::new(facts, self.context.worker.telemetry.clone())
    }
}

/// Returns at `deadline`, if there is one.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Counts an open session, and removes it when it is dropped.
pub(super) struct Guard<H: Handler> {
    port: Rc<Port<H>>,
    flow: Rc<Flow>,
}

impl<H: Handler> Guard<H> {
    fn new(port: Rc<Port<H>>, flow: Rc<Flow>) -> Self {
        port.sessions.begin(flow.clone());
        port.open.set(port.open.get() + 1);
        Self { port, flow }
    }

    pub(super) fn port(&self) -> &Port<H> {
        &self.port
    }
}

impl<H: Handler> Drop for Guard<H> {
    fn drop(&mut self) {
        let Self { port, flow } = self;
        port.sessions.ended(flow.serial);
        let mut flows = port.flows.borrow_mut();
        // Another session of the client may have replaced it.
        if flows
            .get(&flow.addresses)
            .is_some_and(|open| Rc::ptr_eq(open, flow))
        {
            flows.remove(&flow.addresses);
        }
        port.open.set(port.open.get().saturating_sub(1));
        if port.open.get() == 0 {
            port.changed.notify_one();
        }
    }
}
