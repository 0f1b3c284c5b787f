//! Kept connections to endpoints. The pool of a worker belongs to its thread: there are no locks.

mod sweep;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use foldhash::quality::RandomState;
use headgate_table::{PoolSettings, UpstreamKey};
use hyper::client::conn::http2;
use indexmap::IndexMap;
use tokio::time::Instant;

use super::Upstreams;
use super::dials::{Dials, Turn};
use super::http1::Connection;
use super::request_body::RequestBody;
use super::timer::LazyTimer;
use super::tls::TlsIdentity;
use sweep::SWEEP;

/// Streams on one HTTP/2 connection before another is opened.
pub(super) const STREAMS: u32 = 100;

/// Keys of a full pool among whose connections the longest idle one is looked for, at random: there may be thousands.
const SAMPLE: usize = 8;

/// For how long a connection must have been idle to make room for another. Where more endpoints get requests in turn than the
/// pool has room for, each connection would otherwise be closed just before its endpoint's next turn, and none be used again.
const RECENT: Duration = Duration::from_secs(1);

/// Connections with the same key are interchangeable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) address: SocketAddr,
    pub(super) http2: bool,
    /// `None`: plain text.
    pub(super) tls: Option<TlsIdentity>,
    /// Read buffer of an HTTP/1 connection, bytes.
    pub(super) buffer: usize,
}

/// A connection while it serves a request. An HTTP/1 connection that is dropped instead of given back is closed.
pub(super) enum Lease {
    Http1(Box<Http1>),
    Http2(Http2),
}

pub(super) struct Http1 {
    pub(super) connection: Connection,
    /// For the timeouts of this endpoint.
    pub(super) timer: LazyTimer,
    key: Key,
    upstream: UpstreamKey,
    opened: Instant,
    used: Instant,
    requests: u64,
}

/// A stream of an HTTP/2 connection.
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<RequestBody>,
    /// For the timeouts of this endpoint.
    pub(super) timer: LazyTimer,
    connection: Rc<Multiplexed>,
}

struct Multiplexed {
    sender: http2::SendRequest<RequestBody>,
    upstream: UpstreamKey,
    opened: Instant,
    used: Cell<Instant>,
    requests: Cell<u64>,
    streams: Cell<u32>,
}

/// The kept connections of one worker.
#[derive(Default)]
pub(crate) struct Pools {
    http1: RefCell<Kept>,
    http2: RefCell<HashMap<Key, Vec<Rc<Multiplexed>>, RandomState>>,
    idle: Cell<usize>,
    sweeping: Cell<bool>,
    pub(super) dials: Dials,
}

/// Idle connections, those of a key by the time of their last use.
type Kept = IndexMap<Key, VecDeque<Box<Http1>>, RandomState>;

impl Pools {
    /// A kept connection for `key`, the most recently used one.
    pub(super) fn take(&self, key: &Key, limits: &PoolSettings, now: Instant) -> Option<Lease> {
        if key.http2 {
            self.take_http2(key, limits, now)
        } else {
            self.take_http1(key, limits, now)
        }
    }

    fn take_http1(&self, key: &Key, limits: &PoolSettings, now: Instant) -> Option<Lease> {
        let mut pools = self.http1.borrow_mut();
        let kept = pools.get_mut(key)?;
        while let Some(mut connection) = kept.pop_back() {
            self.idle.set(self.idle.get().saturating_sub(1));
            if connection.is_usable(limits, now) {
                connection.requests += 1;
                return Some(Lease::Http1(connection));
            }
        }
        None
    }

    fn take_http2(&self, key: &Key, limits: &PoolSettings, now: Instant) -> Option<Lease> {
        let mut pools = self.http2.borrow_mut();
        let kept = pools.get_mut(key)?;
        let mut index = 0;
        while let Some(connection) = kept.get(index) {
            if !connection.is_usable(limits, now) {
                // Open streams keep it alive.
                kept.remove(index);
            } else if connection.streams.get() < STREAMS {
                return Some(Lease::Http2(Http2::on(connection)));
            } else {
                index += 1;
            }
        }
        None
    }

    /// Keeps an HTTP/1 connection whose response was read to its end.
    fn keep(&self, mut connection: Box<Http1>, limits: &PoolSettings, now: Instant) {
        connection.used = now;
        connection.timer.rest();
        // Whether the endpoint closes it is looked at when it is taken.
        let is_reusable = connection.connection.is_reusable();
        if limits.idle == 0 || !is_reusable || !connection.is_within(limits, now) {
            return;
        }
        if self.dials.are_awaited()
            && connection.is_usable(limits, now)
            && let Some(waiter) = self.dials.next(&connection.key)
        {
            connection.requests += 1;
            // It waits, as nothing else runs on this thread.
            return drop(waiter.send(Turn::Use(Lease::Http1(connection))));
        }
        connection.connection.rest();
        let mut pools = self.http1.borrow_mut();
        if self.idle.get() >= limits.idle {
            if !make_room(&mut pools, now) {
                return;
            }
            self.idle.set(self.idle.get().saturating_sub(1));
        }
        self.idle.set(self.idle.get() + 1);
        match pools.get_mut(&connection.key) {
            Some(kept) => kept.push_back(connection),
            None => {
                pools
                    .entry(connection.key.clone())
                    .or_default()
                    .push_back(connection);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.get()
    }
}

/// Closes a connection that has not been used lately; `false`: there is none, as far as is seen.
fn make_room(pools: &mut Kept, now: Instant) -> bool {
    let sample = (0..SAMPLE).map(|_| fastrand::usize(..pools.len().max(1)));
    let idle = sample.filter_map(|at| Some((pools.get_index(at)?.1.front()?.used, at)));
    let oldest = idle.min();
    let old = oldest.filter(|(used, _)| now.saturating_duration_since(*used) >= RECENT);
    let kept = old.and_then(|(_, at)| pools.get_index_mut(at));
    kept.and_then(|(_, kept)| kept.pop_front()).is_some()
}

impl Lease {
    /// A new HTTP/1 connection for the upstream `id`.
    pub(super) fn http1(connection: Connection, key: Key, id: UpstreamKey) -> Self {
        let now = Instant::now();
        let timer = LazyTimer::default();
        Self::Http1(Box::new(Http1 {
            connection,
            timer,
            key,
            upstream: id,
            opened: now,
            used: now,
            requests: 1,
        }))
    }

    /// A new HTTP/2 connection, which `upstreams` shares between requests.
    pub(super) fn http2(
        upstreams: &Rc<Upstreams>,
        sender: http2::SendRequest<RequestBody>,
        key: Key,
        id: UpstreamKey,
    ) -> Self {
        let now = Instant::now();
        let connection = Rc::new(Multiplexed {
            sender,
            upstream: id,
            opened: now,
            used: Cell::new(now),
            requests: Cell::new(0),
            streams: Cell::new(0),
        });
        upstreams
            .pools
            .http2
            .borrow_mut()
            .entry(key)
            .or_default()
            .push(connection.clone());
        upstreams.ensure_sweeper();
        Self::Http2(Http2::on(&connection))
    }

    /// For the timeouts of the endpoint.
    pub(super) fn timer(&mut self) -> &mut LazyTimer {
        match self {
            Self::Http1(connection) => &mut connection.timer,
            Self::Http2(stream) => &mut stream.timer,
        }
    }

    /// Gives the connection back `now`, after a response that was read to its end.
    pub(super) fn give_back(self, upstreams: &Rc<Upstreams>, now: Instant) {
        let Self::Http1(mut kept) = self else {
            return;
        };
        upstreams.ensure_sweeper();
        if kept.connection.is_sent() {
            return upstreams.keep(kept, now);
        }
        // The rest of the request body may still be on its way, but it is not waited for beyond a sweep.
        let upstreams = upstreams.clone();
        tokio::task::spawn_local(async move {
            let sent = tokio::time::timeout(SWEEP, kept.connection.sent()).await;
            if sent.is_ok() {
                upstreams.keep(kept, Instant::now());
            }
        });
    }
}

impl Upstreams {
    fn keep(&self, connection: Box<Http1>, now: Instant) {
        let table = self.table.get();
        self.pools.keep(connection, &table.settings.pool, now);
    }
}

impl Http1 {
    fn is_usable(&self, limits: &PoolSettings, now: Instant) -> bool {
        let mut no_task = Context::from_waker(Waker::noop());
        self.is_within(limits, now) && self.connection.poll_usable(&mut no_task)
    }

    fn is_within(&self, limits: &PoolSettings, now: Instant) -> bool {
        self.requests < limits.requests
            && now.saturating_duration_since(self.used) < limits.idle_timeout
            && now.saturating_duration_since(self.opened) < limits.age
    }
}

impl Multiplexed {
    fn is_usable(&self, limits: &PoolSettings, now: Instant) -> bool {
        let idle = self.streams.get() == 0
            && now.saturating_duration_since(self.used.get()) >= limits.idle_timeout;
        !idle
            && !self.sender.is_closed()
            && self.requests.get() < limits.requests
            && now.saturating_duration_since(self.opened) < limits.age
    }
}

impl Http2 {
    fn on(connection: &Rc<Multiplexed>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        connection.requests.set(connection.requests.get() + 1);
        let timer = LazyTimer::default();
        Self {
            sender: connection.sender.clone(),
            timer,
            connection: connection.clone(),
        }
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection
            .streams
            .set(self.connection.streams.get().saturating_sub(1));
        self.connection.used.set(Instant::now());
    }
}
