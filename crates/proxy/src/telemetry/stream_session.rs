//! What is counted and logged of a TCP or UDP session.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::{PortCounts, Protocol, WorkerTelemetry};
use crate::upstream::RawAttempts;
use crate::values::Proxied;

/// Status of a session that was served.
pub(crate) const OK: u16 = 200;
/// Status of a session that does not begin with the PROXY header that is required.
pub(crate) const BAD_REQUEST: u16 = 400;
/// Status of a session for which no endpoint could be reached.
pub(crate) const BAD_GATEWAY: u16 = 502;

/// A session. Counts and logs itself when it is dropped, whatever ended it.
pub(crate) struct Session {
    pub(crate) facts: Facts,
    pub(crate) traffic: Traffic,
    pub(crate) status: Cell<u16>,
    /// Name of the upstream, once it is chosen.
    pub(crate) upstream: RefCell<Option<Arc<str>>>,
    pub(crate) attempts: RefCell<RawAttempts>,
    telemetry: Rc<WorkerTelemetry>,
}

/// What is known when a session begins.
pub(crate) struct Facts {
    pub(crate) protocol: Protocol,
    /// The peer of the connection.
    pub(crate) peer: SocketAddr,
    /// The client: the peer, or as the PROXY header of a trusted peer says.
    pub(crate) client: SocketAddr,
    /// The proxy's address.
    pub(crate) local: SocketAddr,
    /// The PROXY header, trusted or not.
    pub(crate) proxied: Option<Proxied>,
    /// Serial number.
    pub(crate) id: u64,
    /// Written to the access log.
    pub(crate) logged: bool,
}

/// The bytes of a session.
pub(crate) struct Traffic {
    pub(crate) start: Instant,
    /// When bytes were last read or written.
    pub(crate) active: Cell<Instant>,
    /// When the endpoint sent its first byte.
    pub(crate) first_byte: Cell<Option<Instant>>,
    /// From the client.
    received: Cell<u64>,
    /// To the client.
    sent: Cell<u64>,
    /// From the endpoint.
    upstream_received: Cell<u64>,
    /// To the endpoint.
    upstream_sent: Cell<u64>,
    counts: Arc<PortCounts>,
}

/// A direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client to the endpoint.
    ToEndpoint,
    /// From the endpoint to the client.
    ToClient,
}

impl Session {
    /// A session that begins now.
    pub(crate) fn new(facts: Facts, telemetry: Rc<WorkerTelemetry>) -> Self {
        let counts = telemetry.port((facts.protocol, facts.local.port()));
        counts.begin();
        let start = Instant::now();
        Self {
            facts,
            traffic: Traffic {
                start,
                active: Cell::new(start),
                first_byte: Cell::new(None),
                received: Cell::new(0),
                sent: Cell::new(0),
                upstream_received: Cell::new(0),
                upstream_sent: Cell::new(0),
                counts,
            },
            status: Cell::new(OK),
            upstream: RefCell::default(),
            attempts: RefCell::default(),
            telemetry,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.traffic.counts.end(self.status.get());
        if self.facts.logged {
            self.telemetry.log_session(self);
        }
    }
}

impl Traffic {
    /// Counts bytes that were read.
    pub(crate) fn read(&self, direction: Direction, bytes: usize) {
        let bytes = bytes as u64;
        let now = Instant::now();
        self.active.set(now);
        match direction {
            Direction::ToEndpoint => {
                self.counts.received(bytes);
                add(&self.received, bytes);
            }
            Direction::ToClient => {
                if self.first_byte.get().is_none() {
                    self.first_byte.set(Some(now));
                }
                add(&self.upstream_received, bytes);
            }
        }
    }

    /// Counts bytes that were written.
    pub(crate) fn written(&self, direction: Direction, bytes: usize) {
        let bytes = bytes as u64;
        match direction {
            Direction::ToEndpoint => add(&self.upstream_sent, bytes),
            Direction::ToClient => {
                self.counts.sent(bytes);
                add(&self.sent, bytes);
            }
        }
    }

    /// Notes that a side could be written to after it was blocked.
    pub(crate) fn touch(&self) {
        self.active.set(Instant::now());
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.get()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.get()
    }

    pub(crate) fn upstream_received(&self) -> u64 {
        self.upstream_received.get()
    }

    pub(crate) fn upstream_sent(&self) -> u64 {
        self.upstream_sent.get()
    }

    /// Returns when nothing was read or written for `idle`.
    pub(crate) async fn silence(&self, idle: Duration) {
        loop {
            let Some(deadline) = self.active.get().checked_add(idle) else {
                return std::future::pending().await;
            };
            tokio::time::sleep_until(deadline).await;
            if self.active.get().checked_add(idle) <= Some(Instant::now()) {
                return;
            }
        }
    }
}

fn add(count: &Cell<u64>, bytes: u64) {
    count.set(count.get().wrapping_add(bytes));
}
