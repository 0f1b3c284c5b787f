//! What a connection shares with the body of its request: the stream, and what was read of it.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Buf;
use http_body::SizeHint;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Error;
use crate::chunked::Part;
use crate::input::Input;
use crate::io::{Fill, Io, Socket, Transfer};
use crate::left::Left;

/// Parts that are read of an abandoned body to keep the connection.
const DRAINED: usize = 2;

pub(super) struct Wire {
    pub(super) io: Box<dyn Io>,
    pub(super) input: Input,
    pub(super) reading: Reading,
    /// The body was dropped by its reader.
    abandoned: bool,
    pub(super) interim: Continue,
    /// The task of the connection, which waits for the body.
    waker: Option<Waker>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

/// What is read of a request.
#[derive(Debug)]
pub(super) enum Reading {
    /// All of it was read: what follows is the next one.
    Done,
    Body(Left),
    /// What follows has no meaning.
    Lost,
}

/// The response 100 (Continue).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continue {
    /// The client does not wait for it, or it is sent, or too late.
    No,
    /// The client waits for it; it is sent when the body is read.
    Expected,
    Due,
}

impl Wire {
    pub(super) fn new(io: Box<dyn Io>, read_ahead: usize) -> Self {
        Self {
            io,
            input: Input::new(read_ahead),
            reading: Reading::Done,
            abandoned: false,
            interim: Continue::No,
            waker: None,
        }
    }

    /// Begins to read a body.
    pub(super) fn begin(&mut self, reading: Reading, expects: bool) {
        self.abandoned = false;
        self.interim = match (&reading, expects) {
            (Reading::Body(_), true) => Continue::Expected,
            _ => Continue::No,
        };
        self.reading = reading;
    }

    /// Appends 100 (Continue) to `out`, if it is due.
    pub(super) fn write_interim(&mut self, out: &mut Vec<u8>) {
        if self.interim == Continue::Due {
            self.interim = Continue::No;
            out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Whether all of the request was read.
    pub(super) fn is_read(&self) -> bool {
        matches!(self.reading, Reading::Done)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.reading {
            Reading::Body(left) => left.size_hint(),
            Reading::Done => SizeHint::with_exact(0),
            Reading::Lost => SizeHint::new(),
        }
    }

    /// Reads the next part of the body for its user.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Error>> {
        if self.interim == Continue::Expected {
            self.interim = Continue::Due;
            self.wake(Some(cx));
        }
        let part = ready!(self.poll_part(cx));
        if !matches!(self.reading, Reading::Body(_)) {
            self.wake(Some(cx));
        }
        Poll::Ready(part)
    }

    /// Has `fill` read the next bytes of the body from the socket. `None` if only [`Wire::poll_body`] reads them.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Error>>> {
        let Reading::Body(left) = &mut self.reading else {
            return Poll::Ready(None);
        };
        if self.interim == Continue::Expected {
            return Poll::Ready(None);
        }
        let filled = ready!(left.poll_fill(&self.input, &mut self.io, cx, fill));
        if let Some(filled) = &filled {
            self.has_read(filled.is_err());
            if !matches!(self.reading, Reading::Body(_)) {
                self.wake(Some(cx));
            }
        }
        Poll::Ready(filled)
    }

    /// After a part of the body, which may be the last, or `failed`.
    fn has_read(&mut self, failed: bool) {
        self.reading = match &self.reading {
            _ if failed => Reading::Lost,
            Reading::Body(left) if left.is_end() => Reading::Done,
            _ => return,
        };
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Error>> {
        let left = match &mut self.reading {
            Reading::Body(left) => left,
            Reading::Done => return Poll::Ready(Ok(Part::End)),
            Reading::Lost => return Poll::Ready(Err(Error::Truncated)),
        };
        let part = ready!(left.poll_next(&mut self.input, &mut self.io, cx));
        self.has_read(part.is_err());
        Poll::Ready(part)
    }

    /// The body has no reader any more.
    pub(super) fn abandon(&mut self) {
        self.abandoned = true;
        self.wake(None);
    }

    /// Reads an abandoned body as far as it has arrived. If more is left, what follows is lost.
    pub(super) fn drain(&mut self) {
        if !self.abandoned {
            return;
        }
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..DRAINED {
            if self.is_read() {
                return;
            }
            if self.poll_part(&mut cx).is_pending() {
                break;
            }
        }
        if matches!(self.reading, Reading::Body(_)) {
            self.reading = Reading::Lost;
        }
    }

    /// Wakes `task` when the body is over.
    pub(super) fn wake_with(&mut self, task: &Waker) {
        if matches!(self.reading, Reading::Body(_)) {
            match &mut self.waker {
                Some(waker) => waker.clone_from(task),
                None => self.waker = Some(task.clone()),
            }
        }
    }

    /// Wakes the task of the connection, unless that is the one of `cx`.
    fn wake(&mut self, cx: Option<&Context<'_>>) {
        let other = |waker: &Waker| cx.is_none_or(|cx| !waker.will_wake(cx.waker()));
        if let Some(waker) = self.waker.take().filter(other) {
            waker.wake();
        }
    }

    /// Ready when the client has closed the connection, as far as that can be seen: not behind bytes that are not used yet.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_read() || !self.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(self.input.poll_read_lean(&mut self.io, cx)) {
            // Of the next request, or of a tunnel.
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }
}

/// Writes to the stream of a connection.
pub(super) struct Writer<'w>(pub(super) &'w RefCell<Wire>);

impl AsyncWrite for Writer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().io).poll_shutdown(cx)
    }
}

impl Socket for Writer<'_> {
    fn is_socket(&self) -> bool {
        self.0.borrow().io.is_socket()
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().io.poll_send(cx, send)
    }
}

/// The stream of another protocol, from its first byte on.
#[derive(Debug)]
pub struct Upgraded(pub(super) Wire);

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut self.0;
        let ahead = wire.input.bytes();
        if ahead.is_empty() {
            return Pin::new(&mut wire.io).poll_read(cx, buf);
        }
        let length = ahead.len().min(buf.remaining());
        buf.put_slice(&ahead[..length]);
        ahead.advance(length);
        if ahead.is_empty() {
            wire.input.rest();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0.io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.io).poll_shutdown(cx)
    }
}
