//! State that the layers of one connection share.
//!
//! Everything of a connection runs on one thread, but hyper requires the stream under an upgrade to be `Send`, so the
//! shared state consists of atomics. All accesses are plain relaxed loads and stores: there is never a second writer.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::scan::{Fault, Scanner};

/// The progress of a connection; for HTTP/2, only the writing side is used.
#[derive(Debug)]
pub(crate) struct Activity {
    origin: Instant,
    /// Since when the peer reads no output.
    blocked: Mark,
    /// Since when a request head is arriving.
    head: Mark,
    /// Since when there is no request.
    idle: Mark,
    /// Requests handed to the service.
    started: AtomicU64,
    /// Requests whose response body has ended.
    responded: AtomicU64,
    /// Requests whose response has been written to the socket.
    settled: AtomicU64,
    /// Fault of the request that follows `valid` ones; 0: none.
    fault: AtomicU8,
    valid: AtomicU64,
    /// The connection is a tunnel now; its bytes are not HTTP.
    tunnel: AtomicBool,
    closed: Notify,
}

impl Activity {
    /// A connection that is idle from now on.
    pub(crate) fn new() -> Self {
        let activity = Self {
            origin: Instant::now(),
            blocked: Mark::default(),
            head: Mark::default(),
            idle: Mark::default(),
            started: AtomicU64::new(0),
            responded: AtomicU64::new(0),
            settled: AtomicU64::new(0),
            fault: AtomicU8::new(0),
            valid: AtomicU64::new(0),
            tunnel: AtomicBool::new(false),
            closed: Notify::new(),
        };
        activity.idle.set(activity.origin, activity.origin);
        activity
    }

    /// The peer read some output, or there is none.
    pub(super) fn written(&self) {
        self.blocked.clear();
    }

    /// Output waits for the peer.
    pub(super) fn write_blocked(&self) {
        if !self.blocked.is_set() {
            self.blocked.set(self.origin, Instant::now());
        }
    }

    /// Since when output waits for the peer.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked.get(self.origin)
    }

    /// The stream is gone: the connection, or the tunnel that it became, has ended.
    pub(super) fn stream_dropped(&self) {
        self.closed.notify_one();
    }

    /// Waits for [`Activity::stream_dropped`].
    pub(super) async fn until_stream_dropped(&self) {
        self.closed.notified().await;
    }

    /// Updates the state after `scanner` has seen more input.
    pub(super) fn scanned(&self, scanner: &Scanner) {
        if !scanner.in_head() {
            self.head.clear();
        } else if !self.head.is_set() {
            self.head.set(self.origin, Instant::now());
        }
        if let Some(fault) = scanner.fault() {
            self.valid.store(scanner.heads(), Relaxed);
            self.fault.store(number(fault), Relaxed);
        }
    }

    /// A request is handed to the service. Returns its fault, if it has one.
    pub(super) fn start(&self) -> Option<Fault> {
        let fault = self.fault();
        self.started.store(self.started.load(Relaxed) + 1, Relaxed);
        fault
    }

    /// The response body of a request has ended.
    pub(super) fn response_ended(&self) {
        self.responded
            .store(self.responded.load(Relaxed) + 1, Relaxed);
    }

    /// All output has reached the socket.
    pub(super) fn flushed(&self) {
        self.written();
        let started = self.started.load(Relaxed);
        if self.responded.load(Relaxed) != started || self.settled.load(Relaxed) == started {
            return;
        }
        self.settled.store(started, Relaxed);
        let now = Instant::now();
        self.idle.set(self.origin, now);
        if self.head.is_set() {
            // It arrived while a slow request was served, so its own time starts now.
            self.head.set(self.origin, now);
        }
    }

    /// A request is being served.
    pub(super) fn busy(&self) -> bool {
        self.settled.load(Relaxed) != self.started.load(Relaxed)
    }

    /// The fault of the next request for the service.
    pub(super) fn fault(&self) -> Option<Fault> {
        let fault = fault(self.fault.load(Relaxed))?;
        (self.valid.load(Relaxed) == self.started.load(Relaxed)).then_some(fault)
    }

    /// Since when the head of the next request is arriving.
    pub(super) fn head_since(&self) -> Option<Instant> {
        self.head.get(self.origin)
    }

    /// Since when there has been no request.
    pub(super) fn idle_since(&self) -> Instant {
        self.idle.get(self.origin).unwrap_or(self.origin)
    }

    /// No response has been sent yet.
    pub(super) fn fresh(&self) -> bool {
        self.settled.load(Relaxed) == 0
    }

    /// From here on the bytes are not HTTP.
    pub(super) fn become_tunnel(&self) {
        self.tunnel.store(true, Relaxed);
    }

    /// Whether the bytes are not HTTP.
    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Relaxed)
    }
}

/// A point in time or none: nanoseconds after an origin, plus one.
#[derive(Debug, Default)]
struct Mark(AtomicU64);

impl Mark {
    fn set(&self, origin: Instant, at: Instant) {
        let nanos =
            u64::try_from(at.saturating_duration_since(origin).as_nanos()).unwrap_or(u64::MAX - 1);
        self.0.store(nanos.saturating_add(1), Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    fn get(&self, origin: Instant) -> Option<Instant> {
        let nanos = self.0.load(Relaxed).checked_sub(1)?;
        Some(origin + Duration::from_nanos(nanos))
    }
}

fn number(fault: Fault) -> u8 {
    match fault {
        Fault::Malformed => 1,
        Fault::UnknownCoding => 2,
        Fault::LineTooLong => 3,
        Fault::HeadTooLarge => 4,
        Fault::TooSlow => 5,
    }
}

fn fault(number: u8) -> Option<Fault> {
    match number {
        1 => Some(Fault::Malformed),
        2 => Some(Fault::UnknownCoding),
        3 => Some(Fault::LineTooLong),
        4 => Some(Fault::HeadTooLarge),
        5 => Some(Fault::TooSlow),
        _ => None,
    }
}
