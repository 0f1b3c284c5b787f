//! HTTP/2 connections: hyper and h2 speak the protocol and bound frames; stalls, age and abuse over time are bounded here.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use hyper::server::conn::http2::{Builder, Connection};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::closing;
use super::deadline::Deadline;
use super::frames::{self, Allowance, Framed};
use super::limits;
use super::local::{LocalExecutor, Serving};
use super::session::{self, Handler, Session};
use super::streams::{Stream, Streams};
use super::tracked::{Track, Tracked};
use crate::body::Body;
use crate::incoming::Incoming;
use crate::limit::Limit;
use crate::respond::Unanswered;
use crate::running::Running;
use crate::telemetry::ConnectionState;

/// Flow-control window of a stream, bytes.
const STREAM_WINDOW: u32 = 65_536;
/// Flow-control window of a connection, bytes.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Buffered response bytes of a stream that its client has not read.
const SEND_BUFFER: usize = 64 << 10;
/// Streams reset by the client before they were processed; beyond, the connection ends (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Streams reset because of errors of the client; beyond, the connection ends (CVE-2025-8671).
const LOCAL_RESETS: usize = 256;
/// Interval of the pings that check whether the client is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Bound on the acknowledgement of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that an idle client has to acknowledge the ping that follows a GOAWAY, since it last sent anything.
const GOAWAY_GRACE: Duration = Duration::from_secs(5);

/// Serves the requests on `stream` until the connection has ended.
pub(super) async fn serve<S, H>(session: Session, handler: H, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    H: Handler,
{
    let session = Rc::new(session);
    let streams = Rc::new(Streams::new());
    let service = service_fn({
        let (session, streams) = (session.clone(), streams.clone());
        move |request| respond(&session, &streams, handler.clone(), request)
    });
    let allowance = Allowance::new();
    let stream = Rc::new(RefCell::new(stream));
    let io = TokioIo::new(Framed::new(stream.clone(), allowance.clone()));
    let executor = LocalExecutor::new(session.downstream.worker.clone(), streams.clone());
    let running = executor.running();
    let mut connection = builder(&session, executor).serve_connection(io, service);
    let mut watch = Watch::new(&session, &streams, &allowance, running);
    let end = poll_fn(|cx| watch.poll(Pin::new(&mut connection), cx)).await;
    if let Some(limit) = end {
        session.refused(limit);
        // Sends a GOAWAY as far as the client reads it, then closes. A flood may have used the budget of the task, without which
        // a socket takes nothing.
        Pin::new(&mut connection).graceful_shutdown();
        unconstrained(poll_fn(|cx| {
            let _ = Pin::new(&mut connection).poll(cx);
            Poll::Ready(())
        }))
        .await;
    }
    drop(connection);
    // What is still being served has no client any more.
    drop(watch);
    // Otherwise a reset could overtake the last response or the GOAWAY; a client that reads nothing gets neither.
    if end != Some(Limit::WriteTimeout)
        && let Some(mut stream) = Rc::into_inner(stream).map(RefCell::into_inner)
    {
        closing::shut(&mut stream).await;
        closing::linger(&mut stream).await;
    }
}

fn builder(session: &Session, executor: LocalExecutor) -> Builder<LocalExecutor> {
    let limits = &session.settings.client;
    let mut builder = Builder::new(executor);
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_frame_size(frames::LARGEST)
        .max_header_list_size(u32::try_from(limits.head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS)
        .max_local_error_reset_streams(LOCAL_RESETS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

fn respond<H: Handler>(
    session: &Rc<Session>,
    streams: &Rc<Streams>,
    handler: H,
    request: Request<hyper::body::Incoming>,
) -> impl Future<Output = Result<Response<Tracked<Tracker>>, Unanswered>> + use<H> {
    let fault = limits::fault(&request, &session.settings.client);
    session.gauge.enter(ConnectionState::Writing);
    let tracker = Tracker {
        stream: streams.open(),
        session: session.clone(),
    };
    let request = request.map(Incoming::from);
    session::respond(session.clone(), handler, (request, fault), tracker)
}

/// One request of an HTTP/2 connection.
struct Tracker {
    stream: Stream,
    session: Rc<Session>,
}

impl Track for Tracker {
    /// A broken request ends its stream only: the protocol frames each stream by itself.
    fn responded(&mut self, _response: &mut Response<Body>, _broken: bool) {
        self.stream.responded();
        if self.session.ends() {
            self.stream.wake_connection();
        }
    }

    fn polled(&self, ready: bool) {
        self.stream.polled(ready);
    }
}

/// Enforces deadlines, drain and the bounds on abuse while hyper serves a connection.
struct Watch<'s> {
    session: &'s Session,
    streams: &'s Streams,
    allowance: &'s Allowance,
    running: Running<Serving>,
    deadline: Deadline,
    registered: bool,
    closing: Option<Closing>,
}

/// A connection that takes no new requests: a GOAWAY and a ping have been sent. When the client has acknowledged the ping and
/// read the last response, the connection ends by itself.
#[derive(Clone, Copy)]
struct Closing {
    /// When the client was last known to send something, or the closing began.
    since: Instant,
    /// [`Allowance::frames`] at that time.
    frames: u64,
    /// [`Allowance::pongs`] when the closing began.
    pongs: u64,
    /// Time that a client which answers has to read what was sent.
    grace: Duration,
}

impl<'s> Watch<'s> {
    fn new(
        session: &'s Session,
        streams: &'s Streams,
        allowance: &'s Allowance,
        running: Running<Serving>,
    ) -> Self {
        Self {
            session,
            streams,
            allowance,
            running,
            deadline: Deadline::new(),
            registered: false,
            closing: None,
        }
    }

    /// Ready at the end of the connection: `Some` limit that ended it, `None` for any other end.
    fn poll<I, S>(
        &mut self,
        mut connection: Pin<&mut Connection<I, S, LocalExecutor>>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Limit>>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin,
        S: Service<
                Request<hyper::body::Incoming>,
                Response = Response<Tracked<Tracker>>,
                Error = Unanswered,
            >,
        S::Future: 'static,
    {
        if !self.registered {
            self.session.registration.wake_with(cx.waker());
            self.streams.wake_with(cx.waker());
            self.registered = true;
        }
        loop {
            let polled = self
                .running
                .poll_with(cx, |cx| connection.as_mut().poll(cx).map(drop));
            if polled.is_ready() {
                return Poll::Ready(None);
            }
            if self.allowance.exceeded() {
                return Poll::Ready(Some(Limit::Http2ControlFrames));
            }
            if self.streams.abusive() {
                return Poll::Ready(Some(Limit::Http2Resets));
            }
            if self.streams.open_count() == 0 {
                self.session.gauge.enter(ConnectionState::Waiting);
            }
            if self.closing.is_none() && self.ends() {
                connection.as_mut().graceful_shutdown();
                self.running.wake_connection();
                self.close(self.session.settings.client.write_timeout);
                continue;
            }
            self.notice_frames();
            let due = self.due();
            ready!(self.deadline.poll_passed(cx, due));
            match self.passed(Instant::now()) {
                Passed::Nothing => {}
                Passed::Idle => {
                    connection.as_mut().graceful_shutdown();
                    self.running.wake_connection();
                    self.close(GOAWAY_GRACE);
                }
                Passed::Gone => return Poll::Ready(None),
                Passed::Stalled => return Poll::Ready(Some(Limit::WriteTimeout)),
                Passed::SomeStalled => self.abort_stalled(),
            }
        }
    }

    /// Aborts only the streams that their client does not read: it may have a reason to ignore one and wait for others.
    fn abort_stalled(&self) {
        let write_timeout = self.session.settings.client.write_timeout;
        let since = Instant::now().checked_sub(write_timeout);
        let aborted = since.map_or(0, |since| self.streams.abort_stalled(since));
        (0..aborted).for_each(|_| self.session.refused(Limit::WriteTimeout));
    }

    /// Whether the connection takes no new requests. A new one has its first request before it is announced that the process
    /// stops, or its client would come back and back.
    fn ends(&self) -> bool {
        let is_new = self.session.downstream.requests.get() == 0;
        self.session.ends() && (!is_new || self.session.registration.draining())
    }

    fn close(&mut self, grace: Duration) {
        self.closing = Some(Closing {
            since: Instant::now(),
            frames: self.allowance.frames(),
            pongs: self.allowance.pongs(),
            grace,
        });
    }

    /// A client that sends frames while the connection closes has more time: it reads, and opens the window.
    fn notice_frames(&mut self) {
        let frames = self.allowance.frames();
        let closing = self.closing.as_mut();
        if let Some(closing) = closing.filter(|closing| closing.frames != frames) {
            closing.since = Instant::now();
            closing.frames = frames;
        }
    }

    /// When to check next. Never later than a write timeout from now, so that a stall that begins meanwhile is seen in time.
    fn due(&self) -> Instant {
        let limits = &self.session.settings.client;
        let latest = Instant::now() + limits.write_timeout;
        let stalled = self
            .stalled_since()
            .map(|since| since + limits.write_timeout);
        let expires = self.closing.is_none().then_some(self.session.expires);
        [stalled, self.end_of_idleness(), expires]
            .into_iter()
            .flatten()
            .fold(latest, Instant::min)
    }

    fn passed(&self, now: Instant) -> Passed {
        let write_timeout = self.session.settings.client.write_timeout;
        let late = |since: Instant| since + write_timeout <= now;
        let blocked = self.session.activity.blocked_since();
        if blocked.is_some_and(late) || self.streams.all_waiting_since().is_some_and(late) {
            return Passed::Stalled;
        }
        if self.streams.waiting_since().is_some_and(late) {
            return Passed::SomeStalled;
        }
        match (self.end_of_idleness(), self.closing) {
            (Some(end), None) if end <= now => Passed::Idle,
            (Some(end), Some(_)) if end <= now => Passed::Gone,
            _ => Passed::Nothing,
        }
    }

    /// Since when the client reads nothing of the connection or of a stream.
    fn stalled_since(&self) -> Option<Instant> {
        let blocked = self.session.activity.blocked_since();
        [blocked, self.streams.waiting_since()]
            .into_iter()
            .flatten()
            .min()
    }

    fn end_of_idleness(&self) -> Option<Instant> {
        let idle = self.streams.idle_since()?;
        let limits = &self.session.settings.client;
        let Some(closing) = self.closing else {
            let fresh = self.streams.fresh();
            return Some(idle + self.session.idle_limit(fresh, limits.keep_alive));
        };
        // The ping waits behind a response that the client does not read, and is answered before one that it has no window for.
        let reachable = self.session.activity.blocked_since().is_some()
            || self.allowance.pongs() > closing.pongs;
        let grace = match reachable {
            true => closing.grace,
            false => GOAWAY_GRACE,
        };
        Some(idle.max(closing.since) + grace)
    }
}

/// What is due at a deadline.
enum Passed {
    Nothing,
    Idle,
    Gone,
    /// The connection, or every stream on it.
    Stalled,
    /// Some of its streams.
    SomeStalled,
}
