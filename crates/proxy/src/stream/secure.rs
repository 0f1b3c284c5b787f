//! TCP sessions with TLS on one or both sides. Their bytes pass through the process; those of others mostly stay in the kernel.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, ready};

use bytes::BytesMut;
use headgate_table::{RoutingTable, Split};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, split};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::relay::End;
use super::{Destination, FIRST_BYTES, Held, connecting};
use crate::pipes::RelayTools;
use crate::telemetry::stream_session::{BAD_GATEWAY, Direction, Session, Traffic};
use crate::upstream::RawIo;
use crate::worker::Worker;

/// Bytes of one read, and thus what is kept for a side that does not read: a TLS record.
const READ: usize = 16 << 10;

/// A connection whose TLS was terminated, and whose bytes are forwarded.
pub(crate) struct TerminatedStream<C> {
    pub(crate) client: C,
    /// The backends to choose from.
    pub(crate) backends: Arc<Split>,
    pub(crate) session: Session,
    #[expect(dead_code, reason = "dropping it has the effect")]
    pub(crate) held: Held,
}

impl<C: AsyncRead + AsyncWrite + Unpin> TerminatedStream<C> {
    /// Forwards to the end of the session. `table` is the one that the backends are from. Without an endpoint the connection is
    /// closed.
    pub(crate) async fn serve(mut self, table: Rc<Arc<RoutingTable>>, worker: &Worker) {
        let idle_timeout = table.settings.streams.idle_timeout;
        let destination = Destination {
            backends: &self.backends,
            session: &self.session,
            is_tls: false,
        };
        let mut first = BytesMut::new();
        let connected = tokio::select! {
            biased;
            connected = Box::pin(connecting::to_endpoint(destination, table, worker)) => connected,
            () = until_broken(&mut self.client, &mut first) => return,
        };
        let Some(mut endpoint) = connected else {
            self.session.status.set(BAD_GATEWAY);
            return;
        };
        let traffic = &self.session.traffic;
        if !first.is_empty() {
            traffic.read(Direction::ToEndpoint, first.len());
        }
        if send(&mut endpoint.io, &first, traffic).await.is_err() {
            self.session.status.set(BAD_GATEWAY);
            return;
        }
        let bounds = (idle_timeout, &worker.relay);
        match &mut endpoint.io {
            RawIo::Plain(endpoint) => {
                if relay(&mut self.client, endpoint, traffic, bounds).await == End::Reset {
                    reset(endpoint);
                }
            }
            RawIo::Tls(endpoint) => {
                if relay(&mut self.client, endpoint, traffic, bounds).await == End::Reset {
                    reset(endpoint.get_ref().0);
                }
            }
        }
    }
}

/// Makes the end of a connection a reset: a clean end would look like the end of the data. What broke already cannot be reset.
pub(super) fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// Reads what the client sends before it has an endpoint, once; returns only if its connection breaks.
async fn until_broken<C: AsyncRead + Unpin>(client: &mut C, first: &mut BytesMut) {
    if client.read_buf(first).await.is_ok() {
        pending().await
    }
}

/// Sends the endpoint its first bytes.
pub(super) async fn send(endpoint: &mut RawIo, first: &[u8], traffic: &Traffic) -> io::Result<()> {
    if first.is_empty() {
        return Ok(());
    }
    let sent = async {
        match endpoint {
            RawIo::Plain(endpoint) => endpoint.write_all(first).await,
            RawIo::Tls(endpoint) => {
                endpoint.write_all(first).await?;
                endpoint.flush().await
            }
        }
    };
    timeout(FIRST_BYTES, sent).await??;
    traffic.written(Direction::ToEndpoint, first.len());
    Ok(())
}

/// Copies both ways until both sides have closed, one breaks, or both are silent for too long. Either side may close first: the
/// other one is told, and may go on sending. TLS that ends without saying so is broken, lest its bytes be taken for all.
pub(super) async fn relay<C, E>(
    client: &mut C,
    endpoint: &mut E,
    traffic: &Traffic,
    (silence, tools): (Duration, &RelayTools),
) -> End
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let (from_client, to_client) = split(client);
    let (from_endpoint, to_endpoint) = split(endpoint);
    let to_endpoint = copy(
        from_client,
        to_endpoint,
        (Direction::ToEndpoint, traffic),
        tools,
    );
    let to_client = copy(
        from_endpoint,
        to_client,
        (Direction::ToClient, traffic),
        tools,
    );
    tokio::select! {
        biased;
        ended = async { tokio::try_join!(to_endpoint, to_client) } => match ended {
            Ok(_) => End::Closed,
            Err(error) => {
                tracing::debug!(%error, "a stream broke");
                End::Reset
            }
        },
        () = traffic.silence(silence) => End::Idle,
    }
}

/// Copies one direction until its end, which it passes on.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (direction, traffic): (Direction, &Traffic),
    tools: &RelayTools,
) -> io::Result<()> {
    loop {
        let bytes = read(&mut from, tools).await?;
        if bytes.is_empty() {
            break;
        }
        traffic.read(direction, bytes.len());
        to.write_all(&bytes).await?;
        to.flush().await?;
        traffic.written(direction, bytes.len());
        traffic.touch();
    }
    traffic.touch();
    match to.shutdown().await {
        // It closed before.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
        shut => shut,
    }
}

/// What one read returns; a session that waits has no buffer.
async fn read(from: &mut (impl AsyncRead + Unpin), tools: &RelayTools) -> io::Result<Vec<u8>> {
    poll_fn(|context| {
        tools.with_buffer(|buffer| {
            let mut read = ReadBuf::new(buffer.get_mut(..READ).unwrap_or_default());
            ready!(Pin::new(&mut *from).poll_read(context, &mut read))?;
            Poll::Ready(Ok(read.filled().to_vec()))
        })
    })
    .await
}
