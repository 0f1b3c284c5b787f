//! Bytes that are to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// More memory than that is given up when the connection is idle, bytes.
const KEPT: usize = 2 << 10;
/// Longer pieces of a body are not copied, bytes.
const COPIED: usize = 2 << 10;
/// With so much to write, in bytes of a request and of the buffer, and in pieces, a further piece would only wait.
const FULL: usize = 64 << 10;
const FULL_BUFFER: usize = 16 << 10;
const PIECES: usize = 16;

/// A buffer, and pieces between its bytes that are not copied.
#[derive(Debug)]
pub(crate) struct Output {
    /// With so many bytes to write a further piece would only wait.
    full: usize,
    buffer: Vec<u8>,
    /// How much of the buffer was written.
    written: usize,
    /// Each comes after so many bytes of the buffer.
    pieces: VecDeque<(usize, Bytes)>,
    /// Bytes of the pieces.
    queued: usize,
    /// Something was written that is not flushed.
    unflushed: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self::new(FULL)
    }
}

impl Output {
    /// Nothing is to be written. With `full` bytes a further piece would only wait.
    pub(crate) fn new(full: usize) -> Self {
        Self {
            full,
            buffer: Vec::new(),
            written: 0,
            pieces: VecDeque::new(),
            queued: 0,
            unflushed: false,
        }
    }

    /// Where to append.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Appends `piece` and `tail`.
    pub(crate) fn push(&mut self, piece: Bytes, tail: &[u8]) {
        if piece.len() <= COPIED {
            self.buffer.extend_from_slice(&piece);
        } else {
            self.queued += piece.len();
            self.pieces.push_back((self.buffer.len(), piece));
        }
        self.buffer.extend_from_slice(tail);
    }

    /// Whether a further piece would only wait.
    pub(crate) fn is_full(&self) -> bool {
        self.left() >= self.full || self.buffer.len() >= FULL_BUFFER || self.pieces.len() >= PIECES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left() == 0 && !self.unflushed
    }

    fn left(&self) -> usize {
        self.buffer.len() - self.written + self.queued
    }

    /// Writes and flushes all.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.left() > 0 {
            let written = if self.pieces.is_empty() {
                let rest = self.buffer.get(self.written..).unwrap_or_default();
                ready!(Pin::new(&mut *io).poll_write(cx, rest))?
            } else {
                // A stream that cannot do so writes the first of them that is not empty.
                let slices = self.slices();
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices))?
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// All of it, in order.
    fn slices(&self) -> [IoSlice<'_>; 2 * PIECES + 1] {
        let mut slices = [IoSlice::new(&[]); 2 * PIECES + 1];
        let mut from = self.written;
        let mut rest = slices.iter_mut();
        for (at, piece) in &self.pieces {
            let before = self.buffer.get(from..*at).unwrap_or_default();
            for (slice, bytes) in rest.by_ref().zip([before, piece]) {
                *slice = IoSlice::new(bytes);
            }
            from = *at;
        }
        if let Some(slice) = rest.next() {
            *slice = IoSlice::new(self.buffer.get(from..).unwrap_or_default());
        }
        slices
    }

    fn advance(&mut self, mut written: usize) {
        self.unflushed = true;
        loop {
            let first = self.pieces.front_mut();
            let end = first.as_ref().map_or(self.buffer.len(), |(at, _)| *at);
            let of_buffer = written.min(end - self.written);
            self.written += of_buffer;
            written -= of_buffer;
            let Some((_, piece)) = first.filter(|_| written > 0) else {
                break;
            };
            let of_piece = written.min(piece.len());
            piece.advance(of_piece);
            self.queued -= of_piece;
            written -= of_piece;
            if !piece.is_empty() {
                break;
            }
            self.pieces.pop_front();
        }
        if self.left() == 0 {
            self.buffer.clear();
            self.written = 0;
        }
    }

    /// Forgets what was not written.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.full);
    }

    /// Gives up memory.
    pub(crate) fn rest(&mut self) {
        self.buffer.shrink_to(KEPT);
        self.pieces = VecDeque::new();
    }
}
