//! A response body that reports its progress to its connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::body::{Body, BodyError};

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
    track: T,
}

impl<T> Tracked<T> {
    /// `body`, which reports to `track`.
    pub(super) fn new(body: Body, track: T) -> Self {
        Self { body, track }
    }
}

impl<T: Track> HttpBody for Tracked<T> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let poll = Pin::new(&mut self.body).poll_frame(cx);
        self.track.polled(poll.is_ready());
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
