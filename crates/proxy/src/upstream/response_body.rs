//! Response bodies of upstreams.

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use headgate_table::Upstream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Upstreams;
use super::attempt::Progress;
use super::balance::UpstreamState;
use super::load::Counted;
use super::pool::Lease;
use super::read_ahead::ReadAhead;
use super::spool::Disk;
use super::trailers;

/// Why a response body ended early. The client sees a truncated response: a reset stream or a connection closed before the
/// announced end, never a clean one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The endpoint closed the connection or violated the protocol.
    #[error("the upstream aborted the response")]
    Upstream(#[source] hyper::Error),
    /// The endpoint sent nothing for longer than the read timeout.
    #[error("timed out reading the response body")]
    Timeout,
    /// It did not end in time.
    #[error("the response took longer than its timeout")]
    Deadline,
    /// A buffered part could not be read back.
    #[error("cannot read the buffered response")]
    Spool(#[source] std::io::Error),
    /// The response cannot be compressed.
    #[error("cannot compress the response")]
    Compression(#[source] std::io::Error),
}

/// The response body of an endpoint. Read to its end, it gives the connection back; dropped before, it closes it.
pub(crate) struct UpstreamBody {
    source: Source,
}

enum Source {
    Direct(Direct),
    Ahead(ReadAhead),
    Empty,
}

impl UpstreamBody {
    /// Streams.
    pub(super) fn direct(direct: Direct) -> Self {
        Self {
            source: Source::Direct(direct),
        }
    }

    /// Read ahead of its consumer, into memory and up to `file_limit` bytes into a file on `disk`.
    pub(super) fn ahead(direct: Direct, file_limit: u64, disk: Disk) -> Self {
        Self {
            source: Source::Ahead(ReadAhead::new(direct, file_limit, disk)),
        }
    }

    /// Whether it is read ahead of its consumer.
    pub(crate) fn is_read_ahead(&self) -> bool {
        matches!(self.source, Source::Ahead(_))
    }

    /// None, after a 101.
    pub(super) fn empty() -> Self {
        Self {
            source: Source::Empty,
        }
    }
}

impl HttpBody for UpstreamBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Direct(direct) => direct.poll_next(cx),
            Source::Ahead(ahead) => ahead.poll_next(cx),
            Source::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Direct(direct) => direct.incoming.is_end_stream(),
            Source::Ahead(ahead) => ahead.is_end(),
            Source::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Direct(direct) => direct.incoming.size_hint(),
            Source::Ahead(ahead) => ahead.size_hint(),
            Source::Empty => SizeHint::with_exact(0),
        }
    }
}

/// A body as the endpoint sends it.
pub(super) struct Direct {
    incoming: Incoming,
    timeout: Duration,
    completion: Option<Completion>,
}

/// What happens at the end of a body.
pub(super) struct Completion {
    pub(super) lease: Lease,
    /// The request, among those of the upstream.
    pub(super) _counted: Counted,
    /// The connection may serve another request.
    pub(super) reusable: bool,
    pub(super) upstreams: Rc<Upstreams>,
    pub(super) progress: Rc<Progress>,
    /// Start of the attempt.
    pub(super) start: Instant,
    /// Where to add the response time, if the balancer uses it.
    pub(super) scored: Option<(Arc<Upstream>, SocketAddr)>,
}

impl Direct {
    /// A body that fails if the endpoint sends nothing for `timeout`.
    pub(super) fn new(incoming: Incoming, timeout: Duration, completion: Completion) -> Self {
        let mut direct = Self {
            incoming,
            timeout,
            completion: Some(completion),
        };
        direct.complete_at_end();
        direct
    }

    /// The next frame; `None` at the end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_silence(cx),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.note(&frame);
                Some(Ok(trailers::without_forbidden(frame)))
            }
            Some(Err(error)) => {
                // Dropping this closes the connection: nothing after the error can be trusted.
                self.completion = None;
                Some(Err(BodyError::Upstream(error)))
            }
            None => {
                self.complete();
                None
            }
        })
    }

    /// How much is left, if the endpoint announced a length.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }

    /// Whether everything was read.
    pub(super) fn is_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn poll_silence(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(completion) = &mut self.completion else {
            return Poll::Pending;
        };
        if completion
            .lease
            .timer()
            .poll_elapsed(self.timeout, cx)
            .is_pending()
        {
            return Poll::Pending;
        }
        self.completion = None;
        Poll::Ready(Some(Err(BodyError::Timeout)))
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        if let Some(completion) = &mut self.completion {
            completion.lease.timer().rest();
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            completion
                .progress
                .bytes
                .set(completion.progress.bytes.get() + length);
        }
        self.complete_at_end();
    }

    /// A body of known length is not polled again after its last byte.
    fn complete_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.complete();
        }
    }

    fn complete(&mut self) {
        if let Some(completion) = self.completion.take() {
            completion.finish();
        }
    }
}

impl Completion {
    fn finish(self) {
        let elapsed = self.start.elapsed();
        self.progress.response.set(Some(elapsed));
        if let Some((upstream, endpoint)) = self.scored
            && let Some(state) = upstream.slot.get::<UpstreamState>()
        {
            state.score(endpoint, elapsed.as_secs_f64());
        }
        if self.reusable {
            self.lease.give_back(&self.upstreams);
        }
    }
}
