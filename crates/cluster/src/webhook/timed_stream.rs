//! A stream with timeouts of request heads and of idle time.
//!
//! hyper has one timeout for both. They differ here: a slow head may be an attack, while an idle connection that is closed
//! early may race with a request of the API server and fail it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// From the first byte of a head to its end; for the first head, from the handshake.
    pub(super) head: Duration,
    /// Between requests.
    pub(super) idle: Duration,
}

/// The requests and responses of a connection, so that the head timeout does not run during a request.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestCounter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: AtomicU64,
    responses: AtomicU64,
}

/// A stream with [`Timeouts`].
#[derive(Debug)]
pub(super) struct TimedStream<S> {
    stream: S,
    timeouts: Timeouts,
    counter: RequestCounter,
    deadline: Pin<Box<Sleep>>,
    waiting_for: WaitingFor,
    /// The number of responses when the waiting began.
    responses: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitingFor {
    Nothing,
    Request,
    RestOfHead,
}

impl RequestCounter {
    /// The head of a request was read.
    pub(super) fn begin(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The response is ready.
    pub(super) fn end(&self) {
        self.0.responses.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there was a request.
    pub(super) fn any(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) > 0
    }

    fn is_pending(&self) -> bool {
        self.0.requests.load(Ordering::Relaxed) > self.responses()
    }

    fn responses(&self) -> u64 {
        self.0.responses.load(Ordering::Relaxed)
    }
}

impl<S> TimedStream<S> {
    /// A stream that waits for its first head.
    pub(super) fn new(stream: S, timeouts: Timeouts, counter: RequestCounter) -> Self {
        Self {
            stream,
            timeouts,
            counter,
            deadline: Box::pin(tokio::time::sleep(timeouts.head)),
            waiting_for: WaitingFor::RestOfHead,
            responses: 0,
        }
    }

    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn wait(&mut self, waiting_for: WaitingFor, time: Duration) {
        self.waiting_for = waiting_for;
        self.deadline.as_mut().reset(Instant::now() + time);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TimedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.counter.is_pending() {
            return read;
        }
        let responses = self.counter.responses();
        if self.responses != responses {
            self.responses = responses;
            self.waiting_for = WaitingFor::Nothing;
        }
        let Timeouts { head, idle } = self.timeouts;
        if read.is_ready() {
            if self.waiting_for != WaitingFor::RestOfHead {
                self.wait(WaitingFor::RestOfHead, head);
            }
            return read;
        }
        if self.waiting_for == WaitingFor::Nothing {
            self.wait(WaitingFor::Request, idle);
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TimedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(120),
    };

    fn pair() -> (DuplexStream, TimedStream<DuplexStream>, RequestCounter) {
        let (client, server) = duplex(64);
        let counter = RequestCounter::default();
        (
            client,
            TimedStream::new(server, TIMEOUTS, counter.clone()),
            counter,
        )
    }

    /// Seconds until reading times out.
    async fn times_out_after(stream: &mut TimedStream<DuplexStream>) -> u64 {
        let start = Instant::now();
        let mut buffer = [0; 8];
        let error = loop {
            match stream.read(&mut buffer).await {
                Ok(0) => return u64::MAX,
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_head_times_out_from_the_handshake() {
        let (mut client, mut stream, _) = pair();
        let dribble = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.write_all(b"x").await.is_err() {
                    break;
                }
            }
        });
        assert_eq!(times_out_after(&mut stream).await, 5);
        drop(stream);
        dribble.await.expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_has_the_longer_timeout() {
        let (mut client, mut stream, counter) = pair();
        client
            .write_all(b"head")
            .await
            .expect("the buffer has room");
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).await.expect("it arrives"), 4);
        counter.begin();
        let body = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer));
        assert!(body.await.is_err(), "a body has its own timeout");
        counter.end();
        assert_eq!(times_out_after(&mut stream).await, 120);
    }

    #[tokio::test(start_paused = true)]
    async fn a_later_head_times_out_from_its_first_byte() {
        let (mut client, mut stream, counter) = pair();
        counter.begin();
        counter.end();
        let later = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            client.write_all(b"PO").await.expect("the stream is read");
            client
        });
        assert_eq!(times_out_after(&mut stream).await, 65);
        drop(later.await.expect("it ends"));
    }
}
