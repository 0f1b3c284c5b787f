//! Response bodies of upstreams.

use std::error::Error as StdError;
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
use super::http1::Connection;
use super::load::Counts;
use super::pool::{Http1, Lease};
use super::read_ahead::ReadAhead;
use super::spool::Disk;
use super::trailers;
use crate::pipes::PipeGuard;

/// Why a response body ended early. The client sees a truncated response: a reset stream or a connection closed before the
/// announced end, never a clean one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The endpoint closed the connection or violated the protocol.
    #[error("the upstream aborted the response")]
    Upstream(#[source] Box<dyn StdError + Send + Sync>),
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
    Switched(Option<Switched>),
}

/// The connection of a 101, and its request.
pub(super) type Switched = (Box<Http1>, Counts);

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

    /// None, after a 101: `lease` has become a stream of another protocol.
    pub(super) fn switched(lease: Lease, counted: Counts) -> Self {
        Self {
            source: Source::Switched(match lease {
                Lease::Http1(connection) => Some((connection, counted)),
                Lease::Http2(_) => None,
            }),
        }
    }

    /// The connection of a 101.
    pub(super) fn take_switched(&mut self) -> Option<Switched> {
        match &mut self.source {
            Source::Switched(switched) => switched.take(),
            Source::Direct(_) | Source::Ahead(_) => None,
        }
    }

    /// See [`headgate_http1::Piped`]: the next bytes, if both sides are sockets.
    pub(crate) fn poll_pipe(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<PipeGuard, BodyError>>> {
        match &mut self.source {
            Source::Direct(direct) => direct.poll_pipe(cx),
            // One that is read ahead is in memory or in a file.
            Source::Ahead(_) | Source::Switched(_) => Poll::Ready(None),
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
            Source::Switched(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Direct(direct) => direct.is_end(),
            Source::Ahead(ahead) => ahead.is_end(),
            Source::Switched(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Direct(direct) => direct.size_hint(),
            Source::Ahead(ahead) => ahead.size_hint(),
            Source::Switched(_) => SizeHint::with_exact(0),
        }
    }
}

/// A body as the endpoint sends it.
pub(super) struct Direct {
    received: Received,
    timeout: Duration,
    /// None after the end, or a failure.
    completion: Option<Completion>,
    failed: Option<Failed>,
}

/// A failure of a body.
enum Failed {
    /// The next poll reports it.
    Unreported(BodyError),
    Reported,
}

/// Where a body is read.
pub(super) enum Received {
    /// From the connection, which serves no other request meanwhile.
    Http1,
    Http2(Incoming),
}

/// What happens at the end of a body.
pub(super) struct Completion {
    pub(super) lease: Lease,
    pub(super) _counted: Counts,
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
    pub(super) fn new(received: Received, timeout: Duration, completion: Completion) -> Self {
        let mut direct = Self {
            received,
            timeout,
            completion: Some(completion),
            failed: None,
        };
        direct.complete_at_end();
        direct
    }

    /// The next frame; `None` at the end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(failed) = self.failed.take() {
            self.failed = Some(Failed::Reported);
            return match failed {
                Failed::Unreported(error) => Poll::Ready(Some(Err(error))),
                Failed::Reported => Poll::Ready(None),
            };
        }
        let frame = match self.poll_received(cx) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return self.poll_silence(cx),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                self.note(frame.data_ref().map_or(0, Bytes::len));
                Some(Ok(trailers::without_forbidden(frame)))
            }
            Some(Err(error)) => return self.fail_later(error, cx),
            None => {
                self.complete();
                None
            }
        })
    }

    /// The next bytes, in a pipe; `None` if they are not in the socket, or there is no pipe.
    fn poll_pipe(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<PipeGuard, BodyError>>> {
        let Some(completion) = self.completion.as_ref() else {
            return Poll::Ready(None);
        };
        let lent = || Some((completion.connection()?, completion.upstreams.pipes.lend()?));
        let Some((connection, mut pipe)) = lent() else {
            return Poll::Ready(None);
        };
        let filled = connection.poll_fill(cx, &mut |socket, most| pipe.fill(socket, most));
        let Poll::Ready(filled) = filled else {
            return self.poll_silence(cx);
        };
        match filled {
            None => Poll::Ready(None),
            Some(Ok(length)) => {
                self.note(length);
                Poll::Ready(Some(Ok(pipe)))
            }
            Some(Err(error)) => self.fail_later(BodyError::Upstream(error.into()), cx),
        }
    }

    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.received {
            Received::Http2(incoming) => {
                let frame = Pin::new(incoming).poll_frame(cx);
                frame.map_err(|error| BodyError::Upstream(error.into()))
            }
            Received::Http1 => match self.completion.as_ref().and_then(Completion::connection) {
                Some(connection) => {
                    let frame = connection.poll_frame(cx);
                    frame.map_err(|error| BodyError::Upstream(error.into()))
                }
                None => Poll::Ready(None),
            },
        }
    }

    /// How much is left, if the endpoint announced a length.
    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.received {
            Received::Http2(incoming) => incoming.size_hint(),
            Received::Http1 => match self.completion.as_ref().and_then(Completion::connection) {
                Some(connection) => connection.size_hint(),
                None => SizeHint::with_exact(0),
            },
        }
    }

    /// Whether everything was read.
    pub(super) fn is_end(&self) -> bool {
        match &self.received {
            Received::Http2(incoming) => incoming.is_end_stream(),
            Received::Http1 => match self.completion.as_ref().and_then(Completion::connection) {
                Some(connection) => connection.is_end(),
                None => self.failed.is_none(),
            },
        }
    }

    /// The next poll fails: the consumer has time to pass on what came before.
    fn fail_later<T>(&mut self, error: BodyError, cx: &Context<'_>) -> Poll<T> {
        self.fail(Failed::Unreported(error));
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Closes the connection: nothing after a failure can be trusted.
    fn fail(&mut self, failed: Failed) {
        self.completion = None;
        self.failed = Some(failed);
    }

    fn poll_silence<T>(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, BodyError>>> {
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
        self.fail(Failed::Reported);
        Poll::Ready(Some(Err(BodyError::Timeout)))
    }

    fn note(&mut self, length: usize) {
        if let Some(completion) = &mut self.completion {
            completion.lease.timer().rest();
            let bytes = &completion.progress.bytes;
            bytes.set(bytes.get() + length as u64);
        }
        self.complete_at_end();
    }

    /// A body of known length is not polled again after its last byte.
    fn complete_at_end(&mut self) {
        if self.is_end() {
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
    fn connection(&self) -> Option<&Connection> {
        match &self.lease {
            Lease::Http1(kept) => Some(&kept.connection),
            Lease::Http2(_) => None,
        }
    }

    fn finish(self) {
        let now = Instant::now();
        let elapsed = now.duration_since(self.start);
        self.progress.response.set(Some(elapsed));
        if let Some((upstream, endpoint)) = self.scored
            && let Some(state) = upstream.slot.get::<UpstreamState>()
        {
            state.score(endpoint, elapsed.as_secs_f64());
        }
        if self.reusable {
            self.lease.give_back(&self.upstreams, now);
        }
    }
}
