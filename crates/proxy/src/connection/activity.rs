//! State that the layers of one connection share.

use std::cell::Cell;

use tokio::sync::Notify;
use tokio::time::Instant;

/// When a connection began, and its writing side.
#[derive(Debug)]
pub(crate) struct Activity {
    begun: Instant,
    /// Since when the peer reads no output.
    blocked: Cell<Option<Instant>>,
    closed: Notify,
}

impl Activity {
    /// A connection that begins now.
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            blocked: Cell::new(None),
            closed: Notify::new(),
        }
    }

    /// When the connection began.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// The peer read some output, or there is none.
    pub(super) fn written(&self) {
        self.blocked.set(None);
    }

    /// Output waits for the peer.
    pub(super) fn write_blocked(&self) {
        if self.blocked.get().is_none() {
            self.blocked.set(Some(Instant::now()));
        }
    }

    /// Since when output waits for the peer.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked.get()
    }

    /// The stream is gone: the connection, or the tunnel that it became, has ended.
    pub(super) fn stream_dropped(&self) {
        self.closed.notify_one();
    }

    /// Waits for [`Activity::stream_dropped`].
    pub(super) async fn until_stream_dropped(&self) {
        self.closed.notified().await;
    }
}
