//! Bodies that must end in time.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::upstream::{BodyError, LazyTimer};

/// A body that fails at a time if it has not ended.
pub(crate) struct Bounded<B> {
    source: B,
    deadline: Instant,
    timer: LazyTimer,
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> Bounded<B> {
    pub(crate) fn new(source: B, deadline: Instant) -> Self {
        Self {
            source,
            deadline,
            timer: LazyTimer::default(),
        }
    }

    /// A body that always has more fails as well.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.timer.poll_until(self.deadline, cx).is_ready() {
            return Poll::Ready(Some(Err(BodyError::Deadline)));
        }
        Pin::new(&mut self.source).poll_frame(cx)
    }

    pub(crate) fn is_end(&self) -> bool {
        self.source.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}
