//! Request bodies while they are sent.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::{NextPipe, Pipe, Piped};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

use super::request_buffers::Held;
use super::stored_body::{Stored, StoredBody};
use super::timer::LazyTimer;
use super::trailers;
use crate::incoming::{Broken, Incoming};
use crate::pipes::Pipes;

/// Why a request body could not be read to its end. All but the last two are faults of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestBodyError {
    /// Longer than the route allows.
    #[error("the request body is too large")]
    TooLarge,
    /// The client was silent for too long.
    #[error("timed out reading the request body")]
    Timeout,
    /// The client sends less than the minimum rate.
    #[error("the request body is too slow")]
    TooSlow,
    /// The client broke the framing.
    #[error("the request body is malformed")]
    Malformed,
    /// The client went away.
    #[error("the client closed the connection")]
    Gone,
    /// There is no room for it in temporary files.
    #[error("no space to buffer the request body")]
    NoSpace,
    /// A part in a temporary file could not be read back.
    #[error("cannot read the buffered request body")]
    Spool,
}

impl From<Broken> for RequestBodyError {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Malformed => Self::Malformed,
            Broken::Gone => Self::Gone,
        }
    }
}

/// Time after which the average rate of a body counts: less says little about a client.
const SETTLED: Duration = Duration::from_secs(30);

/// How the body of a client is received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyRules {
    /// Most bytes; `None`: unlimited.
    pub(crate) limit: Option<u64>,
    /// Bound between two reads.
    pub(crate) timeout: Duration,
    /// Least average, bytes a second, once [`SETTLED`] has passed; `None`: any.
    pub(crate) min_rate: Option<NonZeroU32>,
    /// Read all of it before it is sent; otherwise it is a stream, sent once.
    pub(crate) buffered: bool,
    /// Bytes in memory of a body that is read before it is sent, also while the process has no memory for longer ones.
    pub(crate) memory: usize,
}

/// A request body that is sent as it is received.
pub(crate) type BodyStream = Pin<Box<dyn Piped<Data = Bytes, Error = RequestBodyError>>>;

/// The body of a client: limited, timed, and without trailers that must not be merged or forwarded.
pub(super) struct ClientBody<B = Incoming> {
    incoming: B,
    rules: BodyRules,
    start: Instant,
    read: u64,
    timer: LazyTimer,
    /// What the kernel may move it through.
    pipes: Option<Rc<Pipes>>,
}

impl<B: HttpBody> ClientBody<B> {
    /// `incoming` under `rules`.
    pub(super) fn new(incoming: B, rules: BodyRules) -> Self {
        Self {
            incoming,
            rules,
            start: Instant::now(),
            read: 0,
            timer: LazyTimer::default(),
            pipes: None,
        }
    }

    /// This body, which may go through `pipes`.
    pub(super) fn through(self, pipes: Rc<Pipes>) -> Self {
        Self {
            pipes: Some(pipes),
            ..self
        }
    }

    /// Waits for more, as long as the client may take.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<RequestBodyError> {
        ready!(self.timer.poll_elapsed(self.rules.timeout, cx));
        Poll::Ready(RequestBodyError::Timeout)
    }

    /// Counts `length` bytes that were read.
    fn count(&mut self, length: usize) -> Result<(), RequestBodyError> {
        self.timer.rest();
        self.read = self.read.saturating_add(length as u64);
        if self.rules.limit.is_some_and(|limit| self.read > limit) {
            return Err(RequestBodyError::TooLarge);
        }
        if self.is_slow() && !self.incoming.is_end_stream() {
            return Err(RequestBodyError::TooSlow);
        }
        Ok(())
    }

    fn is_slow(&self) -> bool {
        let Some(rate) = self.rules.min_rate else {
            return false;
        };
        let elapsed = self.start.elapsed();
        let least = elapsed.as_secs().saturating_mul(rate.get().into());
        elapsed >= SETTLED && self.read < least
    }
}

impl<B> HttpBody for ClientBody<B>
where
    B: HttpBody<Data = Bytes, Error: Into<RequestBodyError>> + Unpin,
{
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) else {
            return this.poll_silence(cx).map(|error| Some(Err(error)));
        };
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(Into::into)?;
            this.count(frame.data_ref().map_or(0, Bytes::len))?;
            Ok(trailers::without_forbidden(frame))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Piped for ClientBody {
    fn poll_pipe(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<NextPipe<RequestBodyError>> {
        let this = &mut *self;
        let Some(mut pipe) = this.pipes.as_ref().and_then(Pipes::lend) else {
            return Poll::Ready(None);
        };
        let filled = this
            .incoming
            .poll_fill(cx, &mut |socket, most| pipe.fill(socket, most));
        let Poll::Ready(filled) = filled else {
            return this.poll_silence(cx).map(|error| Some(Err(error)));
        };
        Poll::Ready(filled.map(|length| -> Result<Box<dyn Pipe>, _> {
            this.count(length?)?;
            Ok(Box::new(pipe))
        }))
    }
}

/// A request body as a connection sends it.
pub(super) struct RequestBody {
    source: Source,
    watch: Option<Rc<Watch>>,
}

enum Source {
    Memory(Option<Bytes>),
    Held(HeldBody),
    /// Boxed, as it is rare and large.
    Stored(Box<StoredBody>),
    Stream(BodyStream),
}

struct HeldBody {
    held: Rc<Held>,
    /// Number of the next chunk.
    next: usize,
    /// Bytes that are left.
    left: u64,
}

impl RequestBody {
    /// No body.
    pub(super) fn empty() -> Self {
        Self {
            source: Source::Memory(None),
            watch: None,
        }
    }

    /// Bytes in memory.
    pub(super) fn memory(bytes: Bytes, watch: Rc<Watch>) -> Self {
        Self {
            source: Source::Memory(Some(bytes)),
            watch: Some(watch),
        }
    }

    /// What was received, in memory.
    pub(super) fn held(held: Rc<Held>, watch: Rc<Watch>) -> Self {
        Self {
            source: Source::Held(HeldBody {
                left: held.len(),
                held,
                next: 0,
            }),
            watch: Some(watch),
        }
    }

    /// What was received, in a file.
    pub(super) fn stored(stored: Stored, watch: Rc<Watch>) -> Self {
        Self {
            source: Source::Stored(Box::new(StoredBody::new(stored))),
            watch: Some(watch),
        }
    }

    /// A stream.
    pub(super) fn stream(body: BodyStream, watch: Rc<Watch>) -> Self {
        Self {
            source: Source::Stream(body),
            watch: Some(watch),
        }
    }

    /// The stream, to be sent on another connection; for a body that no connection took.
    pub(super) fn into_stream(self) -> Option<BodyStream> {
        match self.source {
            Source::Stream(body) => Some(body),
            Source::Memory(_) | Source::Held(_) | Source::Stored(_) => None,
        }
    }

    /// Follows the progress: the next `part` of the body.
    fn follow<T>(&self, part: &Poll<Option<Result<T, RequestBodyError>>>) {
        let phase = match part {
            Poll::Pending => Phase::Body,
            Poll::Ready(None) => Phase::Sent,
            Poll::Ready(Some(Ok(_))) if self.is_end_stream() => Phase::Sent,
            Poll::Ready(Some(Ok(_))) => Phase::Endpoint,
            Poll::Ready(Some(Err(error))) => {
                if let Some(watch) = &self.watch {
                    watch.fault.set(Some(*error));
                }
                Phase::Body
            }
        };
        self.note(phase);
    }

    fn note(&self, phase: Phase) {
        if let Some(watch) = &self.watch {
            watch.enter(phase);
        }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let frame = match &mut self.source {
            Source::Memory(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Held(body) => Poll::Ready(body.next().map(|bytes| Ok(Frame::data(bytes)))),
            Source::Stored(body) => body.poll_next(cx),
            Source::Stream(body) => body.as_mut().poll_frame(cx),
        };
        self.follow(&frame);
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(bytes) => bytes.is_none(),
            Source::Held(body) => body.left == 0,
            Source::Stored(body) => body.left() == 0,
            Source::Stream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Source::Held(body) => SizeHint::with_exact(body.left),
            Source::Stored(body) => SizeHint::with_exact(body.left()),
            Source::Stream(body) => body.size_hint(),
        }
    }
}

impl Piped for RequestBody {
    fn poll_pipe(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<NextPipe<RequestBodyError>> {
        let pipe = match &mut self.source {
            Source::Stream(body) => body.as_mut().poll_pipe(cx),
            Source::Stored(body) => body.poll_pipe(cx),
            Source::Memory(_) | Source::Held(_) => Poll::Ready(None),
        };
        if !matches!(pipe, Poll::Ready(None)) {
            self.follow(&pipe);
        }
        pipe
    }
}

impl HeldBody {
    fn next(&mut self) -> Option<Bytes> {
        let chunk = self.held.chunk(self.next)?.clone();
        self.next += 1;
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Some(chunk)
    }
}

/// Progress of sending a body, for the task that waits for the response: the connection owns the body, and its errors do not say
/// who is at fault.
pub(super) struct Watch {
    phase: Cell<Phase>,
    since: Cell<Instant>,
    fault: Cell<Option<RequestBodyError>>,
    waker: Cell<Option<Waker>>,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The source of the body, such as the client, which has timeouts of its own.
    Body,
    /// The endpoint to read more.
    Endpoint,
    /// The endpoint to respond.
    Sent,
}

impl Watch {
    /// For a body whose sending begins `now`.
    pub(super) fn new(now: Instant) -> Rc<Self> {
        Rc::new(Self {
            phase: Cell::new(Phase::Endpoint),
            since: Cell::new(now),
            fault: Cell::new(None),
            waker: Cell::new(None),
        })
    }

    pub(super) fn fault(&self) -> Option<RequestBodyError> {
        self.fault.get()
    }

    /// What the request waits for, and since when.
    pub(super) fn phase(&self) -> (Phase, Instant) {
        (self.phase.get(), self.since.get())
    }

    /// Wakes `cx` when what the request waits for changes.
    pub(super) fn wake_on_change(&self, cx: &Context<'_>) {
        self.waker.set(Some(cx.waker().clone()));
    }

    fn enter(&self, phase: Phase) {
        self.since.set(Instant::now());
        if self.phase.replace(phase) != phase
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}
