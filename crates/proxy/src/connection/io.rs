//! The layer around a client's stream, under TLS, that notices blocked output.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use headgate_http1::{Socket, Transfer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;

/// The stream itself: returns bytes that were read ahead, and records since when the peer reads no output.
pub(crate) struct Transport<S> {
    stream: S,
    ahead: Bytes,
    activity: Rc<Activity>,
}

impl<S> Transport<S> {
    /// `stream`, of which `ahead` has been read already.
    pub(crate) fn new(stream: S, ahead: Bytes, activity: Rc<Activity>) -> Self {
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

impl<S: Socket> Socket for Transport<S> {
    fn is_socket(&self) -> bool {
        self.ahead.is_empty() && self.stream.is_socket()
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_receive(cx, receive)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        let poll = self.stream.poll_send(cx, send);
        self.watched(poll)
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
