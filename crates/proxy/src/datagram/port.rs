//! A UDP port of one worker: its socket, and the sessions of its clients.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::RandomState;
use headgate_table::RoutingTable;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

use super::flow::Flow;
use super::socket::{Ends, PortSocket};
use crate::connection::{Handler, WorkerContext};
use crate::drain::Registration;
use crate::telemetry::Protocol;
use crate::telemetry::stream_session::{Facts, Session};

/// Datagrams that are received before other tasks get their turn.
const BATCH: usize = 64;
/// How long a closed port waits for responses.
const FAREWELL: Duration = Duration::from_secs(5);

/// A UDP port.
pub(super) struct Port<H> {
    pub(super) context: Rc<WorkerContext<H>>,
    pub(super) shared: Rc<Shared>,
    pub(super) socket: PortSocket,
    flows: RefCell<HashMap<Ends, Rc<Flow>, RandomState>>,
    emptied: Notify,
}

/// What the UDP ports of one worker share: the bound on sessions. Every session is an open file, and anyone can begin one with
/// a forged address.
pub(super) struct Shared {
    most: usize,
    open: Cell<usize>,
    serial: Cell<u64>,
    /// Sessions without a response, oldest first: they end first when there are too many.
    unanswered: RefCell<BTreeMap<u64, Rc<Flow>>>,
}

impl Shared {
    /// With room for `most` sessions.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            open: Cell::new(0),
            serial: Cell::new(0),
            unanswered: RefCell::default(),
        }
    }

    /// A session has its first response.
    pub(super) fn answered(&self, serial: u64) {
        self.unanswered.borrow_mut().remove(&serial);
    }

    /// Whether there is room for another session, if need be after the oldest one without a response has ended.
    fn make_room(&self) -> bool {
        if self.open.get() < self.most {
            return true;
        }
        let oldest = self.unanswered.borrow_mut().pop_first();
        oldest.map(|(_, flow)| flow.end()).is_some()
    }
}

impl<H: Handler> Port<H> {
    pub(super) fn new(
        context: Rc<WorkerContext<H>>,
        shared: Rc<Shared>,
        socket: PortSocket,
    ) -> Self {
        Self {
            context,
            shared,
            socket,
            flows: RefCell::default(),
            emptied: Notify::new(),
        }
    }

    /// Receives until it is stopped, and then until its sessions have ended or [`FAREWELL`] has passed. The registration
    /// keeps the worker from stopping meanwhile.
    pub(super) async fn run(self: Rc<Self>, stopped: oneshot::Receiver<Registration>) {
        let mut stopped = std::pin::pin!(stopped);
        let registration = loop {
            tokio::select! {
                biased;
                registration = &mut stopped => break registration,
                ready = self.socket.readable() => self.receive(ready, true).await,
            }
        };
        let deadline = Instant::now() + FAREWELL;
        while !self.flows.borrow().is_empty() && Instant::now() < deadline {
            tokio::select! {
                () = sleep_until(deadline) => {}
                () = self.emptied.notified() => {}
                ready = self.socket.readable() => self.receive(ready, false).await,
            }
        }
        for flow in self.flows.borrow().values() {
            flow.end();
        }
        while !self.flows.borrow().is_empty() {
            self.emptied.notified().await;
        }
        drop(registration);
    }

    /// Receives a batch of datagrams; `opens`: those of new clients as well.
    async fn receive(self: &Rc<Self>, ready: io::Result<()>, opens: bool) {
        if let Err(error) = ready {
            tracing::warn!(address = %self.socket.address, %error, "cannot receive datagrams");
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for _ in 0..BATCH {
            let received = self.context.worker.relay.with_buffer(|buffer| {
                let (length, ends) = self.socket.try_receive(buffer)?;
                let bytes = buffer.get(..length).unwrap_or_default();
                self.handle(bytes, ends, opens);
                io::Result::Ok(())
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An error of one datagram.
                Ok(()) | Err(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }

    /// Handles a datagram of a client.
    fn handle(self: &Rc<Self>, bytes: &[u8], ends: Ends, opens: bool) {
        let table = self.context.worker.table();
        let known = self.flows.borrow().get(&ends).cloned();
        if let Some(flow) = known {
            if flow.is_current(&table) {
                return flow.request(bytes);
            }
            flow.end();
        }
        if opens {
            self.open(bytes, ends, table);
        }
    }

    /// Opens a session with its first datagram.
    fn open(self: &Rc<Self>, bytes: &[u8], ends: Ends, table: Rc<Arc<RoutingTable>>) {
        let worker = &self.context.worker;
        let Some(listener) = table.udp_listener(self.socket.address) else {
            return;
        };
        let (client, _) = ends;
        // A response to port 0 cannot be sent, and one to a port of this process would be forwarded again.
        if client.port() == 0 || worker.shared.upstream.local.has_udp(client) {
            return worker.telemetry.refused("datagram");
        }
        if !self.shared.make_room() {
            return worker.telemetry.refused("udp_sessions");
        }
        let backends = listener.backends.clone();
        let flow = Rc::new(Flow::new(self.session(ends), ends, self.next_serial()));
        flow.request(bytes);
        self.flows.borrow_mut().insert(ends, flow.clone());
        let mut unanswered = self.shared.unanswered.borrow_mut();
        unanswered.insert(flow.serial, flow.clone());
        let open = Guard::new(self.clone(), flow.clone());
        tokio::task::spawn_local(flow.run(open, backends, table));
    }

    fn next_serial(&self) -> u64 {
        let serial = self.shared.serial.get();
        self.shared.serial.set(serial.wrapping_add(1));
        serial
    }

    fn session(&self, (client, local): Ends) -> Session {
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

/// Counts an open session, and removes it when it is dropped.
pub(super) struct Guard<H: Handler> {
    port: Rc<Port<H>>,
    flow: Rc<Flow>,
}

impl<H: Handler> Guard<H> {
    fn new(port: Rc<Port<H>>, flow: Rc<Flow>) -> Self {
        port.shared.open.set(port.shared.open.get() + 1);
        Self { port, flow }
    }

    pub(super) fn port(&self) -> &Port<H> {
        &self.port
    }
}

impl<H: Handler> Drop for Guard<H> {
    fn drop(&mut self) {
        let Self { port, flow } = self;
        port.shared
            .open
            .set(port.shared.open.get().saturating_sub(1));
        port.shared.answered(flow.serial);
        let mut flows = port.flows.borrow_mut();
        // Another session of the client may have replaced it.
        if flows
            .get(&flow.ends)
            .is_some_and(|open| Rc::ptr_eq(open, flow))
        {
            flows.remove(&flow.ends);
        }
        if flows.is_empty() {
            port.emptied.notify_one();
        }
    }
}
