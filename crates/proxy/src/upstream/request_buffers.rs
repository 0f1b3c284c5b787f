//! Memory for request bodies that are read to their end before they are sent.
//!
//! A body that fits costs no file. The memory is that of all workers, so that many long bodies cannot use up the process's: once
//! it is taken, bodies go to files as soon as they exceed what their route keeps.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};

use crate::sync::AtomicUsize;

/// Longest body that stays in memory because there is some, bytes: the default of `proxy-body-size`.
pub(super) const WHOLE: usize = 1 << 20;
/// Shorter pieces are copied together, bytes: each by itself would cost more than its content.
const SHORT: usize = 4 << 10;
/// Bytes that are copied together at most.
const TOGETHER: usize = 32 << 10;

/// What is held for the requests of all workers.
#[derive(Debug)]
pub(crate) struct RequestBuffers {
    held: AtomicUsize,
    bound: usize,
}

impl RequestBuffers {
    /// Nothing is held, and `bound` bytes at most.
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            bound,
        }
    }

    /// `bytes` more, if there is room for them.
    fn take(&self, bytes: usize) -> bool {
        let held = |held: usize| held.checked_add(bytes).filter(|held| *held <= self.bound);
        self.held.fetch_update(Relaxed, Relaxed, held).is_ok()
    }
}

/// What is held for one body, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    buffers: Arc<RequestBuffers>,
    bytes: usize,
}

impl Share {
    /// Nothing of `buffers` yet.
    pub(super) fn new(buffers: Arc<RequestBuffers>) -> Self {
        Self { buffers, bytes: 0 }
    }

    /// Whether a body of this length may stay in memory; its share is this large then.
    pub(super) fn covers(&mut self, length: usize) -> bool {
        let more = length.saturating_sub(self.bytes);
        let covers = length <= WHOLE && (more == 0 || self.buffers.take(more));
        if covers {
            self.bytes = self.bytes.max(length);
        }
        covers
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.buffers.held.fetch_sub(self.bytes, Relaxed);
    }
}

/// Bytes as they were received, but short pieces together.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    chunks: Vec<Bytes>,
    short: BytesMut,
    length: usize,
}

impl Chunks {
    /// Adds `piece` to the end.
    pub(super) fn push(&mut self, piece: Bytes) {
        self.length += piece.len();
        if piece.len() < SHORT {
            self.short.extend_from_slice(&piece);
            if self.short.len() >= TOGETHER {
                self.end_short();
            }
        } else {
            self.end_short();
            self.chunks.push(piece);
        }
    }

    /// How many bytes there are.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// All of them; nothing is left.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.end_short();
        self.length = 0;
        std::mem::take(&mut self.chunks)
    }

    fn end_short(&mut self) {
        if !self.short.is_empty() {
            self.chunks.push(self.short.split().freeze());
        }
    }
}

/// A body in memory.
#[derive(Debug)]
pub(super) struct Held {
    chunks: Vec<Bytes>,
    length: usize,
    /// Returned with the last use of the body.
    _share: Share,
}

impl Held {
    /// What was received, with its share of the memory.
    pub(super) fn new(mut received: Chunks, share: Share) -> Self {
        Self {
            length: received.len(),
            chunks: received.take(),
            _share: share,
        }
    }

    /// Bytes.
    pub(super) fn len(&self) -> u64 {
        self.length as u64
    }

    /// The chunk of this number, from 0.
    pub(super) fn chunk(&self, number: usize) -> Option<&Bytes> {
        self.chunks.get(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(length: usize) -> Bytes {
        vec![b'x'; length].into()
    }

    #[test]
    fn bodies_share_the_memory_and_return_it() {
        let buffers = Arc::new(RequestBuffers::new(1000));
        let share = || Share::new(buffers.clone());
        let (mut first, mut second) = (share(), share());
        assert!(first.covers(400) && first.covers(600) && first.covers(500));
        assert!(!second.covers(401) && second.covers(400));
        assert!(!first.covers(601), "a share does not shrink");
        drop(first);
        assert!(second.covers(1000));
        drop(second);
        assert_eq!(buffers.held.load(Relaxed), 0);
    }

    #[test]
    fn a_long_body_gets_no_more() {
        let mut share = Share::new(Arc::new(RequestBuffers::new(usize::MAX)));
        assert!(share.covers(WHOLE) && !share.covers(WHOLE + 1));
    }

    #[test]
    fn short_pieces_are_copied_together_in_order() {
        let mut chunks = Chunks::default();
        for text in ["a", "b", "c"] {
            chunks.push(Bytes::from_static(text.as_bytes()));
        }
        let long = piece(SHORT);
        chunks.push(long.clone());
        chunks.push(Bytes::from_static(b"d"));
        assert_eq!(chunks.len(), SHORT + 4);
        let taken = chunks.take();
        assert_eq!(
            taken,
            [Bytes::from_static(b"abc"), long, Bytes::from_static(b"d")]
        );
        assert_eq!((chunks.len(), chunks.take().len()), (0, 0));
        (0..TOGETHER).for_each(|_| chunks.push(piece(2)));
        assert_eq!(chunks.take().len(), 2, "and not without bound");
    }
}
