//! The body of a request, as its user reads it.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Weak;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::oneshot;

use super::wire::{Reading, Upgraded, Wire};
use crate::Error;
use crate::chunked::Part;
use crate::io::Fill;

/// The body of a request. It is read from the connection when it is polled, by whatever task, and not ahead. Dropped before its
/// end, it ends the connection after the response, unless the rest is little and has arrived.
#[derive(Debug, Default)]
pub struct Incoming {
    /// `None`: nothing is left.
    wire: Option<Weak<RefCell<Wire>>>,
    upgrade: Option<Upgrade>,
}

impl Incoming {
    pub(super) fn new(wire: Option<Weak<RefCell<Wire>>>, upgrade: Option<Upgrade>) -> Self {
        Self { wire, upgrade }
    }

    /// The connection after a switch to another protocol, once, if the request asks for one: after a 101, or after a successful
    /// response to CONNECT.
    pub fn take_upgrade(&mut self) -> Option<Upgrade> {
        self.upgrade.take()
    }

    /// Has `fill` read the next bytes of the body from the socket; returns how many it has read. `None` if they are in the next
    /// frame, because the stream is no socket or some have been read ahead, or the length is not known.
    ///
    /// # Errors
    /// Those of the next frame.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Error>>> {
        let Some(wire) = self.wire.as_ref().and_then(Weak::upgrade) else {
            return Poll::Ready(None);
        };
        let mut wire = wire.borrow_mut();
        let filled = ready!(wire.poll_fill(cx, fill));
        if !matches!(wire.reading, Reading::Body(_)) {
            self.wire = None;
        }
        Poll::Ready(filled)
    }

    fn with<T>(&self, call: impl FnOnce(&Wire) -> T) -> Option<T> {
        let wire = self.wire.as_ref()?.upgrade()?;
        let wire = wire.borrow();
        Some(call(&wire))
    }
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(wire) = &self.wire else {
            return Poll::Ready(None);
        };
        let (part, is_over) = match wire.upgrade() {
            None => (Err(Error::Truncated), true),
            Some(wire) => {
                let mut wire = wire.borrow_mut();
                let part = ready!(wire.poll_body(cx));
                (part, !matches!(wire.reading, Reading::Body(_)))
            }
        };
        if is_over {
            self.wire = None;
        }
        Poll::Ready(match part {
            Ok(Part::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Part::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Part::End | Part::More) => None,
            Err(error) => Some(Err(error)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.wire.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.wire {
            None => SizeHint::with_exact(0),
            Some(_) => self.with(Wire::size_hint).unwrap_or_default(),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take().and_then(|wire| wire.upgrade()) {
            wire.borrow_mut().abandon();
        }
    }
}

/// The stream of another protocol, once the response that agrees to it is sent; `None` if there is none.
#[derive(Debug)]
pub struct Upgrade(pub(super) oneshot::Receiver<Upgraded>);

impl Future for Upgrade {
    type Output = Option<Upgraded>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let upgraded = ready!(Pin::new(&mut self.0).poll(cx));
        Poll::Ready(upgraded.ok())
    }
}
