//! Requests as this crate and hyper read them, beside which an oracle looks for ambiguous ones.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::server::{Connection, Fault, Limits, Next, Refusal, Reply};
use headgate_http1::{Error, Unpiped};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use support::Script;
use support::requests::{BODIES, FIELDS, LINES, requests};
use support::scanner::{Scanned, Scanner};

/// How requests are read.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// See [`Script::piece`].
    piece: usize,
    limits: Limits,
}

const WIDE: Limits = Limits {
    request_line: 8 << 10,
    field: 8 << 10,
    head: 32 << 10,
    fields: 100,
    buffer: 32 << 10,
};
const NARROW: Limits = Limits {
    request_line: 32,
    field: 48,
    head: 128,
    fields: 4,
    ..WIDE
};

impl Mode {
    fn of(byte: u8) -> Self {
        Self {
            piece: [0, 1, 3, 17][usize::from(byte) % 4],
            limits: match byte & 0b1100 {
                0b1100 => NARROW,
                _ => WIDE,
            },
        }
    }

    fn script(self, bytes: &[u8]) -> Script {
        Script {
            sends: bytes.to_vec(),
            speaks_first: true,
            piece: self.piece,
            pauses: self.piece > 0,
            ..Script::default()
        }
    }
}

/// What a reader makes of a connection.
#[derive(Debug, Default)]
struct Read {
    requests: Vec<Seen>,
    end: End,
    written: String,
}

#[derive(Debug, PartialEq)]
struct Seen {
    method: Method,
    target: Uri,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Its body ends with this error.
    broken: Option<Broken>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Broken {
    Malformed,
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum End {
    /// It waits for more.
    #[default]
    Waits,
    Closed,
    Fault(StatusCode),
    /// It is not HTTP/1.
    Invalid,
}

impl End {
    fn is_refused(self) -> bool {
        matches!(self, Self::Fault(_) | Self::Invalid)
    }
}

fn status(fault: Fault) -> StatusCode {
    match fault {
        Fault::Malformed => StatusCode::BAD_REQUEST,
        Fault::UnknownCoding => StatusCode::NOT_IMPLEMENTED,
        Fault::LineTooLong => StatusCode::URI_TOO_LONG,
        Fault::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    }
}

/// There is no tunnel.
fn answer(method: &Method) -> StatusCode {
    match *method {
        Method::CONNECT => StatusCode::METHOD_NOT_ALLOWED,
        _ => StatusCode::OK,
    }
}

/// The outcome of `future`, unless it waits for something that does not come.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    tokio::time::timeout(Duration::from_secs(1), future)
        .await
        .ok()
}

/// Reads the body of `request` to its end, as far as it comes.
async fn see<B>(request: Request<B>, seen: &RefCell<Vec<Seen>>, broken: impl Fn(B::Error) -> Broken)
where
    B: Body<Data = Bytes> + Unpin,
{
    let (head, mut body) = request.into_parts();
    let at = seen.borrow().len();
    seen.borrow_mut().push(Seen {
        method: head.method,
        target: head.uri,
        version: head.version,
        headers: head.headers,
        body: Vec::new(),
        trailers: None,
        broken: None,
    });
    while let Some(frame) = body.frame().await {
        let seen = &mut seen.borrow_mut()[at];
        match frame {
            Err(error) => {
                seen.broken = Some(broken(error));
                return;
            }
            Ok(frame) => match frame.into_data() {
                Ok(data) => seen.body.extend_from_slice(&data),
                Err(frame) => seen.trailers = frame.into_trailers().ok(),
            },
        }
    }
}

/// What was written, without dates.
fn text(script_written: &std::sync::Mutex<Vec<u8>>) -> String {
    let text = String::from_utf8_lossy(&script_written.lock().unwrap()).into_owned();
    let lines = text.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("Date: ")).collect()
}

async fn ours(bytes: &[u8], mode: Mode) -> Read {
    let script = mode.script(bytes);
    let written = script.written.clone();
    let seen = RefCell::default();
    let end = soon(our_end(script, mode, &seen)).await.unwrap_or_default();
    Read {
        requests: seen.into_inner(),
        end,
        written: text(&written),
    }
}

async fn our_end(script: Script, mode: Mode, seen: &RefCell<Vec<Seen>>) -> End {
    let broken = |error: Error| match error {
        Error::InvalidChunks(_) => Broken::Malformed,
        _ => Broken::Other,
    };
    let mut connection = Connection::new(Box::new(script), mode.limits, true);
    loop {
        let request = match poll_fn(|cx| connection.poll_head(cx)).await {
            Ok(None) => return End::Closed,
            Ok(Some((request, None))) => request,
            Ok(Some((_, Some(fault)))) | Err(Refusal::Fault(fault)) => {
                return End::Fault(status(fault));
            }
            Err(Refusal::Invalid(status)) => {
                connection.refuse(status);
                let sent = poll_fn(|cx| connection.poll_sent(cx)).await;
                assert_eq!(sent.unwrap(), Next::Close);
                return End::Invalid;
            }
            Err(Refusal::Http2) => return End::Invalid,
        };
        let status = answer(request.method());
        let mut serving = pin!(see(request, seen, broken));
        let served = poll_fn(|cx| connection.poll_served(serving.as_mut(), cx));
        served.await.unwrap();
        let reply = Reply {
            status,
            reason: None,
            headers: &HeaderMap::new(),
        };
        connection.respond(&reply, Unpiped(Empty::new())).unwrap();
        match poll_fn(|cx| connection.poll_sent(cx)).await {
            Ok(Next::Request) => {}
            Ok(Next::Close) => return End::Closed,
            other => panic!("{other:?}"),
        }
    }
}

async fn oracles(bytes: &[u8], mode: Mode) -> Read {
    let script = mode.script(bytes);
    let written = script.written.clone();
    let seen = Rc::default();
    let end = soon(oracles_end(script, mode, &seen)).await;
    let requests = seen.borrow_mut().drain(..).collect();
    Read {
        requests,
        end: end.unwrap_or_default(),
        written: text(&written),
    }
}

async fn oracles_end(script: Script, mode: Mode, seen: &Rc<RefCell<Vec<Seen>>>) -> End {
    let scanner = Rc::new(RefCell::new(Scanner::new(mode.limits)));
    let (started, done) = (Rc::new(RefCell::new(0)), Rc::new(RefCell::new(0)));
    let fault = {
        let (scanner, started) = (scanner.clone(), started.clone());
        move || {
            let scanner = scanner.borrow();
            scanner
                .fault()
                .filter(|_| scanner.heads() == *started.borrow())
        }
    };
    let faulty = Rc::new(RefCell::new(None));
    let service = service_fn({
        let (fault, faulty, seen) = (fault.clone(), faulty.clone(), seen.clone());
        let (started, done) = (started.clone(), done.clone());
        move |request: Request<hyper::body::Incoming>| {
            *faulty.borrow_mut() = fault();
            *started.borrow_mut() += 1;
            let (faulty, seen, done) = (faulty.clone(), seen.clone(), done.clone());
            async move {
                if faulty.borrow().is_some() {
                    std::future::pending::<()>().await;
                }
                let status = answer(request.method());
                see(request, &seen, |error| cause(&error)).await;
                *done.borrow_mut() += 1;
                let mut response = Response::new(Empty::<Bytes>::new());
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .half_close(false)
        .title_case_headers(true)
        .max_buf_size(32 << 10)
        .max_header_size(mode.limits.head * 2);
    if mode.limits.fields != 100 {
        builder.max_headers(mode.limits.fields);
    }
    let io = TokioIo::new(Scanned { script, scanner });
    let mut connection = pin!(builder.serve_connection(io, service));
    poll_fn(|cx| {
        let end = connection.as_mut().poll(cx);
        if let Some(fault) = *faulty.borrow() {
            return Poll::Ready(End::Fault(status(fault)));
        }
        if let Poll::Ready(end) = end {
            let is_invalid = end.is_err_and(|error| error.is_parse());
            return Poll::Ready(match is_invalid {
                true => End::Invalid,
                false => End::Closed,
            });
        }
        match fault().filter(|_| started == done) {
            Some(fault) => Poll::Ready(End::Fault(status(fault))),
            None => Poll::Pending,
        }
    })
    .await
}

fn cause(error: &hyper::Error) -> Broken {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(
            kind,
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        ) {
            return Broken::Malformed;
        }
        cause = error.source();
    }
    Broken::Other
}

/// Whether the first line looks like a field, so that it is no request line.
fn begins_with_a_field(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    let end = bytes
        .iter()
        .position(|byte| matches!(byte, b' ' | b':' | b'\n'));
    end.is_some_and(|end| bytes[end] == b':')
}

fn compare(bytes: &[u8], mode: Mode) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (ours, oracles) =
        runtime.block_on(async { (ours(bytes, mode).await, oracles(bytes, mode).await) });
    let both = format!("{mode:?} {}\n{ours:#?}\n{oracles:#?}", bytes.escape_ascii());
    let (requests, expected) = (&ours.requests, &oracles.requests);
    assert_eq!(requests, expected, "{both}");
    match (ours.end, oracles.end) {
        // For one of two reasons.
        (our, end) if our != end && our.is_refused() && end.is_refused() => {}
        // hyper takes empty lines before a head for its end, and looks at what has arrived.
        (End::Waits, End::Invalid) if mode.piece > 0 => {}
        // It is refused at once, which hyper does when the head is complete.
        (End::Fault(StatusCode::BAD_REQUEST), End::Waits)
            if requests.is_empty() && begins_with_a_field(bytes) => {}
        (our, end) => {
            assert_eq!(our, end, "{both}");
            // hyper does not say that it closes after a body that is broken.
            let is_broken = requests.iter().any(|seen| seen.broken.is_some());
            let written = |text: &str| match is_broken {
                true => text.replace("Connection: close\r\n", ""),
                false => text.to_owned(),
            };
            if !matches!(our, End::Fault(_)) {
                assert_eq!(written(&ours.written), written(&oracles.written), "{both}");
            }
        }
    }
}

/// The first byte is the mode.
fn is_read_alike(bytes: &[u8]) {
    if let Some((mode, bytes)) = bytes.split_first() {
        compare(bytes, Mode::of(*mode));
    }
}

#[test]
fn fuzz_heads() {
    headgate_fuzz::check("heads", is_read_alike);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn requests_are_read_as_by_hyper_and_the_oracle(bytes in requests(), mode: u8) {
        compare(&bytes, Mode::of(mode));
    }
}

#[test]
fn each_line_field_and_body_is_read_alike() {
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for field in FIELDS {
        for line in LINES {
            for body in &BODIES[..3] {
                let request = format!("{line}Host: a\r\n{field}\r\n{body}{next}");
                for mode in [0, 2] {
                    compare(request.as_bytes(), Mode::of(mode));
                }
            }
        }
        for body in BODIES {
            let request = format!("{}Host: a\r\n{field}\r\n{body}{next}", LINES[1]);
            for mode in [0, 1, 2] {
                compare(request.as_bytes(), Mode::of(mode));
            }
        }
    }
    for first in FIELDS {
        for second in FIELDS {
            let request = format!("{}Host: a\r\n{first}{second}\r\nhello{next}", LINES[1]);
            for mode in [0, 3] {
                compare(request.as_bytes(), Mode::of(mode));
            }
        }
    }
}
