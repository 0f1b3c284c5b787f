//! One request on one connection, up to the head of the response.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll};

use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::ext::ReasonPhrase;
use tokio::time::Instant;

use super::fastcgi::Malformed;
use super::options::CallOptions;
use super::pool::{Http1, Http2};
use super::request_body::{Phase, RequestBody, Watch};
use super::request_head::RequestHead;
use super::response_body::Received;
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

/// A response before its body is read.
pub(super) type Answer = Response<Received>;

/// Sends the request on a connection of HTTP/1 and waits for the head of its response.
pub(super) async fn over_http1(
    kept: &mut Http1,
    head: &RequestHead,
    body: RequestBody,
    bounds: &Bounds<'_>,
) -> Result<Answer, Failure> {
    let Http1 {
        connection, timer, ..
    } = kept;
    let failed = |error| http1_failure(&error, bounds);
    connection.start(&head.for_wire(), body).map_err(failed)?;
    let head = poll_fn(|cx| match connection.poll_head(cx) {
        Poll::Ready(head) => Poll::Ready(head.map_err(failed)),
        Poll::Pending => poll_late(timer, bounds, cx).map(|error| Err(Failure::sent(error))),
    })
    .await;
    timer.rest();
    let head = head?;
    check_size(head.size, bounds.options.response_head_limit)?;
    let mut response = Response::new(Received::Http1);
    *response.status_mut() = head.status;
    *response.version_mut() = head.version;
    *response.headers_mut() = head.headers;
    if let Some(reason) = head
        .reason
        .and_then(|text| ReasonPhrase::try_from(text).ok())
    {
        response.extensions_mut().insert(reason);
    }
    Ok(response)
}

fn http1_failure(error: &headgate_http1::Error, bounds: &Bounds<'_>) -> Failure {
    use headgate_http1::Error;
    // A failing body breaks the connection, but the endpoint is not at fault.
    if let Some(fault) = bounds.watch.as_ref().and_then(|watch| watch.fault()) {
        return Failure::sent(fault.into());
    }
    tracing::debug!(%error, "no response from endpoint");
    let detail = full_text(error);
    let error = match (Malformed::of(error), error) {
        (Some(malformed), _) => malformed.error(),
        (None, Error::HeadTooLarge) => CallError::HeadTooLarge,
        (None, Error::InvalidHead(_)) => CallError::InvalidResponse,
        (None, _) => CallError::Broken,
    };
    Failure::because(error, detail)
}

/// Sends the request on a connection of HTTP/2 and waits for the head of its response.
pub(super) async fn over_http2(
    stream: &mut Http2,
    request: Request<RequestBody>,
    bounds: &Bounds<'_>,
) -> Result<Answer, Failure> {
    let Http2 { sender, timer, .. } = stream;
    let mut sending = std::pin::pin!(sender.try_send_request(request));
    let response = poll_fn(|cx| match sending.as_mut().poll(cx) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(http2_failure(error, bounds))),
        Poll::Pending => {
            // The body is sent by another task.
            if let Some(watch) = &bounds.watch {
                watch.wake_on_change(cx);
            }
            poll_late(timer, bounds, cx).map(|error| Err(Failure::sent(error)))
        }
    })
    .await;
    timer.rest();
    let response = response?;
    check(&response, bounds.options.response_head_limit)?;
    Ok(response.map(Received::Http2))
}

impl Bounds<'_> {
    /// What the request waits for, and since when.
    fn phase(&self) -> (Phase, Instant) {
        let watch = self.watch.as_ref();
        watch.map_or((Phase::Sent, self.start), |watch| watch.phase())
    }
}

/// Ready when the endpoint has exceeded its time.
fn poll_late(timer: &mut LazyTimer, bounds: &Bounds<'_>, cx: &mut Context<'_>) -> Poll<CallError> {
    let (phase, since) = bounds.phase();
    let options = bounds.options;
    let (error, bound) = match phase {
        Phase::Body => return Poll::Pending,
        Phase::Endpoint => (CallError::SendTimeout, options.send_timeout),
        Phase::Sent => (CallError::ReadTimeout, options.read_timeout),
    };
    timer.poll_until(after(since, bound), cx).map(|()| error)
}

fn http2_failure(mut error: TrySendError<Request<RequestBody>>, bounds: &Bounds<'_>) -> Failure {
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
    let error = match error.is_parse() {
        true if error.is_parse_too_large() => CallError::HeadTooLarge,
        true => CallError::InvalidResponse,
        false => CallError::Broken,
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

/// Refuses heads that are too large, or announce the length of their body twice.
fn check(response: &Response<Incoming>, limit: usize) -> Result<(), Failure> {
    let headers = response.headers();
    let fields = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    check_size(STATUS_LINE + fields.sum::<usize>(), limit)?;
    match headers.get_all(CONTENT_LENGTH).iter().nth(1) {
        None => Ok(()),
        Some(_) => {
            const TWICE: &str = "several Content-Length fields";
            Err(Failure::because(CallError::InvalidResponse, TWICE))
        }
    }
}

fn check_size(length: usize, limit: usize) -> Result<(), Failure> {
    if length <= limit {
        return Ok(());
    }
    let detail =
        format!("the head has about {length} bytes, the limit is {limit} (proxy-buffer-size)");
    Err(Failure::because(CallError::HeadTooLarge, detail))
}

/// Length of a status line with an empty line, which stand for the status of HTTP/2.
const STATUS_LINE: usize = "HTTP/1.1 200 OK\r\n\r\n".len();
