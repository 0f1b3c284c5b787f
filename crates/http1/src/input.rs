//! Bytes that were read and not used yet.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Bytes of the first read, and of each until one fills its room.
const FIRST: usize = 8 << 10;

/// A read buffer. It has no memory while the connection is idle.
#[derive(Debug)]
pub(crate) struct Input {
    bytes: BytesMut,
    /// Room for the next read.
    next: usize,
    most: usize,
}

impl Input {
    /// A buffer of at most about `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            bytes: BytesMut::new(),
            next: FIRST.min(most),
            most,
        }
    }

    pub(crate) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether nothing more may be read before something is used.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= self.most
    }

    /// The next bytes, `most` at most.
    pub(crate) fn take(&mut self, most: u64) -> Bytes {
        let length =
            usize::try_from(most).map_or(self.bytes.len(), |most| most.min(self.bytes.len()));
        self.bytes.split_to(length).freeze()
    }

    /// The next `length` bytes, and their memory if nothing follows them.
    pub(crate) fn take_head(&mut self, length: usize) -> Bytes {
        match length >= self.bytes.len() {
            true => std::mem::take(&mut self.bytes).freeze(),
            false => self.bytes.split_to(length).freeze(),
        }
    }

    /// Reads once. Returns the number of bytes; 0 at the end of the stream.
    pub(crate) fn poll_read<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.next.min(self.most.saturating_sub(self.bytes.len()));
        if self.bytes.capacity() - self.bytes.len() < room {
            self.bytes.reserve(room);
        }
        // The future has no state: a new one goes on where the last one stopped.
        let length = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx))?;
        if length >= self.next {
            self.next = self.next.saturating_mul(2).min(self.most);
        }
        Poll::Ready(Ok(length))
    }

    /// The same, without memory before there are bytes, for a connection that may be idle for long.
    pub(crate) fn poll_read_lean<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut room = [const { MaybeUninit::uninit() }; FIRST];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(io).poll_read(cx, &mut read))?;
        self.bytes.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    /// Gives up the memory. What is left in it is lost.
    pub(crate) fn rest(&mut self) {
        *self = Self::new(self.most);
    }
}
