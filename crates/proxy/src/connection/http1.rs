//! HTTP/1 connections: hyper speaks the protocol; deadlines, faults that it does not report, and closing are here.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::closing;
use super::deadline::Deadline;
use super::io::Scanned;
use super::scan::{Fault, HeadLimits, Scanner};
use super::session::{self, Handler, Session, set_close};
use super::tracked::{Track, Tracked};
use crate::body::Body;
use crate::limit::Limit;
use crate::respond::Unanswered;
use crate::telemetry::ConnectionState;

/// Fields that hyper parses without an allocation; also its own default bound.
const INLINE_FIELDS: usize = 100;

/// Bound of hyper's read buffer, and of what it buffers of a response, plus one frame, before it waits for the client.
/// Large enough for few system calls, small enough for many slow clients.
const BUFFER: usize = 32 << 10;

/// A connection that has been idle for this time gives up its buffers, which costs its next request some microseconds.
const DOZE: Duration = Duration::from_secs(1);

/// When draining begins, idle connections are closed spread over this time, so that their clients do not all reconnect at
/// once.
const DRAIN_SPREAD: Duration = Duration::from_millis(500);
/// How long a connection is idle, and the stop announced, before a drain closes it. An idle HTTP/1 connection cannot be told
/// that it ends, and its client may be sending the next request: until then that gets a response with `Connection: close`.
const QUIET: Duration = Duration::from_secs(3);

/// Serves the requests on `stream` until the connection, or the tunnel it becomes, has ended.
pub(super) async fn serve<S, H>(session: Session, handler: H, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handler,
{
    let session = Rc::new(session);
    let scanner = Scanner::new(HeadLimits::from(&session.settings.client));
    let mut io = Scanned::new(stream, scanner, session.activity.clone());
    let mut watch = Watch::new(&session);
    loop {
        let (shared, handler) = (session.clone(), handler.clone());
        let service = service_fn(move |request| respond(&shared, handler.clone(), request));
        let connection = builder(&session).serve_connection(TokioIo::new(io), service);
        // Boxed, so that a dozing connection does without its memory.
        let mut connection = Box::new(connection.with_upgrades());
        let end = poll_fn(|cx| watch.poll(Pin::new(&mut *connection), cx)).await;
        let Some(parts) = connection.into_parts() else {
            // A tunnel runs in another task, but is still a connection to count and to wait for.
            return session.activity.until_stream_dropped().await;
        };
        io = parts.io.into_inner();
        let Some(end) = end else {
            io.read_ahead(parts.read_buf);
            if let Some(end) = poll_fn(|cx| watch.poll_dozing(&mut io, cx)).await {
                return Box::pin(finish(&session, io.into_stream(), end)).await;
            }
            continue;
        };
        return Box::pin(finish(&session, io.into_stream(), end)).await;
    }
}

/// How serving ended.
enum End {
    /// hyper closed the connection, or an error did.
    Closed(hyper::Result<()>),
    /// The head that is arriving is refused before it is complete.
    Refused(Fault),
    /// There was no request for a long time, or the process is stopping.
    Idle,
    /// The client reads no output.
    Stalled,
}

/// `None`: hyper has nothing to do, so its buffers are given up until the client sends something.
type MaybeEnd = Option<End>;

async fn finish<S: AsyncRead + AsyncWrite + Unpin>(session: &Session, mut stream: S, end: End) {
    match end {
        End::Closed(result) => {
            if let Err(error) = result {
                if error.is_parse() {
                    session.refused(Limit::Malformed);
                }
                closing::shut(&mut stream).await;
            }
            closing::linger(&mut stream).await;
        }
        End::Refused(fault) => {
            let mut response = session.refusal(fault);
            set_close(&mut response);
            closing::respond(&mut stream, response).await;
        }
        End::Idle => closing::shut(&mut stream).await,
        End::Stalled => session.refused(Limit::WriteTimeout),
    }
}

fn builder(session: &Session) -> Builder {
    let limits = &session.settings.client;
    let mut builder = Builder::new();
    builder
        .keep_alive(!limits.keep_alive.is_zero())
        .half_close(false)
        .title_case_headers(true)
        .max_buf_size(BUFFER.max(limits.head))
        // A second line of defence: the scanner enforces the bound itself, with a better response.
        .max_header_size(limits.head.saturating_mul(2));
    if limits.header_count != INLINE_FIELDS {
        builder.max_headers(limits.header_count);
    }
    builder
}

fn respond<H: Handler>(
    session: &Rc<Session>,
    handler: H,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Tracked<Tracker>>, Unanswered>> + use<H> {
    let fault = session.activity.start();
    session.gauge.enter(ConnectionState::Writing);
    let tracker = Tracker {
        session: session.clone(),
        // What follows may be meant for a tunnel that does not exist (RFC 9110 section 9.3.6).
        last: request.method() == Method::CONNECT,
    };
    session::respond(session.clone(), handler, (request, fault), tracker)
}

/// One request of an HTTP/1 connection.
struct Tracker {
    session: Rc<Session>,
    /// Nothing is read after it, whatever the response.
    last: bool,
}

impl Track for Tracker {
    fn responded(&mut self, response: &mut Response<Body>, broken: bool) {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.session.activity.become_tunnel();
        } else if broken || self.last || self.session.ends() {
            set_close(response);
        }
    }

    fn polled(&self, _ready: bool) {}
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.session.activity.response_ended();
    }
}

/// Enforces deadlines and drain while hyper serves a connection.
struct Watch<'s> {
    session: &'s Session,
    deadline: Deadline,
    registered: bool,
    /// When an idle connection closes because the process is stopping.
    drained: Option<Instant>,
}

/// What a deadline is for.
#[derive(Clone, Copy)]
enum Due {
    Write,
    Head,
    Idle,
    Doze,
}

impl<'s> Watch<'s> {
    fn new(session: &'s Session) -> Self {
        Self {
            session,
            deadline: Deadline::new(),
            registered: false,
            drained: None,
        }
    }

    fn poll<I, S, B>(
        &mut self,
        mut connection: Pin<&mut hyper::server::conn::http1::UpgradeableConnection<I, S>>,
        cx: &mut Context<'_>,
    ) -> Poll<MaybeEnd>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
        S: Service<Request<Incoming>, Response = Response<B>>,
        S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        B: http_body::Body + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if !self.registered {
            self.session.registration.wake_with(cx.waker());
            self.registered = true;
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(End::Closed(result)));
        }
        let activity = &self.session.activity;
        let busy = activity.busy();
        if !busy {
            if let Some(fault) = activity.fault() {
                return Poll::Ready(Some(End::Refused(fault)));
            }
            self.session.gauge.enter(match activity.head_since() {
                Some(_) => ConnectionState::Reading,
                None => ConnectionState::Waiting,
            });
        }
        self.poll_deadline(busy, cx)
    }

    /// Ready with `None` when a dozing client has sent something.
    fn poll_dozing<S: AsyncRead + Unpin>(
        &mut self,
        io: &mut Scanned<S>,
        cx: &mut Context<'_>,
    ) -> Poll<MaybeEnd> {
        if io.poll_read_ahead(cx).is_ready() {
            // At the end of the stream too, and after an error: hyper reads it again.
            return Poll::Ready(None);
        }
        let due = self.idle_due();
        self.poll_due(due, Due::Idle, cx)
    }

    fn poll_deadline(&mut self, busy: bool, cx: &mut Context<'_>) -> Poll<MaybeEnd> {
        let Some((due, what)) = self.due(busy) else {
            return Poll::Pending;
        };
        self.poll_due(due, what, cx)
    }

    fn poll_due(&mut self, due: Instant, what: Due, cx: &mut Context<'_>) -> Poll<MaybeEnd> {
        std::task::ready!(self.deadline.poll_passed(cx, due));
        Poll::Ready(match what {
            Due::Write => Some(End::Stalled),
            Due::Head => Some(End::Refused(Fault::TooSlow)),
            Due::Idle => Some(End::Idle),
            Due::Doze => None,
        })
    }

    /// The next deadline. A request that is being served has none here: the pipeline has its own.
    fn due(&mut self, busy: bool) -> Option<(Instant, Due)> {
        let limits = &self.session.settings.client;
        let activity = &self.session.activity;
        if let Some(since) = activity.blocked_since() {
            return Some((since + limits.write_timeout, Due::Write));
        }
        if busy {
            return None;
        }
        if let Some(since) = activity.head_since() {
            return Some((since + limits.head_timeout, Due::Head));
        }
        let (idle, doze) = (self.idle_due(), activity.idle_since() + DOZE);
        Some(match doze < idle && !activity.fresh() {
            true => (doze, Due::Doze),
            false => (idle, Due::Idle),
        })
    }

    /// When the connection closes if it stays idle.
    fn idle_due(&mut self) -> Instant {
        let (activity, limits) = (&self.session.activity, &self.session.settings.client);
        // nginx waits for the first head as long for its first byte as for the rest.
        let idle = match activity.fresh() {
            true => limits.head_timeout,
            false => limits.keep_alive,
        };
        let due = activity.idle_since() + self.session.idle_limit(activity.fresh(), idle);
        self.drain_due().map_or(due, |drained| drained.min(due))
    }

    /// When a drain closes the connection if it stays idle.
    fn drain_due(&mut self) -> Option<Instant> {
        let registration = &self.session.registration;
        let announced = registration.announced()?;
        if !registration.draining() {
            return None;
        }
        let spread = || Instant::now() + DRAIN_SPREAD.mul_f64(fastrand::f64());
        let drained = *self.drained.get_or_insert_with(spread);
        let quiet = announced.max(self.session.activity.idle_since()) + QUIET;
        Some(drained.max(quiet))
    }
}
