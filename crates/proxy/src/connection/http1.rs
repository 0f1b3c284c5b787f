//! HTTP/1 connections: deadlines, refusals and closing are here; `headgate_http1` speaks the protocol.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use headgate_http1::Io;
use headgate_http1::server::{Limits, Next, Refusal, Reply};
use headgate_table::ClientLimits;
use http::{Method, Response, StatusCode};
use hyper::ext::ReasonPhrase;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::closing;
use super::deadline::Deadline;
use super::fault::Fault;
use super::session::{self, CheckedRequest, Handler, Session, set_close};
use super::tracked::{Track, Tracked};
use crate::body::Body;
use crate::incoming::Incoming;
use crate::limit::Limit;
use crate::respond::Unanswered;
use crate::telemetry::ConnectionState;

/// Bound of what is read ahead, and of what is buffered of a response, plus one frame, before it waits for the client. Large
/// enough for few system calls, small enough for many slow clients.
const BUFFER: usize = 32 << 10;

/// A connection that has been idle for this time gives up its buffers, which costs its next request some microseconds.
const DOZE: Duration = Duration::from_secs(1);

/// When draining begins, idle connections are closed spread over this time, so that their clients do not all reconnect at
/// once.
const DRAIN_SPREAD: Duration = Duration::from_millis(500);
/// How long a connection is idle, and the stop announced, before a drain closes it. An idle HTTP/1 connection cannot be told
/// that it ends, and its client may be sending the next request: until then that gets a response with `Connection: close`.
const QUIET: Duration = Duration::from_secs(3);

type Connection = headgate_http1::server::Connection<Tracked<Tracker>>;

/// Serves the requests on `stream` until the connection, or the tunnel it becomes, has ended.
pub(super) async fn serve<S, H>(session: Session, handler: H, stream: S)
where
    S: Io + 'static,
    H: Handler,
{
    let session = Rc::new(session);
    let client = &session.settings.client;
    let keeps = !client.keep_alive.is_zero();
    let mut connection = Connection::new(Box::new(stream), limits(client), keeps);
    let end = requests(&session, &handler, &mut connection).await;
    if matches!(end, End::Switched) {
        connection.switch();
        // A tunnel runs in another task, but is still a connection to count and to wait for.
        return session.activity.until_stream_dropped().await;
    }
    if let Some(stream) = connection.into_io() {
        Box::pin(finish(&session, stream, end)).await;
    }
}

fn limits(client: &ClientLimits) -> Limits {
    Limits {
        request_line: client.request_line,
        field: client.header_field,
        head: client.head,
        fields: client.header_count,
        buffer: BUFFER,
    }
}

/// Serves one request after the other.
async fn requests<H: Handler>(
    session: &Rc<Session>,
    handler: &H,
    connection: &mut Connection,
) -> End {
    let mut watch = Watch::new(session);
    loop {
        match request(session, handler, connection, &mut watch).await {
            Ok(Next::Request) => watch.rest(),
            Ok(Next::Switch) => return End::Switched,
            Ok(Next::Close) => return End::Closed,
            Err(End::Invalid) => {
                let sent = poll_fn(|cx| watch.poll_sent(connection, cx)).await;
                return sent.err().unwrap_or(End::Invalid);
            }
            Err(end) => return end,
        }
    }
}

/// Serves the next request.
async fn request<H: Handler>(
    session: &Rc<Session>,
    handler: &H,
    connection: &mut Connection,
    watch: &mut Watch<'_>,
) -> Result<Next, End> {
    let request = poll_fn(|cx| watch.poll_head(connection, cx)).await?;
    let mut response = pin!(respond(session, handler.clone(), request));
    let response = poll_fn(|cx| watch.poll_served(connection, response.as_mut(), cx)).await?;
    begin(connection, response)?;
    poll_fn(|cx| watch.poll_sent(connection, cx)).await
}

/// Begins to send `response`.
fn begin(connection: &mut Connection, response: Response<Tracked<Tracker>>) -> Result<(), End> {
    let (head, body) = response.into_parts();
    let reason = head.extensions.get::<ReasonPhrase>();
    let reply = Reply {
        status: head.status,
        reason: reason.map(ReasonPhrase::as_bytes),
        headers: &head.headers,
    };
    let begun = connection.respond(&reply, body);
    connection.recycle(head.headers);
    begun.map_err(|error| broken(&error))
}

/// The end of a connection whose response is not sent whole.
fn broken(error: &headgate_http1::Error) -> End {
    tracing::debug!(%error, "a response broke");
    End::Closed
}

/// How serving ended.
enum End {
    /// The client closed the connection, the last response is sent, or one could not be sent whole.
    Closed,
    /// What arrived is no HTTP/1. The client has a response, if there is one.
    Invalid,
    /// The head that is arriving is refused before it is complete.
    Refused(Fault),
    /// There was no request for a long time, or the process is stopping.
    Idle,
    /// The client reads no output.
    Stalled,
    /// The connection is a tunnel now; its bytes are not HTTP.
    Switched,
}

async fn finish<S: AsyncRead + AsyncWrite + Unpin>(session: &Session, mut stream: S, end: End) {
    match end {
        End::Closed | End::Invalid => {
            if matches!(end, End::Invalid) {
                session.refused(Limit::Malformed);
            }
            closing::shut(&mut stream).await;
            closing::linger(&mut stream).await;
        }
        End::Refused(fault) => {
            let mut response = session.refusal(fault);
            set_close(&mut response);
            closing::respond(&mut stream, response).await;
        }
        End::Idle => closing::shut(&mut stream).await,
        End::Stalled => session.refused(Limit::WriteTimeout),
        End::Switched => {}
    }
}

fn respond<H: Handler>(
    session: &Rc<Session>,
    handler: H,
    request: CheckedRequest,
) -> impl Future<Output = Result<Response<Tracked<Tracker>>, Unanswered>> + use<H> {
    session.gauge.enter(ConnectionState::Writing);
    let tracker = Tracker {
        session: session.clone(),
        // What follows may be meant for a tunnel that does not exist (RFC 9110 section 9.3.6).
        last: request.0.method() == Method::CONNECT,
    };
    session::respond(session.clone(), handler, request, tracker)
}

/// One request of an HTTP/1 connection.
struct Tracker {
    session: Rc<Session>,
    /// Nothing is read after it, whatever the response.
    last: bool,
}

impl Track for Tracker {
    fn responded(&mut self, response: &mut Response<Body>, broken: bool) {
        let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        if !switches && (broken || self.last || self.session.ends()) {
            set_close(response);
        }
    }

    fn polled(&self, _ready: bool) {}
}

/// Enforces deadlines and drain while a connection is served.
struct Watch<'s> {
    session: &'s Session,
    deadline: Deadline,
    registered: bool,
    /// Since when a request head is arriving.
    head_since: Option<Instant>,
    /// Since when there is no request.
    idle_since: Instant,
    /// There was no request.
    fresh: bool,
    /// Memory was given up since the last request.
    dozing: bool,
    /// When an idle connection closes because the process is stopping.
    drained: Option<Instant>,
}

impl<'s> Watch<'s> {
    fn new(session: &'s Session) -> Self {
        Self {
            session,
            deadline: Deadline::new(),
            registered: false,
            head_since: None,
            idle_since: session.activity.begun(),
            fresh: true,
            dozing: false,
            drained: None,
        }
    }

    /// From now on there is no request.
    fn rest(&mut self) {
        self.idle_since = Instant::now();
        self.fresh = false;
    }

    /// Waits for the next request, as long as the client may take.
    fn poll_head(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<CheckedRequest, End>> {
        if !self.registered {
            self.session.registration.wake_with(cx.waker());
            self.registered = true;
        }
        if let Poll::Ready(head) = connection.poll_head(cx) {
            return Poll::Ready(match head {
                Ok(Some((request, fault))) => {
                    self.head_since = None;
                    self.dozing = false;
                    Ok((request.map(Incoming::from), fault.map(Fault::from)))
                }
                Ok(None) => Err(End::Closed),
                Err(Refusal::Fault(fault)) => Err(End::Refused(fault.into())),
                Err(Refusal::Invalid(status)) => {
                    connection.refuse(status);
                    Err(End::Invalid)
                }
                Err(Refusal::Http2) => Err(End::Invalid),
            });
        }
        if self.head_since.is_none() && connection.has_begun() {
            self.head_since = Some(Instant::now());
        }
        self.session.gauge.enter(match self.head_since {
            Some(_) => ConnectionState::Reading,
            None => ConnectionState::Waiting,
        });
        loop {
            let (due, what) = self.due();
            ready!(self.deadline.poll_passed(cx, due));
            return Poll::Ready(Err(match what {
                Due::Head => End::Refused(Fault::TooSlow),
                Due::Idle => End::Idle,
                Due::Doze => {
                    connection.rest();
                    self.dozing = true;
                    continue;
                }
            }));
        }
    }

    /// Waits for a response. A request that is being served has no deadline here: the pipeline has its own.
    fn poll_served<F>(
        &mut self,
        connection: &mut Connection,
        response: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Tracked<Tracker>>, End>>
    where
        F: Future<Output = Result<Response<Tracked<Tracker>>, Unanswered>>,
    {
        match connection.poll_served(response, cx) {
            Poll::Ready(Some(Ok(response))) => Poll::Ready(Ok(response)),
            // The client is gone, or gets no response.
            Poll::Ready(None | Some(Err(Unanswered))) => Poll::Ready(Err(End::Closed)),
            Poll::Pending => self.poll_stalled(cx).map(Err),
        }
    }

    /// Sends the response.
    fn poll_sent(
        &mut self,
        connection: &mut Connection,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next, End>> {
        match connection.poll_sent(cx) {
            Poll::Ready(sent) => Poll::Ready(sent.map_err(|error| broken(&error))),
            Poll::Pending => self.poll_stalled(cx).map(Err),
        }
    }

    /// Ready when the client has read nothing for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let Some(since) = self.session.activity.blocked_since() else {
            return Poll::Pending;
        };
        let due = since + self.session.settings.client.write_timeout;
        self.deadline.poll_passed(cx, due).map(|()| End::Stalled)
    }

    /// The next deadline of a connection without a request.
    fn due(&mut self) -> (Instant, Due) {
        if let Some(since) = self.head_since {
            return (since + self.session.settings.client.head_timeout, Due::Head);
        }
        let (idle, doze) = (self.idle_due(), self.idle_since + DOZE);
        match doze < idle && !self.fresh && !self.dozing {
            true => (doze, Due::Doze),
            false => (idle, Due::Idle),
        }
    }

    /// When the connection closes if it stays idle.
    fn idle_due(&mut self) -> Instant {
        let limits = &self.session.settings.client;
        // nginx waits for the first head as long for its first byte as for the rest.
        let idle = match self.fresh {
            true => limits.head_timeout,
            false => limits.keep_alive,
        };
        let due = self.idle_since + self.session.idle_limit(self.fresh, idle);
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
        let quiet = announced.max(self.idle_since) + QUIET;
        Some(drained.max(quiet))
    }
}

/// What a deadline is for.
#[derive(Clone, Copy)]
enum Due {
    Head,
    Idle,
    Doze,
}

#[cfg(test)]
mod tests {
    use tokio::io::DuplexStream;

    use super::super::tests::TestHandler;
    use super::*;

    /// Bytes of what `serve` returns.
    fn size<F>(_: impl FnOnce(Session, TestHandler, DuplexStream) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn the_future_of_a_connection_is_small() {
        let size = size(serve);
        assert!(size <= 2 << 10, "{size} bytes");
    }
}
