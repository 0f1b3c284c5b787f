//! Bytes that were read and not used yet.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Bytes of the first read, and of each until one fills its room. Less room than that is not read into.
const FIRST: usize = 8 << 10;
/// Most bytes of one read of a long body: each costs a system call, and an acknowledgement.
const LONG: usize = 128 << 10;

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
        self.poll_read_most(self.most, io, cx)
    }

    /// The same, of a body of which `left` bytes are left: longer pieces.
    pub(crate) fn poll_read_body<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        left: u64,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let left = usize::try_from(left).map_or(LONG, |left| left.min(LONG));
        self.poll_read_most(left.max(self.most), io, cx)
    }

    fn poll_read_most<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        most: usize,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let room = self.next.min(most.saturating_sub(self.bytes.len()));
        if self.bytes.capacity() - self.bytes.len() < room.min(FIRST) {
            self.bytes.reserve(room);
        }
        // The future has no state: a new one goes on where the last one stopped.
        let length = ready!(pin!(io.read_buf(&mut self.bytes)).poll(cx))?;
        if length >= self.next {
            self.next = self.next.saturating_mul(2).min(most);
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

    /// Gives up the memory of a long body that was used up: what comes next is short.
    pub(crate) fn end_body(&mut self) {
        if self.bytes.is_empty() && self.bytes.capacity() > self.most {
            self.bytes = BytesMut::new();
        }
    }

    /// Gives up the memory. What is left in it is lost.
    pub(crate) fn rest(&mut self) {
        *self = Self::new(self.most);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const MOST: usize = 32 << 10;

    /// The lengths of all reads of a body of `length` bytes that has arrived.
    fn reads(input: &mut Input, length: usize) -> Vec<usize> {
        let body = vec![b'x'; length];
        let (mut body, mut reads) = (&body[..], Vec::new());
        let mut cx = Context::from_waker(Waker::noop());
        while !body.is_empty() {
            let left = body.len() as u64;
            let read = input.poll_read_body(left, &mut body, &mut cx);
            let Poll::Ready(Ok(read)) = read else {
                panic!("{read:?}");
            };
            assert_eq!(input.take(u64::MAX).len(), read);
            reads.push(read);
        }
        reads
    }

    #[test]
    fn long_bodies_are_read_in_long_pieces_and_leave_no_memory() {
        let mut input = Input::new(MOST);
        let lengths = reads(&mut input, 1 << 20);
        assert_eq!(lengths.iter().sum::<usize>(), 1 << 20);
        assert!(lengths.contains(&LONG) && lengths.len() < 16, "{lengths:?}");
        input.end_body();
        assert!(input.bytes.capacity() <= MOST);
        let lengths = reads(&mut input, 100);
        assert_eq!(lengths, [100]);
        assert!(input.bytes.capacity() <= MOST, "what is left is short");
    }

    #[test]
    fn short_reads_use_the_room_that_is_left() {
        let mut input = Input::new(MOST);
        reads(&mut input, 1 << 20);
        let (mut cx, mut buffers) = (Context::from_waker(Waker::noop()), Vec::new());
        for _ in 0..16 {
            let mut piece = &[b'x'; FIRST][..];
            let read = input.poll_read_body(1 << 20, &mut piece, &mut cx);
            assert!(matches!(read, Poll::Ready(Ok(FIRST))));
            buffers.push(input.take(u64::MAX).as_ptr_range());
        }
        let neighbours = buffers.windows(2).filter(|two| two[0].end == two[1].start);
        assert!(neighbours.count() >= 14, "most follow the one before");
    }
}
