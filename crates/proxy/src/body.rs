//! Bodies of responses to clients.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::record::Record;
use crate::upstream::UpstreamBody;

/// Why a response body ended early. The client sees a truncated answer: a reset stream or a connection closed before the
/// announced end, never a clean one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The endpoint broke off or broke the protocol.
    #[error("the upstream broke off")]
    Upstream(#[source] hyper::Error),
    /// The endpoint was silent for longer than the read timeout.
    #[error("the upstream was silent for too long")]
    Timeout,
    /// A buffered part could not be read back.
    #[error("a buffered response could not be read")]
    Spool(#[source] std::io::Error),
}

/// The body of a response: made here, or streamed from an endpoint. It counts what is sent into its [`Record`], which is
/// written to log and metrics when the body ends or is dropped.
pub(crate) struct Body {
    source: Source,
    record: Option<Box<Record>>,
}

enum Source {
    Full(Option<Bytes>),
    Upstream(UpstreamBody),
}

impl Body {
    /// No content.
    pub(crate) fn empty() -> Self {
        Self {
            source: Source::Full(None),
            record: None,
        }
    }

    /// Content made here.
    pub(crate) fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            source: Source::Full(Some(bytes).filter(|bytes| !bytes.is_empty())),
            record: None,
        }
    }

    /// Content streamed from an endpoint.
    pub(crate) fn upstream(body: UpstreamBody) -> Self {
        Self {
            source: Source::Upstream(body),
            record: None,
        }
    }

    /// The same, counting into `record` and writing it at the end.
    pub(crate) fn recorded(mut self, record: Box<Record>) -> Self {
        self.record = match &self.source {
            Source::Full(_) => Some(record),
            // A tunnel outlives this body and writes the record when it ends.
            Source::Upstream(body) => body.keep_record(record),
        };
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
        if let (Poll::Ready(Some(Ok(frame))), Some(record)) = (&frame, &mut this.record)
            && let Some(data) = frame.data_ref()
        {
            record.body_bytes_sent += data.len() as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Full(bytes) => bytes.is_none(),
            Source::Upstream(body) => body.is_end_stream(),
        }
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
