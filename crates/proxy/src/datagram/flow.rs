//! A UDP session: the datagrams of one client, and those that an endpoint sends in response.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use headgate_table::{Endpoints, RoutingTable, Split, Upstream, UpstreamKey};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::port::{BATCH, Guard, Port};
use super::socket::Addresses;
use crate::connection::Handler;
use crate::process::Permit;
use crate::stream::choose;
use crate::telemetry::stream_session::{BAD_GATEWAY, Direction, OK, Session};
use crate::upstream::Tries;
use crate::worker::CountPanic;

/// Datagrams that are kept until the first response, to send them to another endpoint if this one refuses them.
const BUFFERED: usize = 8;
/// Their bytes.
const BUFFERED_BYTES: usize = 16 << 10;

/// A session.
pub(super) struct Flow {
    pub(super) session: Session,
    pub(super) addresses: Addresses,
    /// Serial number in its worker.
    pub(super) serial: u64,
    /// Until it ends, or another session takes it.
    pub(super) permit: Cell<Option<Permit>>,
    /// To the endpoint, once there is one.
    endpoint: RefCell<Option<Connected>>,
    /// The first datagrams, until there is a response.
    buffered: RefCell<Vec<Bytes>>,
    /// Datagrams of the client.
    requests: Cell<u64>,
    /// Datagrams of the endpoint.
    responses: Cell<u64>,
    /// Sending to the endpoint failed.
    failed: Cell<bool>,
    failure: Notify,
    /// It ends now.
    ended: Cell<bool>,
    ending: Notify,
}

/// The socket to an endpoint.
struct Connected {
    socket: Rc<UdpSocket>,
    upstream: UpstreamKey,
    /// The newest table in which the upstream has the endpoint.
    generation: u64,
}

/// How a conversation with an endpoint ended.
enum End {
    /// With the session.
    Over,
    /// The endpoint refuses datagrams, and has sent none.
    Refused,
}

impl Flow {
    pub(super) fn new(session: Session, addresses: Addresses, serial: u64, permit: Permit) -> Self {
        Self {
            session,
            addresses,
            serial,
            permit: Cell::new(Some(permit)),
            endpoint: RefCell::default(),
            buffered: RefCell::default(),
            requests: Cell::new(0),
            responses: Cell::new(0),
            failed: Cell::new(false),
            failure: Notify::new(),
            ended: Cell::new(false),
            ending: Notify::new(),
        }
    }

    /// Sends a datagram of the client to the endpoint, or keeps it until there is one. What cannot be sent or kept is lost,
    /// as on any network.
    pub(super) fn request(&self, bytes: &[u8]) {
        self.session
            .traffic
            .read(Direction::ToEndpoint, bytes.len());
        self.requests.set(self.requests.get() + 1);
        if self.responses.get() == 0 {
            let mut buffered = self.buffered.borrow_mut();
            let held: usize = buffered.iter().map(Bytes::len).sum();
            if buffered.len() < BUFFERED && held + bytes.len() <= BUFFERED_BYTES {
                buffered.push(Bytes::copy_from_slice(bytes));
            }
        }
        let endpoint = self.endpoint.borrow();
        if let Some(endpoint) = &*endpoint {
            self.send(&endpoint.socket, bytes);
        }
    }

    fn send(&self, socket: &UdpSocket, bytes: &[u8]) {
        match socket.try_send(bytes) {
            Ok(sent) => self.session.traffic.written(Direction::ToEndpoint, sent),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => {
                self.failed.set(true);
                self.failure.notify_one();
            }
        }
    }

    /// Whether the endpoint is still one of its upstream in `table`. Another one is chosen for a client that goes on sending
    /// after its endpoint is gone.
    pub(super) fn is_current(&self, table: &RoutingTable) -> bool {
        let mut endpoint = self.endpoint.borrow_mut();
        let Some(connected) = &mut *endpoint else {
            return true;
        };
        if connected.generation == table.generation {
            return true;
        }
        let Ok(peer) = connected.socket.peer_addr() else {
            return false;
        };
        let upstream = table.upstream(&connected.upstream);
        let is_current = upstream.is_some_and(|upstream| match &upstream.endpoints {
            Endpoints::Addresses(addresses) => addresses.contains(&peer),
            Endpoints::Name { .. } => true,
            Endpoints::None(_) => false,
        });
        if is_current {
            connected.generation = table.generation;
        }
        is_current
    }

    pub(super) fn is_answered(&self) -> bool {
        self.responses.get() > 0
    }

    /// Ends it now, whatever it waits for.
    pub(super) fn end(&self) {
        self.ended.set(true);
        self.ending.notify_one();
    }

    async fn until_ended(&self) {
        while !self.ended.get() {
            self.ending.notified().await;
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.buffered.borrow().len()
    }

    #[cfg(test)]
    pub(super) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether the endpoint has sent all the datagrams that are expected.
    fn is_complete(&self, expected: u32) -> bool {
        let expected = u64::from(expected).saturating_mul(self.requests.get());
        self.responses.get() >= expected
    }

    /// The status with which it ends now.
    fn status<H: Handler>(&self, port: &Port<H>) -> u16 {
        let expected = port.context.worker.table().settings.streams.responses;
        match self.is_complete(expected) {
            true => OK,
            false => BAD_GATEWAY,
        }
    }

    /// Serves it to its end.
    pub(super) async fn run<H: Handler>(
        self: Rc<Self>,
        open: Guard<H>,
        backends: Arc<Split>,
        table: Rc<Arc<RoutingTable>>,
    ) {
        let port = open.port();
        let _counted = CountPanic(port.context.worker.clone());
        let status = tokio::select! {
            biased;
            () = self.until_ended() => self.status(port),
            status = self.serve(port, &backends, table) => status,
        };
        self.session.status.set(status);
    }

    /// Returns its status.
    async fn serve<H: Handler>(
        &self,
        port: &Port<H>,
        backends: &Split,
        table: Rc<Arc<RoutingTable>>,
    ) -> u16 {
        let worker = &port.context.worker;
        let Some(upstream) = choose(backends, &table, &worker.upstreams).cloned() else {
            return BAD_GATEWAY;
        };
        let tries = Tries::new(&table.settings.streams);
        let generation = table.generation;
        drop(table);
        self.session
            .upstream
            .replace(Some(upstream.log_name.clone()));
        loop {
            let Some(socket) = self.connect(port, &upstream, tries).await else {
                return BAD_GATEWAY;
            };
            self.failed.set(false);
            let socket = Rc::new(socket);
            for datagram in self.buffered.borrow().iter() {
                self.send(&socket, datagram);
            }
            self.endpoint.replace(Some(Connected {
                socket: socket.clone(),
                upstream: upstream.key.clone(),
                generation,
            }));
            match self.converse(port, &socket).await {
                End::Refused => drop(self.endpoint.take()),
                End::Over => return self.status(port),
            }
        }
    }

    async fn connect<H: Handler>(
        &self,
        port: &Port<H>,
        upstream: &Arc<Upstream>,
        tries: Tries,
    ) -> Option<UdpSocket> {
        let upstreams = &port.context.worker.upstreams;
        let client = self.session.facts.client.ip();
        let make_room = async || {
            let made = port.sessions.end_unanswered(self.serial).is_some();
            // Lets that session end.
            yield_now().await;
            made
        };
        let attempts = &self.session.attempts;
        let socket = upstreams.connect_datagrams(upstream, (client, tries), attempts, make_room);
        Box::pin(socket)
            .await
            .inspect_err(
                |error| tracing::debug!(upstream = %upstream.key, %error, "no endpoint for datagrams"),
            )
            .ok()
    }

    /// Sends the datagrams of the endpoint to the client.
    async fn converse<H: Handler>(&self, port: &Port<H>, socket: &UdpSocket) -> End {
        let settings = port.context.worker.table().settings.clone();
        let (idle, expected) = (settings.streams.idle_timeout, settings.streams.responses);
        drop(settings);
        let mut silence = pin!(self.session.traffic.silence(idle));
        loop {
            if self.is_complete(expected) {
                return End::Over;
            }
            if self.failed.take() {
                return self.broken();
            }
            tokio::select! {
                () = self.failure.notified() => {}
                ready = socket.ready(Interest::READABLE | Interest::ERROR) => {
                    let passed = ready.and_then(|ready| {
                        if ready.is_error() {
                            refusal(socket)?;
                        }
                        self.respond(port, socket, expected)
                    });
                    if passed.is_err() {
                        return self.broken();
                    }
                    // Others get their turn, however much the endpoint sends.
                    yield_now().await;
                }
                () = &mut silence => return End::Over,
            }
        }
    }

    fn broken(&self) -> End {
        match self.is_answered() {
            true => End::Over,
            false => End::Refused,
        }
    }

    /// Passes on what the endpoint has sent, up to a batch and to what is expected.
    pub(super) fn respond<H: Handler>(
        &self,
        port: &Port<H>,
        socket: &UdpSocket,
        expected: u32,
    ) -> io::Result<()> {
        let traffic = &self.session.traffic;
        for _ in 0..BATCH {
            if self.is_complete(expected) {
                break;
            }
            let passed = port.context.worker.relay.with_buffer(|buffer| {
                let length = socket.try_recv(buffer)?;
                traffic.read(Direction::ToClient, length);
                let bytes = buffer.get(..length).unwrap_or_default();
                // What cannot be sent is lost, as on any network.
                if port.socket.try_send(bytes, self.addresses).is_ok() {
                    traffic.written(Direction::ToClient, length);
                }
                io::Result::Ok(())
            });
            match passed {
                Ok(()) => {
                    if self.responses.replace(self.responses.get() + 1) == 0 {
                        self.buffered.take();
                        port.sessions.answered(self.serial);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The error that the network has reported, such as that no process listens at the endpoint: such a socket is not readable.
///
/// # Errors
/// That one.
fn refusal(socket: &UdpSocket) -> io::Result<()> {
    let reported = socket.try_io(Interest::ERROR, || match socket.take_error()? {
        Some(error) => Err(error),
        // Forgets that there was one.
        None => Err(io::ErrorKind::WouldBlock.into()),
    });
    match reported {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        reported => reported,
    }
}
