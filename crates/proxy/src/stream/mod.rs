//! TCP sessions: connections whose bytes are forwarded to an endpoint as they are, including TLS if there is any.

mod choose;
mod relay;

#[cfg(test)]
pub(crate) mod tests;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use headgate_table::{RoutingTable, Split};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

pub(crate) use self::choose::{by_dice, choose};
use self::relay::Bounds;
use crate::drain::Registration;
use crate::process::Permit;
use crate::proxy_protocol;
use crate::telemetry::ConnectionGuard;
use crate::telemetry::stream_session::{BAD_GATEWAY, Direction, Session};
use crate::upstream::Tries;
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
    pub(crate) silence: Silence,
    /// The table that `backends` is from; released when the endpoint is connected.
    pub(crate) table: Rc<Arc<RoutingTable>>,
    pub(crate) session: Session,
    /// Held to the end of the connection.
    pub(crate) held: (ConnectionGuard, Registration, Permit),
}

/// What silence of both sides does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// It ends the session after the idle timeout of streams.
    Ends,
    /// Nothing, as long as both sides are reachable and have not closed their direction.
    Allowed,
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
    /// Forwards in a task of its own, which is much smaller than that of a connection with requests.
    pub(crate) fn spawn(self, worker: Rc<Worker>) {
        tokio::task::spawn_local(async move {
            let _counted = CountPanic(worker.clone());
            self.forward(&worker).await;
        });
    }

    /// Copies bytes both ways to the end of the session. Without an endpoint the connection is closed.
    async fn forward(self, worker: &Worker) {
        let Self {
            io,
            ahead,
            backends,
            sends_proxy,
            silence,
            table,
            session,
            held: _held,
        } = self;
        let idle_timeout = table.settings.streams.idle_timeout;
        let Some(endpoint) = connect(&backends, table, &session, worker).await else {
            session.status.set(BAD_GATEWAY);
            return;
        };
        let mut first = BytesMut::new();
        if sends_proxy {
            let (client, local) = (session.facts.client, session.facts.local);
            first.extend_from_slice(proxy_protocol::version1(client, local).as_bytes());
        }
        if !ahead.is_empty() {
            session.traffic.read(Direction::ToEndpoint, ahead.len());
            first.extend_from_slice(&ahead);
        }
        drop(ahead);
        if let Err(error) = send(&endpoint, first, &session).await {
            tracing::debug!(%error, "a stream broke");
            session.status.set(BAD_GATEWAY);
            // What broke already cannot be reset any more.
            let _ = io.set_zero_linger();
            return;
        }
        let bounds = match silence {
            Silence::Ends => Bounds::silent(idle_timeout),
            Silence::Allowed => {
                probe(&io);
                probe(&endpoint);
                Bounds::reachable(idle_timeout)
            }
        };
        relay::relay(&io, &endpoint, &session.traffic, (bounds, &worker.relay)).await;
    }
}

/// A connection to an endpoint of one of the backends.
async fn connect(
    backends: &Split,
    table: Rc<Arc<RoutingTable>>,
    session: &Session,
    worker: &Worker,
) -> Option<TcpStream> {
    let upstreams = &worker.upstreams;
    let upstream = choose(backends, &table, upstreams)?.clone();
    let tries = Tries::new(&table.settings.streams);
    drop(table);
    session.upstream.replace(Some(upstream.log_name.clone()));
    let client = session.facts.client.ip();
    let connected = upstreams.connect_raw(&upstream, client, tries, &session.attempts);
    Box::pin(connected)
        .await
        .inspect_err(|error| {
            tracing::debug!(upstream = %upstream.key, %error, "cannot connect a stream to an endpoint");
        })
        .ok()
}

/// Probes a connection that may be silent for ever, so that it ends when its peer is gone.
fn probe(stream: &TcpStream) {
    let probes = TcpKeepalive::new().with_time(PROBES).with_interval(PROBES);
    if let Err(error) = SockRef::from(stream).set_tcp_keepalive(&probes) {
        tracing::debug!(%error, "no TCP keep-alive probes");
    }
}

/// Sends the first bytes to the endpoint.
async fn send(endpoint: &TcpStream, first: BytesMut, session: &Session) -> io::Result<()> {
    tokio::time::timeout(FIRST_BYTES, write(endpoint, &first, session)).await?
}

async fn write(endpoint: &TcpStream, mut rest: &[u8], session: &Session) -> io::Result<()> {
    while !rest.is_empty() {
        match endpoint.try_write(rest) {
            Ok(written) => {
                session.traffic.written(Direction::ToEndpoint, written);
                rest = rest.get(written..).unwrap_or_default();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => endpoint.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
