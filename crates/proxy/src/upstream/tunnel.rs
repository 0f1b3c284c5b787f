//! Upgraded connections: bytes both ways after a 101, WebSocket or not.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use http::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until};

use super::UpstreamBody;
use super::attempt::{Attempts, Progress};
use super::load::Counted;
use super::response_body::Switched;
use super::timer::after;

/// Bytes that each direction holds at most.
const BUFFER: usize = 8 << 10;

/// The upgraded connections of a client and of the endpoint that agreed to the upgrade.
pub(crate) struct Tunnel {
    /// Ready once the 101 is sent.
    client: OnUpgrade,
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
        client: OnUpgrade,
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
            let (Ok(client), Some(endpoint)) = (client.await, endpoint) else {
                return;
            };
            let mut endpoint = endpoint.connection;
            endpoint.sent().await;
            relay(TokioIo::new(client), endpoint, idle, &guard.progress.bytes).await;
        });
    }
}

struct Guard<F: FnOnce(u64)> {
    on_end: Option<F>,
    start: Instant,
    progress: Rc<Progress>,
    _counted: Option<Counted>,
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
async fn relay<C, E>(client: C, endpoint: E, idle: Duration, sent: &Cell<u64>)
where
    C: AsyncRead + AsyncWrite,
    E: AsyncRead + AsyncWrite,
{
    let (client_read, client_write) = split(client);
    let (endpoint_read, endpoint_write) = split(endpoint);
    let active = Cell::new(Instant::now());
    let received = Cell::new(0);
    let up = copy(
        client_read,
        endpoint_write,
        Activity {
            active: &active,
            bytes: &received,
        },
    );
    let down = copy(
        endpoint_read,
        client_write,
        Activity {
            active: &active,
            bytes: sent,
        },
    );
    tokio::select! {
        result = async { tokio::try_join!(up, down) } => {
            if let Err(error) = result {
                tracing::debug!(%error, "tunnel broke");
            }
        }
        () = silence(&active, idle) => tracing::debug!(?idle, "tunnel closed: both sides idle"),
    }
}

struct Activity<'a> {
    active: &'a Cell<Instant>,
    bytes: &'a Cell<u64>,
}

/// One direction. The end of the source is passed on, so that either side may close first.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    activity: Activity<'_>,
) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
            return to.shutdown().await;
        };
        to.write_all(bytes).await?;
        to.flush().await?;
        activity.bytes.set(activity.bytes.get() + length as u64);
        activity.active.set(Instant::now());
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
