//! A stream that ends when a client takes too long over a head, or has nothing to say for too long.
//!
//! hyper has one bound for both. They differ here: a slow head may be an attack, while closing an idle connection
//! soon would now and then meet a request of the API server half-way and fail it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bounds on waiting for a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// From the first byte of a head, or from the handshake for the first, to its end.
    pub(super) head: Duration,
    /// Between requests.
    pub(super) idle: Duration,
}

/// How many requests of a connection were begun and answered, so that the bound on a head does not run while one is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Answering(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    answered: AtomicU64,
}

/// A stream with [`Patience`].
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    patience: Patience,
    answering: Answering,
    deadline: Pin<Box<Sleep>>,
    waiting: Waiting,
    /// Requests that were answered when the waiting began.
    answered: u64,
}

/// For what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Request,
    RestOfHead,
}

impl Answering {
    /// A request was read as far as its head.
    pub(super) fn begin(&self) {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// It was answered.
    pub(super) fn end(&self) {
        self.0.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there was a request at all.
    pub(super) fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed) > 0
    }

    fn is_under_way(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed) > self.answered()
    }

    fn answered(&self) -> u64 {
        self.0.answered.load(Ordering::Relaxed)
    }
}

impl<S> Watched<S> {
    /// `stream`, on which a first head is awaited.
    pub(super) fn new(stream: S, patience: Patience, answering: Answering) -> Self {
        Self {
            stream,
            patience,
            answering,
            deadline: Box::pin(tokio::time::sleep(patience.head)),
            waiting: Waiting::RestOfHead,
            answered: 0,
        }
    }

    /// The stream.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    fn wait(&mut self, waiting: Waiting, time: Duration) {
        self.waiting = waiting;
        self.deadline.as_mut().reset(Instant::now() + time);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if self.answering.is_under_way() {
            return read;
        }
        let answered = self.answering.answered();
        if self.answered != answered {
            self.answered = answered;
            self.waiting = Waiting::Nothing;
        }
        let (head, idle) = (self.patience.head, self.patience.idle);
        if read.is_ready() {
            if self.waiting != Waiting::RestOfHead {
                self.wait(Waiting::RestOfHead, head);
            }
            return read;
        }
        if self.waiting == Waiting::Nothing {
            self.wait(Waiting::Request, idle);
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(120),
    };

    fn pair() -> (DuplexStream, Watched<DuplexStream>, Answering) {
        let (client, server) = duplex(64);
        let answering = Answering::default();
        (
            client,
            Watched::new(server, PATIENCE, answering.clone()),
            answering,
        )
    }

    /// Seconds until reading ends with the bound.
    async fn times_out_after(stream: &mut Watched<DuplexStream>) -> u64 {
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
    async fn first_head_is_bounded_from_the_start() {
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
    async fn idle_is_longer_than_a_head() {
        let (mut client, mut stream, answering) = pair();
        client.write_all(b"head").await.expect("there is room");
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).await.expect("it arrives"), 4);
        answering.begin();
        let body = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut buffer));
        assert!(body.await.is_err(), "a body has a bound of its own");
        answering.end();
        assert_eq!(times_out_after(&mut stream).await, 120);
    }

    #[tokio::test(start_paused = true)]
    async fn second_head_is_bounded_from_its_first_byte() {
        let (mut client, mut stream, answering) = pair();
        answering.begin();
        answering.end();
        let later = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            client.write_all(b"PO").await.expect("somebody reads");
            client
        });
        assert_eq!(times_out_after(&mut stream).await, 65);
        drop(later.await.expect("it ends"));
    }
}
