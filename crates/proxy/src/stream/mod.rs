//! TCP sessions: connections whose bytes are forwarded to an endpoint, with TLS as it is, terminated or originated.

mod choose;
mod connecting;
mod relay;
mod secure;

#[cfg(test)]
pub(crate) mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headgate_table::{RoutingTable, Split};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

pub(crate) use self::choose::{by_dice, choose};
use self::relay::{Bounds, End, Relay};
pub(crate) use self::secure::TerminatedStream;
use crate::drain::Registration;
use crate::process::Permit;
use crate::proxy_protocol;
use crate::telemetry::ConnectionGuard;
use crate::telemetry::stream_session::{BAD_GATEWAY, Direction, Session};
use crate::upstream::{RawConnection, RawIo};
use crate::worker::{CountPanic, Worker};

/// Bound on sending an endpoint its first bytes.
const FIRST_BYTES: Duration = Duration::from_secs(60);
/// Interval of keep-alive probes, that of Go's TCP connections.
const PROBES: Duration = Duration::from_secs(15);

/// A TCP connection that is forwarded.
pub(crate) struct Stream {
    pub(crate) io: TcpStream,
    /// Bytes that were read already.
    pub(crate) ahead: Bytes,
    /// The backends to choose from.
    pub(crate) backends: Arc<Split>,
    /// The endpoint receives a PROXY header.
    pub(crate) sends_proxy: bool,
    pub(crate) kind: Kind,
    /// The table that `backends` is from, until an upstream is chosen.
    pub(crate) table: Option<Rc<Arc<RoutingTable>>>,
    pub(crate) session: Session,
    pub(crate) held: Held,
}

/// Held to the end of a connection.
pub(crate) type Held = (ConnectionGuard, Registration, Permit);

/// A stream with its endpoint.
struct OpenStream {
    client: TcpStream,
    endpoint: RawConnection,
    bounds: Bounds,
    session: Session,
    _held: Held,
}

/// Where a session goes.
#[derive(Clone, Copy)]
struct Destination<'s> {
    /// The backends to choose from.
    backends: &'s Arc<Split>,
    session: &'s Session,
    /// Its bytes are TLS already.
    is_tls: bool,
}

/// What is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A TCP service. Silence of both sides ends a session after the idle timeout of streams.
    Service,
    /// TLS by its server name. Silence alone ends no session, as long as both sides are reachable and have not closed their
    /// direction.
    Passthrough,
}

/// A connection that may be of TCP: only such are forwarded, as the kernel moves their bytes.
pub(crate) trait IntoTcp {
    /// The TCP connection.
    fn into_tcp(self) -> Option<TcpStream>;
}

impl IntoTcp for TcpStream {
    fn into_tcp(self) -> Option<TcpStream> {
        Some(self)
    }
}

#[cfg(test)]
impl IntoTcp for tokio::io::DuplexStream {
    fn into_tcp(self) -> Option<TcpStream> {
        None
    }
}

impl Stream {
    /// Forwards in a task of its own, to the end of the session. Without an endpoint the connection is closed.
    pub(crate) fn spawn(self, worker: Rc<Worker>) {
        tokio::task::spawn_local(self.task(worker));
    }

    fn task(self, worker: Rc<Worker>) -> impl Future<Output = ()> {
        // In memory of its own, which is released when the endpoint is connected: a task keeps its size to its end.
        let opening = Box::pin(self.open(worker.clone()));
        async move {
            let counted = CountPanic(worker);
            let Some(mut open) = opening.await else {
                return;
            };
            let (traffic, tools) = (&open.session.traffic, &counted.0.relay);
            match &mut open.endpoint.io {
                RawIo::Plain(endpoint) => {
                    let bounds = (&open.bounds, tools);
                    Relay::new(&open.client, endpoint, traffic, bounds)
                        .run()
                        .await;
                }
                // Boxed, as most streams have no TLS of their own.
                RawIo::Tls(endpoint) => {
                    let bounds = (open.bounds.silence, tools);
                    let relay = secure::relay(&mut open.client, endpoint, traffic, bounds);
                    if Box::pin(relay).await == End::Reset {
                        secure::reset(&open.client);
                        secure::reset(endpoint.get_ref().0);
                    }
                }
            }
        }
    }

    /// Connects to an endpoint, and sends it what precedes the bytes that are still to be read.
    async fn open(mut self, worker: Rc<Worker>) -> Option<OpenStream> {
        let table = self.table.take()?;
        let idle_timeout = table.settings.streams.idle_timeout;
        let mut endpoint = connecting::connect(&self, table, &worker).await?;
        let Self {
            io,
            ahead,
            sends_proxy,
            kind,
            session,
            held,
            ..
        } = self;
        let mut first = BytesMut::new();
        if sends_proxy {
            let (client, local) = (session.facts.client, session.facts.local);
            first.extend_from_slice(proxy_protocol::version1(client, local).as_bytes());
        }
        if !ahead.is_empty() {
            session.traffic.read(Direction::ToEndpoint, ahead.len());
            first.extend_from_slice(&ahead);
        }
        if let Err(error) = secure::send(&mut endpoint.io, &first, &session.traffic).await {
            tracing::debug!(%error, "a stream broke");
            session.status.set(BAD_GATEWAY);
            // What broke already cannot be reset any more.
            let _ = io.set_zero_linger();
            return None;
        }
        let bounds = match kind {
            Kind::Service => Bounds::silent(idle_timeout),
            Kind::Passthrough => {
                probe(&io);
                if let RawIo::Plain(endpoint) = &endpoint.io {
                    probe(endpoint);
                }
                Bounds::reachable(idle_timeout)
            }
        };
        Some(OpenStream {
            client: io,
            endpoint,
            bounds,
            session,
            _held: held,
        })
    }
}

/// Probes a connection that may be silent for ever, so that it ends when its peer is gone.
fn probe(stream: &TcpStream) {
    let probes = TcpKeepalive::new().with_time(PROBES).with_interval(PROBES);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "no TCP keep-alive probes");
    }
}
