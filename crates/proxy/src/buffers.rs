//! Responses that wait for clients which read slowly, or not at all: how much of them the process holds.
//!
//! Each piece of a response is counted until it has been written to the client's socket: for the response, for its connection
//! and for the process. Beyond a bound a response gets no further piece while it has one, so its endpoint waits instead. It
//! always gets one: a response that its client reads goes on, however much is held for others.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use crate::sync::AtomicUsize;

/// Bound of one response, bytes.
const OF_RESPONSE: usize = 64 << 10;
/// Bound of all responses of a connection, bytes.
const OF_CONNECTION: usize = 256 << 10;
/// Shorter pieces are not counted: HTTP/2 bounds them per stream, and HTTP/1 per connection.
const COUNTED: usize = 4 << 10;

/// What is held for all connections of the process.
#[derive(Debug)]
pub(crate) struct ResponseBuffers {
    held: AtomicUsize,
    bound: usize,
}

impl ResponseBuffers {
    /// Nothing is held. Beyond `bound` bytes each response gets one piece at a time.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            bound,
        }
    }

    /// Whether more is held than the bound.
    pub(crate) fn full(&self) -> bool {
        self.held.load(Relaxed) > self.bound
    }
}

/// What is held for one connection.
#[derive(Debug)]
pub(crate) struct ConnectionBuffers {
    held: AtomicUsize,
    process: Arc<ResponseBuffers>,
}

impl ConnectionBuffers {
    /// Nothing is held.
    pub(crate) fn new(process: Arc<ResponseBuffers>) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            process,
        })
    }

    fn full(&self) -> bool {
        self.held.load(Relaxed) > OF_CONNECTION || self.process.full()
    }
}

/// What is held of one response.
#[derive(Debug)]
pub(crate) struct Gate {
    connection: Arc<ConnectionBuffers>,
    /// None before the first counted piece: most responses have none.
    response: Option<Arc<ResponseBuffer>>,
}

#[derive(Debug)]
struct ResponseBuffer {
    held: AtomicUsize,
    /// Waits until some of it has been written.
    waker: AtomicWaker,
    connection: Arc<ConnectionBuffers>,
}

impl Gate {
    /// A response of `connection`.
    pub(crate) fn new(connection: Arc<ConnectionBuffers>) -> Self {
        Self {
            connection,
            response: None,
        }
    }

    /// Ready when the response may have a further piece.
    pub(crate) fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        let Some(response) = &self.response else {
            return Poll::Ready(());
        };
        let held = response.held.load(Relaxed);
        if held == 0 || (held < OF_RESPONSE && !self.connection.full()) {
            return Poll::Ready(());
        }
        // Pieces are written by the thread that polls here, so none can be dropped meanwhile.
        response.waker.register(cx.waker());
        Poll::Pending
    }

    /// `piece`, which is held until it is dropped.
    pub(crate) fn hold(&mut self, piece: Bytes) -> Bytes {
        if piece.len() < COUNTED {
            return piece;
        }
        let response = self.response.get_or_insert_with(|| {
            Arc::new(ResponseBuffer {
                held: AtomicUsize::new(0),
                waker: AtomicWaker::new(),
                connection: self.connection.clone(),
            })
        });
        let response = response.clone();
        for held in response.counters() {
            held.fetch_add(piece.len(), Relaxed);
        }
        Bytes::from_owner(Held { piece, response })
    }
}

impl ResponseBuffer {
    fn counters(&self) -> [&AtomicUsize; 3] {
        let connection = &self.connection;
        [&self.held, &connection.held, &connection.process.held]
    }
}

/// A counted piece.
struct Held {
    piece: Bytes,
    response: Arc<ResponseBuffer>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for held in self.response.counters() {
            held.fetch_sub(self.piece.len(), Relaxed);
        }
        self.response.waker.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    fn piece(kilobytes: usize) -> Bytes {
        vec![b'x'; kilobytes << 10].into()
    }

    fn open(gate: &Gate) -> bool {
        let waker = Arc::new(Woken::default()).into();
        gate.poll_open(&Context::from_waker(&waker)).is_ready()
    }

    #[test]
    fn a_response_waits_at_its_bound_until_its_pieces_are_written() {
        let process = Arc::new(ResponseBuffers::new(1 << 30));
        let mut gate = Gate::new(ConnectionBuffers::new(process.clone()));
        assert!(open(&gate));
        let short = gate.hold(Bytes::from_static(b"short"));
        assert!(gate.response.is_none(), "not counted: {short:?}");
        let first = gate.hold(piece(48));
        assert!(open(&gate));
        let second = gate.hold(piece(32));
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        assert!(gate.poll_open(&Context::from_waker(&waker)).is_pending());
        let end = second.slice(30 << 10..);
        drop((first, second));
        assert!(woken.0.load(Relaxed) && open(&gate));
        assert_eq!(process.held.load(Relaxed), 32 << 10, "a part is left");
        drop(end);
        assert_eq!(process.held.load(Relaxed), 0);
    }

    #[test]
    fn beyond_the_bounds_of_others_a_response_gets_one_piece() {
        let process = Arc::new(ResponseBuffers::new(512 << 10));
        let one = ConnectionBuffers::new(process.clone());
        let mut gates: Vec<Gate> = (0..5).map(|_| Gate::new(one.clone())).collect();
        let mut pieces: Vec<Bytes> = gates.iter_mut().map(|gate| gate.hold(piece(60))).collect();
        assert!(gates.iter().all(|gate| !open(gate)), "of the connection");
        let mut other = Gate::new(ConnectionBuffers::new(process.clone()));
        let held = other.hold(piece(60));
        assert!(open(&other));
        pieces.extend((0..5).map(|_| gates[0].hold(piece(60))));
        assert!(process.full() && !open(&other), "of the process");
        drop(held);
        assert!(open(&other) && open(&Gate::new(one)), "none is held");
    }
}
