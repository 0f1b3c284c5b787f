//! HTTP/1 towards a client: one connection, one request at a time.
//!
//! A [`Connection`] has no task, no channel and no clock: the task of the connection polls it, in turns. It reads the head of a
//! request ([`Connection::poll_head`]), serves it ([`Connection::poll_served`]), begins the response ([`Connection::respond`]) and
//! sends it ([`Connection::poll_sent`]), which says what comes [`Next`]. The body of the request, [`Incoming`], is read from the
//! connection when it is polled. Deadlines are for the user.
//!
//! What it reads and writes is what hyper would read and write (`tests/server_requests.rs` and `tests/server_responses.rs` compare both),
//! but requests whose framing is ambiguous are refused, and heads have finer bounds: see [`Fault`].

mod body;
mod date;
mod framing;
mod head;
mod limits;
mod reply;
mod wire;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Version};
use tokio::sync::oneshot;

pub use self::body::{Incoming, Upgrade};
use self::framing::Framed;
pub use self::head::Refusal;
use self::head::{Arriving, Head};
pub use self::limits::{Fault, Limits};
use self::reply::Length;
pub use self::reply::Reply;
pub use self::wire::Upgraded;
use self::wire::{Continue, Reading, Wire, Writer};
use crate::chunked::{Bounds, Chunked};
use crate::left::Left;
use crate::response::Asked;
use crate::sending::Sending;
use crate::{Error, Io, Piped};

/// A connection of a client, which gets responses with bodies `B`.
#[derive(Debug)]
pub struct Connection<B> {
    wire: Rc<RefCell<Wire>>,
    sending: Sending<B>,
    limits: Limits,
    arriving: Arriving,
    /// Empty, with the room for the fields of a head.
    fields: HeaderMap,
    request: reply::Request,
    /// Another request may follow.
    keep: bool,
    /// The client can have more than one response.
    keeps: bool,
    upgrade: Option<oneshot::Sender<Upgraded>>,
    switches: bool,
}

/// What follows a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The next request.
    Request,
    /// The connection is the stream of another protocol: see [`Connection::switch`].
    Switch,
    /// Nothing: the sending side is to be shut down.
    Close,
}

impl<B> Connection<B> {
    /// The connection `io`, of which nothing was read. `keeps`: it may serve more than one request.
    pub fn new(io: Box<dyn Io>, limits: Limits, keeps: bool) -> Self {
        // What is beyond the bound of a head shows that.
        let read_ahead = limits.buffer.max(limits.head.saturating_add(1));
        Self {
            wire: Rc::new(RefCell::new(Wire::new(io, read_ahead))),
            sending: Sending::new(limits.buffer),
            limits,
            arriving: Arriving::default(),
            fields: HeaderMap::new(),
            request: reply::Request::default(),
            keep: keeps,
            keeps,
            upgrade: None,
            switches: false,
        }
    }

    /// Whether a part of the next head has arrived.
    pub fn has_begun(&self) -> bool {
        self.arriving
            .has_begun(self.wire.borrow_mut().input.bytes())
    }

    /// Gives up memory, for a connection that waits for its next request.
    pub fn rest(&mut self) {
        self.sending = Sending::new(self.limits.buffer);
        self.fields = HeaderMap::new();
        let mut wire = self.wire.borrow_mut();
        if wire.input.is_empty() {
            wire.input.rest();
        }
    }

    /// The stream after what was read of it.
    pub fn into_io(self) -> Option<Box<dyn Io>> {
        Rc::into_inner(self.wire).map(|wire| wire.into_inner().io)
    }

    /// Gives the stream of the other protocol to the [`Upgrade`] of the last request.
    pub fn switch(self) {
        let wire = Rc::into_inner(self.wire).map(RefCell::into_inner);
        if let Some((upgrade, wire)) = self.upgrade.zip(wire) {
            // Without a taker, the stream closes.
            let _ = upgrade.send(Upgraded(wire));
        }
    }

    /// Reads the head of the next request: with its fault, if it has one and is to get the response all the same. Nothing is read
    /// after that. `None` if the client closes before the end of a head.
    ///
    /// # Errors
    /// If there is no request. Except for [`Refusal::Http2`], a response may follow.
    #[expect(clippy::type_complexity, reason = "a request, its fault, or neither")]
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<(Request<Incoming>, Option<Fault>)>, Refusal>> {
        let head = loop {
            let wire = &mut *self.wire.borrow_mut();
            if !wire.input.is_empty() {
                let parsed = self
                    .arriving
                    .parse(&mut wire.input, &self.limits, &mut self.fields);
                match parsed {
                    Ok(Some(head)) => break head,
                    Ok(None) => {}
                    Err(refusal) => {
                        wire.begin(Reading::Lost, false);
                        self.keep = false;
                        return Poll::Ready(Err(refusal));
                    }
                }
            }
            let read = match wire.input.is_empty() {
                true => wire.input.poll_read_lean(&mut wire.io, cx),
                false => wire.input.poll_read(&mut wire.io, cx),
            };
            if !matches!(ready!(read), Ok(1..)) {
                return Poll::Ready(Ok(None));
            }
        };
        Poll::Ready(Ok(Some(self.begin(head))))
    }

    fn begin(&mut self, head: Head) -> (Request<Incoming>, Option<Fault>) {
        self.request = reply::Request {
            method: Asked::by(&head.method),
            is_old: head.version == Version::HTTP_10,
            trailers: head.trailers,
        };
        self.keep = self.keeps && head.keep && head.body.is_ok();
        let (sender, upgrade) = match head.upgrade {
            true => {
                let (sender, receiver) = oneshot::channel();
                (Some(sender), Some(Upgrade(receiver)))
            }
            false => (None, None),
        };
        self.upgrade = sender;
        let reading = match head.body {
            Err(_) => Reading::Lost,
            Ok(Framed::Length(0)) => Reading::Done,
            Ok(Framed::Length(length)) => Reading::Body(Left::Length(length)),
            Ok(Framed::Chunked) => Reading::Body(Left::Chunked(Chunked::new(Bounds {
                bytes: self.limits.head.saturating_mul(2),
                fields: self.limits.fields,
                strict: true,
            }))),
        };
        let has_body = matches!(reading, Reading::Body(_));
        self.wire.borrow_mut().begin(reading, head.expects);
        let wire = has_body.then(|| Rc::downgrade(&self.wire));
        let mut request = Request::new(Incoming::new(wire, upgrade));
        *request.method_mut() = head.method;
        *request.uri_mut() = head.target;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        (request, head.body.err())
    }
}

impl<B: Piped<Data = Bytes> + Unpin> Connection<B> {
    /// Polls the future of the response, and sends 100 (Continue) when the body of the request is read. `None` when the client has
    /// closed the connection: then no client waits for the response.
    pub fn poll_served<F: Future>(
        &mut self,
        response: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<F::Output>> {
        if self.wire.borrow_mut().poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        let was_read = self.wire.borrow().is_read();
        if let Poll::Ready(response) = response.poll(cx) {
            return Poll::Ready(Some(response));
        }
        let mut wire = self.wire.borrow_mut();
        // The body has just ended: what follows is not seen yet.
        if !was_read && wire.poll_gone(cx).is_ready() {
            return Poll::Ready(None);
        }
        wire.wake_with(cx.waker());
        wire.write_interim(self.sending.buffer());
        drop(wire);
        if !self.sending.is_done() {
            let sent = self.sending.poll(&mut Writer(&self.wire), cx);
            if let Poll::Ready(Err(_)) = sent {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }

    /// Begins the response to the last request, or to what was refused.
    ///
    /// # Errors
    /// If it cannot be framed. Nothing is sent then.
    pub fn respond(&mut self, head: &Reply<'_>, body: B) -> Result<(), Error> {
        let mut wire = self.wire.borrow_mut();
        wire.write_interim(self.sending.buffer());
        wire.interim = Continue::No;
        wire.drain();
        self.keep &= !matches!(wire.reading, Reading::Lost);
        drop(wire);
        let length = match (body.is_end_stream(), body.size_hint().exact()) {
            (true, _) => Length::None,
            (false, Some(length)) => Length::Known(length),
            (false, None) => Length::Unknown,
        };
        self.switches = self.upgrade.is_some() && head.switches(self.request);
        let buffer = self.sending.buffer();
        let framing = head.write(self.request, length, &mut self.keep, buffer)?;
        let body = Some(body).filter(|_| length != Length::None);
        self.sending.begin(framing, body);
        Ok(())
    }

    /// Gives up the fields of a response that was begun, whose room is for those of the next request.
    pub fn recycle(&mut self, mut fields: HeaderMap) {
        fields.clear();
        self.fields = fields;
    }

    /// Responds with `status`, without a body, to what was refused. The connection closes then.
    pub fn refuse(&mut self, status: StatusCode) {
        let head = Reply {
            status,
            reason: None,
            headers: &HeaderMap::new(),
        };
        // As much as is known of the client.
        let request = reply::Request {
            method: Asked::Other,
            ..self.request
        };
        let buffer = self.sending.buffer();
        if let Ok(framing) = head.write(request, Length::None, &mut self.keep, buffer) {
            self.sending.begin(framing, None);
        }
    }

    /// Sends what is left of the response, and waits until the body of the request was read or given up.
    ///
    /// # Errors
    /// If the response is not sent whole: its body failed, or the client has closed the connection.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Error>> {
        loop {
            match self.sending.poll(&mut Writer(&self.wire), cx) {
                Poll::Ready(Ok(())) => break,
                Poll::Ready(Err(Error::ShortBody)) => {
                    self.sending.cut();
                    self.keep = false;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    let mut wire = self.wire.borrow_mut();
                    wire.wake_with(cx.waker());
                    ready!(wire.poll_gone(cx));
                    return Poll::Ready(Err(Error::Closed));
                }
            }
        }
        let mut wire = self.wire.borrow_mut();
        wire.drain();
        Poll::Ready(Ok(match wire.reading {
            Reading::Body(_) => {
                wire.wake_with(cx.waker());
                return Poll::Pending;
            }
            Reading::Done if self.switches => Next::Switch,
            Reading::Done if self.keep => Next::Request,
            Reading::Done | Reading::Lost => Next::Close,
        }))
    }
}
