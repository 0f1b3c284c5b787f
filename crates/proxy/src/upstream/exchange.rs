//! One request on one connection, up to the head of the response.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::fastcgi::Malformed;
use super::options::CallOptions;
use super::pool::Lease;
use super::request_body::{Phase, RequestBody, Watch};
use super::retry::Cause;
use super::timer::{LazyTimer, after};
use super::{CallError, Fault};

/// Why an exchange has no response.
pub(super) struct Failure {
    pub(super) error: CallError,
    /// The condition of the retry policy; `None` if another endpoint would fail as well.
    pub(super) cause: Option<Cause>,
    /// Details of the error, if they are known.
    pub(super) fault: Option<Box<Fault>>,
    /// The endpoint may have received something.
    pub(super) sent: bool,
    /// The request, when a connection took it but did not send it.
    pub(super) unsent: Option<Box<Request<RequestBody>>>,
}

impl Failure {
    /// A failure after the endpoint may have received the request.
    pub(super) fn sent(error: CallError) -> Self {
        Self {
            error,
            cause: cause(error),
            fault: None,
            sent: true,
            unsent: None,
        }
    }

    /// The same, with details.
    pub(super) fn because(error: CallError, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fault: Some(Box::new(Fault::with(error, detail))),
            ..Self::sent(error)
        }
    }

    /// A failure before the request was handed to a connection.
    pub(super) fn before(error: CallError) -> Self {
        Self {
            sent: false,
            ..Self::sent(error)
        }
    }
}

/// The condition of the retry policy that `error` meets.
pub(super) fn cause(error: CallError) -> Option<Cause> {
    match error {
        CallError::Connect | CallError::Broken => Some(Cause::Error),
        CallError::ConnectTimeout | CallError::SendTimeout | CallError::ReadTimeout => {
            Some(Cause::Timeout)
        }
        CallError::HeadTooLarge | CallError::InvalidResponse => Some(Cause::InvalidHeader),
        CallError::NoEndpoints | CallError::Overloaded(_) | CallError::RequestBody(_) => None,
    }
}

/// Time bounds of an exchange.
pub(super) struct Bounds<'r> {
    pub(super) options: &'r CallOptions<'r>,
    pub(super) start: Instant,
    /// Progress of the body, if there is one.
    pub(super) watch: Option<Rc<Watch>>,
}

/// Sends `request` and waits for the head of its response.
pub(super) async fn exchange(
    lease: &mut Lease,
    request: Request<RequestBody>,
    bounds: &Bounds<'_>,
) -> Result<Response<Incoming>, Failure> {
    let result = match lease {
        Lease::Http1(connection) => {
            wait(
                connection.sender.try_send_request(request),
                &mut connection.timer,
                bounds,
            )
            .await
        }
        Lease::Http2(stream) => {
            wait(
                stream.sender.try_send_request(request),
                &mut stream.timer,
                bounds,
            )
            .await
        }
    };
    lease.timer().rest();
    let response = result?;
    check(&response, bounds.options.response_head_limit)
        .map_err(|(error, detail)| Failure::because(error, detail))?;
    Ok(response)
}

type Sent = Result<Response<Incoming>, TrySendError<Request<RequestBody>>>;

async fn wait(
    sending: impl Future<Output = Sent>,
    timer: &mut LazyTimer,
    bounds: &Bounds<'_>,
) -> Result<Response<Incoming>, Failure> {
    let mut sending = std::pin::pin!(sending);
    poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(failure(error, bounds))),
        Poll::Pending => poll_late(timer, bounds, cx).map(|error| Err(Failure::sent(error))),
    })
    .await
}

/// Ready when the endpoint has exceeded its time.
fn poll_late(timer: &mut LazyTimer, bounds: &Bounds<'_>, cx: &mut Context<'_>) -> Poll<CallError> {
    let options = bounds.options;
    let (phase, since) = bounds
        .watch
        .as_ref()
        .map_or((Phase::Sent, bounds.start), |watch| watch.poll_phase(cx));
    let (error, bound) = match phase {
        Phase::Body => return Poll::Pending,
        Phase::Endpoint => (CallError::SendTimeout, options.send_timeout),
        Phase::Sent => (CallError::ReadTimeout, options.read_timeout),
    };
    timer.poll_until(after(since, bound), cx).map(|()| error)
}

fn failure(mut error: TrySendError<Request<RequestBody>>, bounds: &Bounds<'_>) -> Failure {
    let unsent = error.take_message().map(Box::new);
    let error = error.into_error();
    // A failing body breaks the connection, but the endpoint is not at fault.
    if let Some(fault) = bounds.watch.as_ref().and_then(|watch| watch.fault()) {
        return Failure::sent(fault.into());
    }
    tracing::debug!(
        error = &error as &dyn std::error::Error,
        "no response from endpoint"
    );
    let detail = full_text(&error);
    let error = match Malformed::of(&error) {
        Some(malformed) => malformed.error(),
        None if error.is_parse_too_large() => CallError::HeadTooLarge,
        None if error.is_parse() => CallError::InvalidResponse,
        None => CallError::Broken,
    };
    Failure {
        sent: unsent.is_none(),
        unsent,
        ..Failure::because(error, detail)
    }
}

/// The text of `error` and its sources.
fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// Refuses heads that are too large, that frame their body in two ways (RFC 9112 section 6.3: smuggling), or with a
/// transfer coding other than `chunked`, which cannot be passed on.
fn check(response: &Response<Incoming>, limit: usize) -> Result<(), (CallError, String)> {
    let headers = response.headers();
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    let length = STATUS_LINE + fields.sum::<usize>() + reason(response.status());
    if length > limit {
        let detail =
            format!("the head has about {length} bytes, the limit is {limit} (proxy-buffer-size)");
        return Err((CallError::HeadTooLarge, detail));
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let problem = match (codings.next(), lengths.next()) {
        (None, None) => return Ok(()),
        (None, Some(_)) if lengths.next().is_none() => return Ok(()),
        (None, Some(_)) => "several Content-Length fields",
        (Some(_), None) if codings.next().is_some() => "several Transfer-Encoding fields",
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => return Ok(()),
        (Some(_), None) => "a Transfer-Encoding other than chunked",
        (Some(_), Some(_)) => "Content-Length and Transfer-Encoding",
    };
    Err((CallError::InvalidResponse, problem.to_owned()))
}

/// Length of the status line without its reason, and of the empty line after the head.
const STATUS_LINE: usize = "HTTP/1.1 200 \r\n\r\n".len();

fn reason(status: StatusCode) -> usize {
    status.canonical_reason().map_or(0, str::len)
}
