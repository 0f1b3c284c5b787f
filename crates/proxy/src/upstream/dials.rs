//! Connections that are being opened, and the requests that wait for one.
//!
//! A burst of requests to an endpoint without kept connections, such as one that a rollout has brought, opens a few at once and
//! not one for each request: the backlogs of endpoints are short, and what is opened for a moment is closed after it. The other
//! requests wait for the first of three: a connection that another request gives back, their turn to open one, or the end of
//! their patience, after which they open one regardless. A connection of HTTP/2 serves those that wait for it together.
//!
//! The turns of a worker belong to its thread: there are no locks.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use foldhash::quality::RandomState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Upstreams;
use super::pool::{Key, Lease, STREAMS};

/// Connections with one key that a worker opens at once.
const AT_ONCE: usize = 32;

/// How long a request waits for others before it opens a connection itself, by half its connect timeout at most. Long enough
/// for handshakes within a cluster; for those with a distant endpoint, the bound is one on the first moment alone.
const PATIENCE: Duration = Duration::from_millis(100);

/// The same for a connection of HTTP/2, which many requests share.
const PATIENCE_HTTP2: Duration = Duration::from_secs(1);

/// The connections that one worker is opening.
#[derive(Default)]
pub(super) struct Dials {
    by_key: RefCell<HashMap<Key, Dialing, RandomState>>,
    /// Requests that wait, for any key.
    waiting: Cell<usize>,
}

#[derive(Default)]
struct Dialing {
    open: usize,
    /// While there are some, `open` is not zero: a request that has a turn passes it on.
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// What a request has waited for.
pub(super) enum Turn {
    /// It opens a connection.
    Open(Slot),
    /// It uses a connection that was kept, or opened by another request.
    Use(Lease),
}

/// The turn of a request, until its connection is open or has failed.
pub(super) struct Slot {
    upstreams: Rc<Upstreams>,
    key: Key,
}

/// A request that waits.
pub(super) struct Waiter {
    upstreams: Rc<Upstreams>,
    key: Key,
    turn: oneshot::Receiver<Turn>,
}

impl Upstreams {
    /// A turn to open a connection with `key`.
    ///
    /// # Errors
    /// Others are opening some: the caller can wait for them.
    pub(super) fn slot(self: &Rc<Self>, key: &Key) -> Result<Slot, Waiter> {
        let (upstreams, key) = (self.clone(), key.clone());
        let dials = &self.pools.dials;
        let mut by_key = dials.by_key.borrow_mut();
        let dialing = by_key.entry(key.clone()).or_default();
        if dialing.may_open(&key) {
            dialing.open += 1;
            return Ok(Slot { upstreams, key });
        }
        let (sender, turn) = oneshot::channel();
        dialing.waiting.push_back(sender);
        dials.waiting.set(dials.waiting.get() + 1);
        Err(Waiter {
            upstreams,
            key,
            turn,
        })
    }
}

impl Waiter {
    /// The turn of the request, whose connection may take `bound`.
    pub(super) async fn turn(self, bound: Duration) -> Turn {
        let patience = match self.key.http2 {
            true => PATIENCE_HTTP2,
            false => PATIENCE,
        };
        let turn = tokio::time::timeout(patience.min(bound / 2), self.turn).await;
        if let Ok(Ok(turn)) = turn {
            return turn;
        }
        self.upstreams.pools.dials.open(&self.key);
        Turn::Open(Slot {
            upstreams: self.upstreams,
            key: self.key,
        })
    }
}

impl Dials {
    /// Whether requests wait, for any key.
    pub(super) fn are_awaited(&self) -> bool {
        self.waiting.get() > 0
    }

    /// The request that has waited longest for a connection with `key`, and waits no longer.
    pub(super) fn next(&self, key: &Key) -> Option<oneshot::Sender<Turn>> {
        let mut by_key = self.by_key.borrow_mut();
        let dialing = by_key.get_mut(key)?;
        let mut waiting = std::iter::from_fn(|| {
            let waiter = dialing.waiting.pop_front()?;
            self.waiting.set(self.waiting.get().saturating_sub(1));
            Some(waiter)
        });
        waiting.find(|waiter| !waiter.is_closed())
    }

    /// Keys for which connections are being opened.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.borrow().len()
    }

    /// A connection with `key` is open, or has failed.
    fn close(&self, key: &Key) {
        if let Some(dialing) = self.by_key.borrow_mut().get_mut(key) {
            dialing.open = dialing.open.saturating_sub(1);
        }
    }

    /// Forgets `key`, for which no request waits, if no connection is being opened.
    fn forget(&self, key: &Key) {
        let mut by_key = self.by_key.borrow_mut();
        if by_key.get(key).is_some_and(|dialing| dialing.open == 0) {
            by_key.remove(key);
        }
    }

    /// Counts a connection with `key` that is being opened.
    fn open(&self, key: &Key) {
        let mut by_key = self.by_key.borrow_mut();
        by_key.entry(key.clone()).or_default().open += 1;
    }
}

impl Dialing {
    /// Whether another connection may be opened. One of HTTP/2 is for all that wait, up to the number of its streams.
    fn may_open(&self, key: &Key) -> bool {
        match key.http2 {
            true => self.waiting.len() >= self.open * STREAMS as usize,
            false => self.open < AT_ONCE,
        }
    }
}

impl Drop for Slot {
    /// Requests that wait get the connection, if it is of HTTP/2, and else one of them the turn.
    fn drop(&mut self) {
        let (upstreams, key) = (&self.upstreams, &self.key);
        let dials = &upstreams.pools.dials;
        dials.close(key);
        while let Some(waiter) = dials.next(key) {
            let table = upstreams.table.get();
            let limits = &table.settings.pool;
            let shared = key
                .http2
                .then(|| upstreams.pools.take(key, limits, Instant::now()));
            if let Some(lease) = shared.flatten() {
                drop(waiter.send(Turn::Use(lease)));
                continue;
            }
            dials.open(key);
            let (upstreams, key) = (upstreams.clone(), key.clone());
            drop(waiter.send(Turn::Open(Self { upstreams, key })));
            return;
        }
        dials.forget(key);
    }
}
