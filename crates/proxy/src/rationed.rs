//! Connections to endpoints, of which little is read while the process holds too much of responses.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use headgate_http1::{Socket, Transfer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};

use crate::buffers::ResponseBuffers;

/// Largest read from an endpoint while the process holds more than its bound, bytes.
const RATION: u64 = 8 << 10;

/// A connection to an endpoint, of which little is read at a time while the process holds more than its bound: what has been read
/// stays in memory until the client has read what came before.
pub(crate) struct Rationed<S, O> {
    stream: Take<S>,
    process: Arc<ResponseBuffers>,
    /// What ends with it, whatever it is used for.
    _open: O,
}

impl<S: AsyncRead, O> Rationed<S, O> {
    /// `stream`, limited by what `process` holds, with what counts it as `open`.
    pub(crate) fn new(stream: S, process: Arc<ResponseBuffers>, open: O) -> Self {
        Self {
            stream: stream.take(u64::MAX),
            process,
            _open: open,
        }
    }
}

impl<S: AsyncRead + Unpin, O: Unpin> AsyncRead for Rationed<S, O> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = match self.process.full() {
            true => RATION,
            false => u64::MAX,
        };
        self.stream.set_limit(limit);
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, O: Unpin> AsyncWrite for Rationed<S, O> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.stream.get_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Socket, O> Socket for Rationed<S, O> {
    /// Pipes hold more than is read at a time while the process holds too much.
    fn is_socket(&self) -> bool {
        self.stream.get_ref().is_socket() && !self.process.full()
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        self.stream.get_mut().poll_receive(cx, receive)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        self.stream.get_mut().poll_send(cx, send)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::buffers::{ConnectionBuffers, Gate};

    #[tokio::test]
    async fn reads_are_short_while_the_process_holds_too_much() {
        let process = Arc::new(ResponseBuffers::new(0));
        let text = vec![b'x'; 100 << 10];
        let mut stream = Rationed::new(&text[..], process.clone(), ());
        let mut sink = vec![0; 64 << 10];
        assert_eq!(stream.read(&mut sink).await.unwrap(), 64 << 10);
        let held = Gate::new(ConnectionBuffers::new(process)).hold(vec![b'x'; 4 << 10].into());
        assert_eq!(stream.read(&mut sink).await.unwrap(), 8 << 10);
        drop(held);
        assert_eq!(stream.read(&mut sink).await.unwrap(), 28 << 10);
    }
}
