//! A response body that reports its progress to its connection.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use headgate_http1::{NextPipe, Piped};
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};
use crate::buffers::Gate;

/// Follows one request of a connection; dropped when its response body ends, or the request before that.
pub(super) trait Track: Unpin + 'static {
    /// Edits the head of the response before it is sent. `broken`: the request was malformed or its processing panicked, so
    /// that what follows it on the connection cannot be trusted.
    fn responded(&mut self, response: &mut Response<Body>, broken: bool);

    /// The connection polled the body: it had a frame (`ready`), or waits for the endpoint.
    fn polled(&self, ready: bool);
}

/// A response body with its tracker.
pub(super) struct Tracked<T> {
    body: Body,
    gate: Gate,
    track: T,
}

impl<T> Tracked<T> {
    /// `body`, which `gate` holds back and which reports to `track`.
    pub(super) fn new(body: Body, (gate, track): (Gate, T)) -> Self {
        Self { body, gate, track }
    }
}

impl<T: Track> HttpBody for Tracked<T> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        // It still waits for the client since its last frame.
        ready!(this.gate.poll_open(cx));
        let poll = Pin::new(&mut this.body).poll_frame(cx);
        this.track.polled(poll.is_ready());
        let gate = &mut this.gate;
        poll.map_ok(|frame| frame.map_data(|piece| gate.hold(piece)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<T: Track> Piped for Tracked<T> {
    fn poll_pipe(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<NextPipe<BodyError>> {
        ready!(self.gate.poll_open(cx));
        let poll = Pin::new(&mut self.body).poll_pipe(cx);
        self.track.polled(poll.is_ready());
        poll
    }
}
