//! The two layers around a client's stream: one under TLS that notices blocked output, one above it that scans heads.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::scan::Scanner;

/// Bytes that are read of a request before there is a buffer for it.
const AHEAD: usize = 512;

/// The stream itself: returns bytes that were read ahead, and records since when the peer reads no output.
pub(crate) struct Transport<S> {
    stream: S,
    ahead: Bytes,
    activity: Arc<Activity>,
}

impl<S> Transport<S> {
    /// `stream`, of which `ahead` has been read already.
    pub(crate) fn new(stream: S, ahead: Bytes, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            ahead,
            activity,
        }
    }
}

/// Moves what was read `ahead` to `buf`, as far as it has room, and frees the memory with the last byte.
fn take(ahead: &mut Bytes, buf: &mut ReadBuf<'_>) {
    let n = ahead.len().min(buf.remaining());
    buf.put_slice(&ahead[..n]);
    ahead.advance(n);
    if ahead.is_empty() {
        *ahead = Bytes::new();
    }
}

impl<S> Drop for Transport<S> {
    fn drop(&mut self) {
        self.activity.stream_dropped();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        take(&mut self.ahead, buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watched(poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watched(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S> Transport<S> {
    fn watched<T>(&self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match &poll {
            Poll::Pending => self.activity.write_blocked(),
            Poll::Ready(_) => self.activity.written(),
        }
        poll
    }
}

/// A stream of HTTP/1 requests: the [`Scanner`] sees every byte that is read, and a flush records that responses are sent.
pub(crate) struct Scanned<S> {
    stream: S,
    /// What was read, and scanned, while hyper did not read.
    ahead: Bytes,
    scanner: Scanner,
    activity: Arc<Activity>,
}

impl<S> Scanned<S> {
    /// Scans `stream` from its first byte.
    pub(crate) fn new(stream: S, scanner: Scanner, activity: Arc<Activity>) -> Self {
        Self {
            stream,
            ahead: Bytes::new(),
            scanner,
            activity,
        }
    }

    /// Returns `bytes`, which were read before, to the next reader. Without any, the buffer that they are a part of is freed.
    pub(crate) fn read_ahead(&mut self, bytes: Bytes) {
        self.ahead = match bytes.is_empty() {
            true => Bytes::new(),
            false => bytes,
        };
    }

    /// The stream after the bytes that were read.
    pub(crate) fn into_stream(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> Scanned<S> {
    /// Waits for the next bytes, or the end of the stream, and keeps them for the next reader.
    pub(crate) fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut bytes = [0; AHEAD];
        let mut buf = ReadBuf::new(&mut bytes);
        ready!(self.poll_scanned(cx, &mut buf))?;
        self.ahead = [&self.ahead, buf.filled()].concat().into();
        Poll::Ready(Ok(()))
    }

    fn poll_scanned(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self;
        if this.scanner.broken() && !this.activity.is_tunnel() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let read = buf.filled().get(before..).unwrap_or_default();
        if !read.is_empty() && !this.activity.is_tunnel() {
            let sound = this.scanner.feed(read);
            this.activity.scanned(&this.scanner);
            if sound == 0 && this.scanner.broken() {
                // Zero bytes would mean the end of the stream.
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            buf.set_filled(before + sound);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Scanned<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return self.poll_scanned(cx, buf);
        }
        take(&mut self.ahead, buf);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Scanned<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only when its own buffer is empty, so that success means that all output has left.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.activity.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use headgate_table::ClientLimits;

    use super::*;

    #[test]
    fn a_connection_that_dozes_keeps_no_buffer_of_what_it_has_read() {
        struct Buffer {
            _held: Arc<()>,
        }
        impl AsRef<[u8]> for Buffer {
            fn as_ref(&self) -> &[u8] {
                b"rest"
            }
        }
        let buffer = Arc::new(());
        let mut bytes = Bytes::from_owner(Buffer {
            _held: buffer.clone(),
        });
        let scanner = Scanner::new((&ClientLimits::default()).into());
        let mut scanned = Scanned::new((), scanner, Arc::new(Activity::new()));
        scanned.read_ahead(bytes.clone());
        assert_eq!(scanned.ahead, "rest");
        bytes.advance(4);
        scanned.read_ahead(bytes);
        assert_eq!(Arc::strong_count(&buffer), 1);
    }
}
