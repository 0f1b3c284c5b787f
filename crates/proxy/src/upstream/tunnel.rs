//! Upgraded connections: bytes both ways after a 101, WebSocket or not.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep_until};

use super::timer::after;
use crate::record::{Progress, Record};

/// Bytes that each direction holds at most.
const BUFFER: usize = 8 << 10;

/// Where the record of the request waits for the end of its tunnel.
#[derive(Default)]
pub(super) struct TunnelEnd {
    record: RefCell<Option<Box<Record>>>,
}

impl TunnelEnd {
    /// Keeps `record` until the tunnel ends.
    pub(super) fn keep(&self, record: Box<Record>) {
        self.record.replace(Some(record));
    }
}

/// What a tunnel needs to know.
pub(super) struct Tunnel {
    /// The client's side, there once the 101 is sent.
    pub(super) client: OnUpgrade,
    /// The endpoint's side.
    pub(super) endpoint: OnUpgrade,
    /// Bound on silence of both sides.
    pub(super) idle: Duration,
    /// When the try began.
    pub(super) start: Instant,
    /// Counts what the endpoint sends.
    pub(super) progress: Rc<Progress>,
}

/// Runs `tunnel` beside the client's connection, which is over for HTTP with the 101.
pub(super) fn open(tunnel: Tunnel) -> Rc<TunnelEnd> {
    let end = Rc::new(TunnelEnd::default());
    let Tunnel {
        client,
        endpoint,
        idle,
        start,
        progress,
    } = tunnel;
    let guard = Guard {
        end: end.clone(),
        start,
        progress,
    };
    tokio::task::spawn_local(async move {
        if let (Ok(client), Ok(endpoint)) = tokio::join!(client, endpoint) {
            relay(client, endpoint, idle, &guard.progress.bytes).await;
        }
    });
    end
}

/// Writes the record of the request when its tunnel ends, also when the worker stops in the middle.
struct Guard {
    end: Rc<TunnelEnd>,
    start: Instant,
    progress: Rc<Progress>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.progress.response.set(Some(self.start.elapsed()));
        let record = self.end.record.borrow_mut().take();
        if let Some(mut record) = record {
            record.body_bytes_sent += self.progress.bytes.get();
        }
    }
}

/// Copies both ways until both sides are done, one breaks, or both are silent for `idle`.
async fn relay(client: Upgraded, endpoint: Upgraded, idle: Duration, sent: &Cell<u64>) {
    let (client_read, client_write) = split(TokioIo::new(client));
    let (endpoint_read, endpoint_write) = split(TokioIo::new(endpoint));
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
                tracing::debug!(%error, "a tunnel broke");
            }
        }
        () = silence(&active, idle) => tracing::debug!(?idle, "a tunnel was closed because both sides were silent"),
    }
}

struct Activity<'a> {
    active: &'a Cell<Instant>,
    bytes: &'a Cell<u64>,
}

/// One direction. The end of the source is passed on, so that either side may stop sending first.
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

/// Ends when nothing was copied for `idle`.
async fn silence(active: &Cell<Instant>, idle: Duration) {
    loop {
        let deadline = after(active.get(), idle);
        sleep_until(deadline).await;
        if after(active.get(), idle) <= Instant::now() {
            return;
        }
    }
}
