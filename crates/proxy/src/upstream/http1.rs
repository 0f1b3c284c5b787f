//! A connection of HTTP/1 to an endpoint, as the pool, an exchange, a body and a tunnel use it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use headgate_http1::{Error, Fill, Io, RequestHead, ResponseHead};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;

use super::request_body::RequestBody;

/// The task of a request drives it. Dropped, it tells the endpoint that it closes.
pub(super) struct Connection {
    /// Shared with the sender.
    wire: Rc<RefCell<Wire>>,
    /// Sends the rest of a request whose response has begun, however slowly that is read.
    sender: Option<JoinHandle<()>>,
}

/// Over TCP, TLS, or FastCGI as HTTP.
type Wire = headgate_http1::Connection<Box<dyn Io>, RequestBody>;

impl Connection {
    /// A connection over `stream` that reads about `buffer` bytes ahead at most.
    pub(super) fn new(stream: Box<dyn Io>, buffer: usize) -> Self {
        Self {
            wire: Rc::new(RefCell::new(Wire::new(stream, buffer))),
            sender: None,
        }
    }

    /// See [`headgate_http1::Connection::start`].
    pub(super) fn start(&self, head: &RequestHead<'_>, body: RequestBody) -> Result<(), Error> {
        self.wire.borrow_mut().start(head, body)
    }

    /// See [`headgate_http1::Connection::poll_head`]. What is not sent until then is sent on.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Error>> {
        let mut wire = self.wire.borrow_mut();
        let head = wire.poll_head(cx);
        if matches!(head, Poll::Ready(Ok(_))) && !wire.is_sent() {
            let wire = self.wire.clone();
            let sending = poll_fn(move |cx| wire.borrow_mut().poll_send(cx));
            self.sender = Some(tokio::task::spawn_local(async move {
                if let Err(error) = sending.await {
                    tracing::debug!(%error, "request broke after the head of its response");
                }
            }));
        }
        head
    }

    /// See [`headgate_http1::Connection::poll_frame`].
    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.wire.borrow_mut().poll_frame(cx)
    }

    /// See [`headgate_http1::Connection::poll_fill`].
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Error>>> {
        self.wire.borrow_mut().poll_fill(cx, fill)
    }

    /// Whether the response was read to its end.
    pub(super) fn is_end(&self) -> bool {
        self.wire.borrow().is_end()
    }

    /// How much is left of the body, if the endpoint announced its length.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.wire.borrow().size_hint()
    }

    /// Whether the request is sent, or given up.
    pub(super) fn is_sent(&self) -> bool {
        self.wire.borrow().is_sent()
    }

    /// Waits until it is.
    pub(super) async fn sent(&mut self) {
        if let Some(sender) = &mut self.sender {
            // It ends in no other way than it began: in this task's thread, by itself.
            let _ = sender.await;
            self.sender = None;
        }
    }

    /// See [`headgate_http1::Connection::is_reusable`].
    pub(super) fn is_reusable(&self) -> bool {
        self.wire.borrow().is_reusable()
    }

    /// See [`headgate_http1::Connection::poll_usable`].
    pub(super) fn poll_usable(&self, cx: &mut Context<'_>) -> bool {
        self.wire.borrow_mut().poll_usable(cx)
    }

    /// Gives up the memory that only a request needs.
    pub(super) fn rest(&self) {
        self.wire.borrow_mut().rest();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.abort();
        }
        self.wire.borrow_mut().close();
    }
}

// After a switch of protocols.

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire.borrow_mut()).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.wire.borrow_mut()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.wire.borrow_mut()).poll_shutdown(cx)
    }
}
