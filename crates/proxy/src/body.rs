//! Bodies of responses to clients.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use headgate_http1::{NextPipe, Pipe, Piped};
use headgate_table::{Coder, ResponseRate};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use crate::bounded::Bounded;
use crate::compress::Compressed;
use crate::telemetry::Recording;
use crate::throttle::Throttled;
pub(crate) use crate::upstream::BodyError;
use crate::upstream::{Fault, UpstreamBody};

/// The body of a response: generated here, or streamed from an upstream. It counts the bytes in the record of its request,
/// which goes to log and metrics when the body ends or is dropped.
pub(crate) struct Body {
    source: Source,
    recording: Option<Recording>,
}

enum Source {
    Full(Option<Bytes>),
    Upstream(UpstreamBody),
    Compressed(Box<Compressed<Self>>),
    Throttled(Box<Throttled<Self>>),
    Bounded(Box<Bounded<Self>>),
    /// No encoder could be made.
    Broken(Option<BodyError>),
}

impl Body {
    /// No content.
    pub(crate) fn empty() -> Self {
        Self {
            source: Source::Full(None),
            recording: None,
        }
    }

    /// Content generated here.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            source: Source::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            recording: None,
        }
    }

    /// Content streamed from an upstream.
    pub(crate) fn upstream(body: UpstreamBody) -> Self {
        Self {
            source: Source::Upstream(body),
            recording: None,
        }
    }

    /// This body, coded by `coder`.
    pub(crate) fn compressed(self, coder: &Coder) -> Self {
        let source = match Compressed::new(self.source, coder) {
            Ok(compressed) => Source::Compressed(Box::new(compressed)),
            Err(error) => Source::Broken(Some(BodyError::Compression(error))),
        };
        Self { source, ..self }
    }

    /// This body, sent at `rate`.
    pub(crate) fn throttled(self, rate: ResponseRate) -> Self {
        let source = Source::Throttled(Box::new(Throttled::new(self.source, rate)));
        Self { source, ..self }
    }

    /// This body, which fails at `deadline` if it has not ended.
    pub(crate) fn until(self, deadline: Instant) -> Self {
        let source = Source::Bounded(Box::new(Bounded::new(self.source, deadline)));
        Self { source, ..self }
    }

    /// This body, recorded by `recording` until it ends.
    pub(crate) fn recorded(mut self, mut recording: Recording) -> Self {
        recording.complete = self.source.is_end_stream();
        self.recording = Some(recording);
        self
    }

    /// Records the next `part` of the body.
    fn record<T>(&mut self, part: &Poll<Option<Result<T, BodyError>>>, length: fn(&T) -> usize) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        recording.complete = match part {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(part))) => {
                recording.body_bytes_sent += length(part) as u64;
                self.source.is_end_stream()
            }
            Poll::Ready(Some(Err(error))) => {
                recording.reason = Some(Fault {
                    reason: "response-cut",
                    detail: error.to_string().into(),
                });
                false
            }
            Poll::Pending => false,
        };
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = Pin::new(&mut self.source).poll_frame(cx);
        self.record(&frame, |frame| frame.data_ref().map_or(0, Bytes::len));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl Piped for Body {
    fn poll_pipe(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<NextPipe<BodyError>> {
        let Source::Upstream(body) = &mut self.source else {
            return Poll::Ready(None);
        };
        let pipe = body.poll_pipe(cx);
        if !matches!(pipe, Poll::Ready(None)) {
            self.record(&pipe, |pipe| pipe.length());
        }
        pipe.map_ok(|pipe| -> Box<dyn Pipe> { Box::new(pipe) })
    }
}

impl HttpBody for Source {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Upstream(body) => Pin::new(body).poll_frame(cx),
            Self::Compressed(body) => body.poll_next(cx),
            Self::Throttled(body) => body.poll_next(cx),
            Self::Bounded(body) => body.poll_next(cx),
            Self::Broken(error) => Poll::Ready(error.take().map(Err)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Upstream(body) => body.is_end_stream(),
            Self::Compressed(body) => body.is_end(),
            Self::Throttled(body) => body.is_end(),
            Self::Bounded(body) => body.is_end(),
            Self::Broken(error) => error.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Upstream(body) => body.size_hint(),
            Self::Throttled(body) => body.size_hint(),
            Self::Bounded(body) => body.size_hint(),
            Self::Compressed(_) | Self::Broken(_) => SizeHint::default(),
        }
    }
}
