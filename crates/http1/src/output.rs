//! Bytes that are to be written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::AsyncWrite;

/// More memory than that is given up when the connection is idle, bytes.
const KEPT: usize = 2 << 10;
/// Longer pieces of a body are not copied, bytes.
const COPIED: usize = 2 << 10;

/// A buffer, then a piece that is not copied, then what ends the piece.
#[derive(Debug, Default)]
pub(crate) struct Output {
    buffer: Vec<u8>,
    /// How much of the buffer was written.
    written: usize,
    piece: Bytes,
    tail: &'static [u8],
    /// Something was written that is not flushed.
    unflushed: bool,
}

impl Output {
    /// Where to append; before a piece only.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        debug_assert!(self.piece.is_empty() && self.tail.is_empty());
        &mut self.buffer
    }

    /// Appends `piece` and `tail`.
    pub(crate) fn push(&mut self, piece: Bytes, tail: &'static [u8]) {
        if piece.len() <= COPIED {
            let buffer = self.buffer();
            buffer.extend_from_slice(&piece);
            buffer.extend_from_slice(tail);
        } else {
            (self.piece, self.tail) = (piece, tail);
        }
    }

    /// Whether a further piece would only wait.
    pub(crate) fn is_full(&self) -> bool {
        !self.piece.is_empty() || !self.tail.is_empty() || self.buffer.len() >= COPIED
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left() == 0 && !self.unflushed
    }

    fn left(&self) -> usize {
        self.buffer.len() - self.written + self.piece.len() + self.tail.len()
    }

    /// Writes and flushes all.
    pub(crate) fn poll_write<S: AsyncWrite + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.left() > 0 {
            let rest = self.buffer.get(self.written..).unwrap_or_default();
            let slices = [rest, &self.piece, self.tail];
            let written = if rest.len() == self.left() {
                ready!(Pin::new(&mut *io).poll_write(cx, rest))?
            } else {
                // A stream that cannot do so writes the first of them that is not empty.
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices.map(IoSlice::new)))?
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

    fn advance(&mut self, written: usize) {
        self.unflushed = true;
        let of_buffer = written.min(self.buffer.len() - self.written);
        self.written += of_buffer;
        let of_piece = (written - of_buffer).min(self.piece.len());
        self.piece.advance(of_piece);
        let of_tail = written - of_buffer - of_piece;
        self.tail = self.tail.get(of_tail..).unwrap_or_default();
        if self.written == self.buffer.len() {
            self.buffer.clear();
            self.written = 0;
        }
        if self.piece.is_empty() {
            self.piece = Bytes::new();
        }
    }

    /// Forgets what was not written.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Gives up memory.
    pub(crate) fn rest(&mut self) {
        self.buffer.shrink_to(KEPT);
    }
}
