//! A client connection from its first byte to its last: PROXY header, TLS, choice of protocol, and the HTTP drivers.
//!
//! `pipeline` decides the response to a request; this module enforces what all requests of a connection share: bounds,
//! deadlines, framing, and when the connection ends.

mod activity;
mod closing;
mod deadline;
mod fault;
mod frames;
mod http1;
mod http2;
mod io;
mod limits;
mod local;
mod opening;
mod openings;
mod session;
mod streams;
mod tracked;

#[cfg(test)]
pub(crate) mod tests;

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use headgate_http1::{Coded, Io};
use headgate_table::{RoutingTable, Settings, Socket, SocketKind, StreamRoute, TlsRoute};
use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout};

use self::activity::Activity;
use self::opening::{Opening, Protocol};
pub(crate) use self::openings::Openings;
use self::openings::{Opens, Stopped};
pub(crate) use self::session::{Handler, Pipeline};
use self::session::{Session, boxed, jittered};
use crate::buffers::ConnectionBuffers;
use crate::downstream::{Downstream, TlsFacts};
use crate::drain::{Connections, Registration};
use crate::handover::Workers;
use crate::limit::Limit;
use crate::open_listener::OpenListener;
use crate::process::{Permit, Process};
use crate::stream::{IntoTcp, Kind, Stream, TerminatedStream};
use crate::telemetry::{ConnectionGuard, ConnectionState, Protocol as Transport, stream_session};
use crate::tls;
use crate::values::Proxied;
use crate::worker::{CountPanic, Worker};

/// What the connections of one worker share.
pub(crate) struct WorkerContext<H> {
    pub(crate) handler: H,
    pub(crate) worker: Rc<Worker>,
    /// Shared with the connections of other workers.
    pub(crate) process: Arc<Process>,
    /// All workers, for connections that another one serves.
    pub(crate) workers: Workers,
    pub(crate) connections: Rc<Connections>,
    /// Connections without TLS whose first bytes have not arrived.
    pub(crate) silent: Rc<Openings>,
    /// Connections in their TLS handshake.
    pub(crate) handshakes: Rc<Openings>,
}

/// A connection that was just accepted.
pub(crate) struct Accepted<S> {
    pub(crate) stream: S,
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The proxy's address.
    pub(crate) local: SocketAddr,
    /// The listener that accepted it.
    pub(crate) listener: Rc<OpenListener>,
    /// Held to the end of the connection.
    pub(crate) permit: Permit,
}

/// Serves a connection to its end, in a task of its own. It is registered before the task runs for the first time, so that a
/// drain waits for it.
pub(crate) fn spawn<S, H>(context: Rc<WorkerContext<H>>, accepted: Accepted<S>)
where
    S: Io + IntoTcp + 'static,
    H: Handler,
{
    let worker = context.worker.clone();
    let gauge = worker.telemetry.connection();
    let registration = context.connections.register();
    let Accepted {
        stream,
        peer,
        local,
        listener,
        permit,
    } = accepted;
    let settings = listener.table(&worker).settings.clone();
    let start = Start {
        context,
        settings,
        gauge,
        registration,
        permit,
        peer,
        local,
        listener,
        proxied: None,
    };
    let opening = Opening::new(stream);
    let open: Pin<Box<dyn Future<Output = Opened>>> = match start.listener.kind {
        SocketKind::Http => boxed(|| start.open_plain(opening)),
        SocketKind::Tls => boxed(|| start.open_tls(opening)),
        SocketKind::Stream => boxed(|| start.open_stream(opening)),
    };
    // A panic of the task ends no other.
    tokio::task::spawn_local(async move {
        let counted = CountPanic(worker);
        // The memory of the beginning, which is most, is freed before the rest.
        let opened = open.await;
        match opened {
            Ok(serve) => serve.await,
            Err(NotServed::Refused(limit)) => counted.0.telemetry.refused(limit),
            Err(NotServed::Silent | NotServed::Forwarded) => {}
        }
    });
}

/// What serves a connection whose protocol is known, to its end.
type Serve = Pin<Box<dyn Future<Output = ()>>>;

/// The result of the beginning of a connection.
type Opened = Result<Serve, NotServed>;

/// A connection that does not speak HTTP yet.
struct Start<H> {
    context: Rc<WorkerContext<H>>,
    settings: Arc<Settings>,
    gauge: ConnectionGuard,
    registration: Registration,
    permit: Permit,
    peer: SocketAddr,
    local: SocketAddr,
    listener: Rc<OpenListener>,
    proxied: Option<Proxied>,
}

/// Why the task of the connection ends before its first request.
enum NotServed {
    /// Another task forwards it.
    Forwarded,
    /// The client closed it, or sent nothing in time: it is closed like an idle one, without a response.
    Silent,
    /// The limit that refused it.
    Refused(Limit),
}

/// A handshake that is not complete.
impl From<Stopped> for NotServed {
    fn from(stopped: Stopped) -> Self {
        Self::Refused(match stopped {
            Stopped::Late => Limit::Handshake,
            Stopped::Displaced => Limit::Handshakes,
        })
    }
}

impl<H: Handler> Start<H> {
    /// Reads the PROXY header if it is required: its addresses, if its sender is trusted (behaviour.md 3.3).
    async fn read_proxy_header<S: AsyncRead + Unpin>(
        &mut self,
        opening: &mut Opening<S>,
    ) -> Result<(), NotServed> {
        let forwarded = &self.settings.forwarded;
        if !forwarded.proxy_protocol {
            return Ok(());
        }
        let trusted = forwarded.trusted.contains(self.peer.ip());
        match timeout(forwarded.proxy_protocol_timeout, opening.proxy_header()).await {
            Ok(Ok(proxied)) => {
                self.proxied = proxied.filter(|_| trusted);
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(NotServed::Refused(Limit::ProxyProtocol)),
        }
    }

    /// Counts the connection for its client, unless that has too many.
    fn admit(&mut self, client: SocketAddr) -> Result<(), NotServed> {
        let max = self.context.worker.max_connections();
        let each = self.settings.client.connections_per_client;
        match self.permit.count_for(client.ip(), each, max) {
            true => Ok(()),
            false => Err(NotServed::Refused(Limit::ClientConnections)),
        }
    }

    /// The client, by the PROXY header if there is one.
    fn client(&self) -> SocketAddr {
        self.proxied.map_or(self.peer, |proxied| proxied.source)
    }

    /// Among `openings` of which there may be `most`; while connections are short there do not become more.
    fn opens(&self, openings: &Rc<Openings>, most: usize) -> Opens {
        let most = match self.context.worker.shedding.current().idle {
            true => most.min(openings.count()),
            false => most,
        };
        openings.begin(self.client().ip().into(), most)
    }

    async fn open_plain<S>(mut self, mut opening: Opening<S>) -> Opened
    where
        S: Io + 'static,
    {
        self.read_proxy_header(&mut opening).await?;
        self.admit(self.client())?;
        let opens = self.opens(&self.context.silent, usize::MAX);
        let deadline = Instant::now() + self.settings.client.first_byte_timeout();
        let protocol = opening.protocol(self.settings.http2);
        let protocol = match opens.step(deadline, protocol).await {
            Ok(Ok(protocol)) => protocol,
            Err(Stopped::Displaced) => return Err(NotServed::Refused(Limit::Connections)),
            Ok(Err(_)) | Err(Stopped::Late) => return Err(NotServed::Silent),
        };
        drop(opens);
        let (transport, activity) = opening.transport();
        let handler = self.context.handler.clone();
        let session = self.session(activity, None);
        Ok(match protocol {
            Protocol::Http1 => boxed(|| http1::serve(session, handler, transport)),
            Protocol::Http2 => boxed(|| http2::serve(session, handler, transport)),
        })
    }

    async fn open_tls<S>(mut self, mut opening: Opening<S>) -> Opened
    where
        S: Io + IntoTcp + 'static,
    {
        self.read_proxy_header(&mut opening).await?;
        self.admit(self.client())?;
        let most = self.context.worker.max_handshakes();
        let opens = self.opens(&self.context.handshakes, most);
        let deadline = Instant::now() + self.settings.client.first_byte_timeout();
        let first = match opens.step(deadline, opening.first_byte()).await {
            Ok(Ok(first)) => first,
            Err(Stopped::Displaced) => return Err(NotServed::Refused(Limit::Handshakes)),
            Ok(Err(_)) | Err(Stopped::Late) => return Err(NotServed::Silent),
        };
        // No TLS record begins with a letter, but every HTTP method does.
        let is_http = first.is_ascii_alphabetic();
        // If some names are passed through, the ClientHello is read ahead; else the handshake alone reads it.
        let passes_through = |socket: &Socket| Some(socket.tls()?.passes_through());
        if !is_http && self.of_socket(passes_through) == Some(true) {
            let name = opens.step(deadline, opening.server_name()).await?;
            let name = name.map_err(|_| NotServed::Refused(Limit::Handshake))?;
            let split =
                |socket: &Socket| socket.tls()?.route(name.as_deref()).passthrough().cloned();
            if let Some((backends, table)) = self.with_table(split) {
                let session = self.stream_session((self.client(), self.proxied), false);
                let route = StreamRoute::plain(backends);
                self.forward(opening, (route, Kind::Passthrough), table, session);
                return Err(NotServed::Forwarded);
            }
        }
        let (mut transport, activity) = opening.transport();
        if is_http {
            drop(opens);
            Box::pin(closing::respond(&mut transport, opening::plain_http_page())).await;
            return Err(NotServed::Refused(Limit::PlainHttp));
        }
        let mut forwarded = None;
        let route = |name: Option<&str>| {
            let find = |socket: &Socket| Some(socket.tls()?.route(name).clone());
            let (route, table) = self.with_table(find)?;
            if let TlsRoute::Stream { backends, .. } = &route {
                forwarded = Some((backends.clone(), table));
            }
            Some(route)
        };
        let handshake = Box::pin(tls::handshake(transport, &self.settings, route));
        let handshake = opens.step(deadline, handshake).await?;
        let handshake = handshake.map_err(|_| NotServed::Refused(Limit::Handshake))?;
        drop(opens);
        if let Some((backends, table)) = forwarded {
            self.gauge.enter(ConnectionState::Writing);
            let stream = TerminatedStream {
                client: handshake.stream,
                backends,
                session: self.stream_session((self.client(), self.proxied), true),
                held: (self.gauge, self.registration, self.permit),
            };
            let worker = self.context.worker.clone();
            return Ok(boxed(|| async move { stream.serve(table, &worker).await }));
        }
        let handler = self.context.handler.clone();
        let session = self.session(activity, Some(handshake.facts));
        Ok(match handshake.http2 {
            true => boxed(|| http2::serve(session, handler, handshake.stream)),
            false => boxed(|| http1::serve(session, handler, Coded(handshake.stream))),
        })
    }

    /// A listener for streams (behaviour.md 12).
    async fn open_stream<S>(mut self, mut opening: Opening<S>) -> Opened
    where
        S: AsyncRead + IntoTcp + Unpin,
    {
        let found = self.with_table(|socket| socket.stream().cloned());
        let Some((route, table)) = found else {
            return Err(NotServed::Silent);
        };
        let mut session = self.stream_session((self.peer, None), true);
        if route.accepts_proxy {
            let proxied = opening::stream_proxy_header(&mut opening, &session).await?;
            session.facts.proxied = proxied;
            let forwarded = &self.settings.forwarded;
            let trusted = forwarded.real_ip && forwarded.trusted.contains(self.peer.ip());
            if let Some(proxied) = proxied.filter(|_| trusted) {
                session.facts.client = proxied.source;
            }
        }
        self.admit(session.facts.client)?;
        self.forward(opening, (route, Kind::Service), table, session);
        Err(NotServed::Forwarded)
    }

    /// A session of this connection. `client` with the PROXY header that it is from.
    fn stream_session(
        &self,
        (client, proxied): (SocketAddr, Option<Proxied>),
        logged: bool,
    ) -> stream_session::Session {
        let facts = stream_session::Facts {
            protocol: Transport::Tcp,
            peer: self.peer,
            client,
            local: self.local,
            proxied,
            id: self.context.process.next_serial(),
            logged,
        };
        stream_session::Session::new(facts, self.context.worker.telemetry.clone())
    }

    /// Forwards the connection to an endpoint, in a task of its own.
    fn forward<S: AsyncRead + IntoTcp + Unpin>(
        self,
        opening: Opening<S>,
        (route, kind): (StreamRoute, Kind),
        table: Rc<Arc<RoutingTable>>,
        session: stream_session::Session,
    ) {
        let (io, ahead) = opening.into_parts();
        let Some(io) = io.into_tcp() else {
            return;
        };
        self.gauge.enter(ConnectionState::Writing);
        let stream = Stream {
            io,
            ahead,
            backends: route.backends,
            sends_proxy: route.sends_proxy,
            kind,
            table: Some(table),
            session,
            held: (self.gauge, self.registration, self.permit),
        };
        stream.spawn(self.context.worker.clone());
    }

    /// The result of `find` for the listener's socket in the current table, with that table.
    fn with_table<T>(
        &self,
        find: impl FnOnce(&Socket) -> Option<T>,
    ) -> Option<(T, Rc<Arc<RoutingTable>>)> {
        let table = self.listener.table(&self.context.worker);
        let found = find(&table.listener(self.listener.address)?.socket)?;
        Some((found, table))
    }

    /// The result of `find` for the listener's socket in the current table.
    fn of_socket<T>(&self, find: impl FnOnce(&Socket) -> Option<T>) -> Option<T> {
        let table = self.listener.table(&self.context.worker);
        find(&table.listener(self.listener.address)?.socket)
    }

    fn session(self, activity: Rc<Activity>, tls: Option<TlsFacts>) -> Session {
        let downstream = Downstream {
            worker: self.context.worker.clone(),
            tcp_peer: self.peer,
            listener: self.listener,
            local: self.local,
            tls,
            proxied: self.proxied,
            id: self.context.process.next_serial(),
            requests: Cell::new(0),
        };
        tracing::debug!(
            connection = downstream.id,
            peer = %downstream.tcp_peer,
            tls = ?downstream.tls,
            "a client connected"
        );
        Session {
            downstream: Rc::new(downstream),
            activity,
            buffers: ConnectionBuffers::new(self.context.worker.shared.upstream.buffers.clone()),
            registration: self.registration,
            gauge: self.gauge,
            permit: self.permit,
            expires: Instant::now() + jittered(self.settings.client.connection_age),
            settings: self.settings,
        }
    }
}
