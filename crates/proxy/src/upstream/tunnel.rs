//! Upgraded connections: bytes both ways after a 101, WebSocket or not.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use headgate_http1::server::Upgrade;
use http::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::UpstreamBody;
use super::attempt::{Attempts, Progress};
use super::load::Counts;
use super::response_body::Switched;
use super::timer::after;

/// Bytes of one read, and thus what a direction holds at most.
const READ: usize = 8 << 10;

/// The upgraded connections of a client and of the endpoint that agreed to the upgrade.
pub(crate) struct Tunnel {
    /// Ready once the 101 is sent.
    client: Upgrade,
    endpoint: Option<Switched>,
    idle: Duration,
    /// Start of the attempt.
    start: Instant,
    progress: Rc<Progress>,
}

impl Tunnel {
    /// Between `client` and the endpoint of the last of `attempts`, which sent the 101 `response`. It ends when both sides
    /// have sent nothing for `idle`.
    pub(crate) fn new(
        client: Upgrade,
        response: &mut Response<UpstreamBody>,
        attempts: &Attempts,
        idle: Duration,
    ) -> Self {
        let start = attempts.last().map(|attempt| attempt.start.into());
        Self {
            client,
            endpoint: response.body_mut().take_switched(),
            idle,
            start: start.unwrap_or_else(Instant::now),
            progress: attempts.progress(),
        }
    }

    /// Runs in a task of its own. At the end, also when the worker stops, it calls `on_end` with the number of bytes that
    /// it sent to the client.
    pub(crate) fn open(self, on_end: impl FnOnce(u64) + 'static) {
        let Self {
            client,
            endpoint,
            idle,
            start,
            progress,
        } = self;
        let (endpoint, counted) = endpoint.unzip();
        let guard = Guard {
            on_end: Some(on_end),
            start,
            progress,
            _counted: counted,
        };
        tokio::task::spawn_local(async move {
            let (Some(client), Some(endpoint)) = (client.await, endpoint) else {
                return;
            };
            let mut endpoint = endpoint.connection;
            endpoint.sent().await;
            relay(client, endpoint, idle, &guard.progress.bytes).await;
        });
    }
}

struct Guard<F: FnOnce(u64)> {
    on_end: Option<F>,
    start: Instant,
    progress: Rc<Progress>,
    _counted: Option<Counts>,
}

impl<F: FnOnce(u64)> Drop for Guard<F> {
    fn drop(&mut self) {
        self.progress.response.set(Some(self.start.elapsed()));
        if let Some(on_end) = self.on_end.take() {
            on_end(self.progress.bytes.get());
        }
    }
}

/// Copies both ways until both sides are closed, one fails, or both have sent nothing for `idle`.
/// `sent` counts bytes for the client.
async fn relay<C, E>(mut client: C, mut endpoint: E, idle: Duration, sent: &Cell<u64>)
where
    C: AsyncRead + AsyncWrite + Unpin,
    E: AsyncRead + AsyncWrite + Unpin,
{
    let active = Cell::new(Instant::now());
    let (mut up, mut down) = (Direction::default(), Direction::default());
    let both = poll_fn(|cx| {
        let received = up.poll(&mut client, &mut endpoint, cx, |_| {
            active.set(Instant::now())
        })?;
        let sent = down.poll(&mut endpoint, &mut client, cx, |length| {
            active.set(Instant::now());
            sent.set(sent.get() + length);
        })?;
        match (received, sent) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    });
    tokio::select! {
        result = both => {
            let result: io::Result<()> = result;
            if let Err(error) = result {
                tracing::debug!(%error, "tunnel broke");
            }
        }
        () = silence(&active, idle) => tracing::debug!(?idle, "tunnel closed: both sides idle"),
    }
}

/// One direction. The end of the source is passed on, so that either side may close first.
#[derive(Default)]
struct Direction {
    /// What the target has not taken yet. It takes nearly everything at once, so that a tunnel seldom has memory.
    left: Bytes,
    /// Bytes that were read since the target was flushed.
    unflushed: u64,
    end: End,
}

/// How far the end of a direction has come.
#[derive(Clone, Copy, Default)]
enum End {
    #[default]
    Open,
    /// The source has ended.
    Closing,
    Closed,
}

thread_local! {
    /// What is read before it is written, for all tunnels of a worker.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Direction {
    /// Copies until the source has ended and the target is closed. `flushed` gets the number of bytes that have been sent.
    fn poll<R, W>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
        flushed: impl Fn(u64),
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            while !self.left.is_empty() {
                let length = ready!(write(to, &self.left, cx))?;
                self.left.advance(length);
            }
            if self.unflushed > 0 {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                flushed(std::mem::take(&mut self.unflushed));
            }
            if let End::Closing = self.end {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.end = End::Closed;
            }
            if let End::Closed = self.end {
                return Poll::Ready(Ok(()));
            }
            let mut buffer = BUFFER.take();
            buffer.resize(READ, 0);
            let read = self.poll_piece(from, to, cx, &mut buffer);
            BUFFER.set(buffer);
            ready!(read)?;
        }
    }

    /// Reads once, into `buffer`, and writes as much of it as the target takes.
    fn poll_piece<R, W>(
        &mut self,
        from: &mut R,
        to: &mut W,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut read = ReadBuf::new(buffer);
        ready!(Pin::new(from).poll_read(cx, &mut read))?;
        let mut piece = read.filled();
        if piece.is_empty() {
            self.end = End::Closing;
        }
        self.unflushed = piece.len() as u64;
        while !piece.is_empty() {
            let Poll::Ready(length) = write(to, piece, cx)? else {
                self.left = Bytes::copy_from_slice(piece);
                break;
            };
            piece = piece.get(length..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes some of `bytes`.
fn write<W>(to: &mut W, bytes: &[u8], cx: &mut Context<'_>) -> Poll<io::Result<usize>>
where
    W: AsyncWrite + Unpin,
{
    match ready!(Pin::new(to).poll_write(cx, bytes)) {
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        written => Poll::Ready(written),
    }
}

/// Returns when nothing was copied for `idle`.
async fn silence(active: &Cell<Instant>, idle: Duration) {
    loop {
        let deadline = after(active.get(), idle);
        sleep_until(deadline).await;
        if after(active.get(), idle) <= Instant::now() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    /// A client and an endpoint, with room for so many bytes before either, and the tunnel between them.
    fn tunnel(room: usize) -> (DuplexStream, DuplexStream, impl Future<Output = u64>) {
        let ((client, near), (far, endpoint)) = (duplex(room), duplex(room));
        let relayed = async {
            let sent = Cell::new(0);
            relay(near, far, IDLE, &sent).await;
            sent.get()
        };
        (client, endpoint, relayed)
    }

    #[tokio::test]
    async fn both_directions_are_copied_in_order_whatever_the_other_side_takes() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let echo = |mut stream: DuplexStream| {
            let bytes = bytes.clone();
            async move {
                let (mut read, mut write) = tokio::io::split(&mut stream);
                let mut received = Vec::new();
                let sending = async {
                    write.write_all(&bytes).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                tokio::join!(sending, async {
                    read.read_to_end(&mut received).await.unwrap()
                });
                received == bytes
            }
        };
        for room in [1, 100, READ, 1 << 20] {
            let (client, endpoint, relayed) = tunnel(room);
            let whole = tokio::join!(echo(client), echo(endpoint), relayed);
            assert_eq!(whole, (true, true, 100_000), "{room}");
        }
    }

    #[tokio::test]
    async fn one_side_may_close_first() {
        let (mut client, mut endpoint, relayed) = tunnel(64);
        let talk = async {
            client.shutdown().await.unwrap();
            assert_eq!(endpoint.read(&mut [0; 1]).await.unwrap(), 0);
            endpoint.write_all(b"still here").await.unwrap();
            drop(endpoint);
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "still here");
        };
        assert_eq!(tokio::join!(talk, relayed).1, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_of_both_sides_ends_it() {
        let (mut client, endpoint, relayed) = tunnel(64);
        let begin = Instant::now();
        client.write_all(b"hello").await.unwrap();
        relayed.await;
        assert_eq!(begin.elapsed(), IDLE);
        drop(endpoint);
    }

    #[test]
    fn a_direction_that_waits_for_its_source_has_no_memory() {
        let (mut source, mut from) = duplex(1 << 20);
        let (mut to, target) = duplex(1 << 20);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut direction = Direction::default();
        let copied = Cell::new(0);
        for _ in 0..2 {
            let piece = [b'x'; 3 * READ];
            assert!(Pin::new(&mut source).poll_write(&mut cx, &piece).is_ready());
            let poll = direction.poll(&mut from, &mut to, &mut cx, |length| {
                copied.set(copied.get() + length);
            });
            assert!(poll.is_pending() && direction.left.is_empty());
        }
        assert_eq!(copied.get(), 6 * READ as u64);
        drop(target);
    }
}
