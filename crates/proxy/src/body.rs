//! Bodies of responses to clients.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::telemetry::Recording;
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
}

impl Source {
    fn is_end(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_none(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }
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

    /// This body, recorded by `recording` until it ends.
    pub(crate) fn recorded(mut self, mut recording: Recording) -> Self {
        recording.complete = self.source.is_end();
        self.recording = Some(recording);
        self
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        let frame = match &mut this.source {
            Source::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Upstream(body) => Pin::new(body).poll_frame(cx),
        };
        if let (Poll::Ready(Some(Ok(frame))), Some(recording)) = (&frame, &mut this.recording)
            && let Some(data) = frame.data_ref()
        {
            recording.body_bytes_sent += data.len() as u64;
        }
        if let Some(recording) = &mut this.recording {
            if let Poll::Ready(Some(Err(error))) = &frame {
                recording.reason = Some(Fault {
                    reason: "response-cut",
                    detail: error.to_string().into(),
                });
            }
            recording.complete = match &frame {
                Poll::Ready(None) => true,
                Poll::Ready(Some(Ok(_))) => this.source.is_end(),
                Poll::Ready(Some(Err(_))) | Poll::Pending => false,
            };
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Upstream(body) => body.size_hint(),
        }
    }
}
