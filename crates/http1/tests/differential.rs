//! Responses as this crate and hyper read them: what hyper refuses is refused, what is accepted means the same.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::future::{Future, poll_fn};
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::{Connection, Error, RequestHead, Unpiped};
use http::header::CONNECTION;
use http::{HeaderMap, Method, Request, StatusCode, Uri, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use support::{Script, damaged};

const BUFFER: usize = 64 << 10;

/// How a response is read.
#[derive(Clone, Copy, Debug)]
struct Mode {
    /// The connection ends after the last byte.
    ends: bool,
    head: bool,
    /// See [`Script::piece`].
    piece: usize,
}

impl Mode {
    fn of(byte: u8) -> Self {
        Self {
            ends: byte & 1 == 0,
            head: byte & 0b1110 == 0b1110,
            piece: [0, 1, 3, 17][usize::from(byte >> 4) % 4],
        }
    }

    fn method(self) -> Method {
        match self.head {
            true => Method::HEAD,
            false => Method::GET,
        }
    }

    fn script(self, bytes: &[u8]) -> Script {
        Script {
            sends: bytes.to_vec(),
            piece: self.piece,
            ends: self.ends,
            ..Script::default()
        }
    }
}

/// What a reader makes of a response.
#[derive(Debug, Default)]
struct Read {
    head: Option<Head>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
    end: End,
    reusable: bool,
}

#[derive(Debug, PartialEq)]
struct Head {
    version: Version,
    status: StatusCode,
    reason: Option<Bytes>,
    headers: HeaderMap,
}

#[derive(Debug, Default, PartialEq)]
enum End {
    /// It waits for more.
    #[default]
    Waits,
    Whole,
    Refused(String),
}

/// The outcome of `future`, unless it waits for something that does not come.
async fn soon<F: Future>(future: F) -> Option<F::Output> {
    tokio::time::timeout(Duration::from_secs(1), future)
        .await
        .ok()
}

async fn ours(bytes: &[u8], mode: Mode) -> Read {
    let mut read = Read::default();
    let mut connection = Connection::new(mode.script(bytes), BUFFER);
    let head = RequestHead {
        method: &mode.method(),
        target: &Uri::from_static("/"),
        version: Version::HTTP_11,
        headers: &HeaderMap::new(),
    };
    connection
        .start(&head, Unpiped(Empty::<Bytes>::new()))
        .unwrap();
    let refused = |error: Error| End::Refused(error.to_string());
    match soon(poll_fn(|cx| connection.poll_head(cx))).await {
        None => return read,
        Some(Err(error)) => {
            read.end = refused(error);
            return read;
        }
        Some(Ok(head)) => {
            assert!(head.size <= bytes.len());
            read.head = Some(Head {
                version: head.version,
                status: head.status,
                reason: head.reason,
                headers: head.headers,
            });
        }
    }
    loop {
        match soon(poll_fn(|cx| connection.poll_frame(cx))).await {
            None => return read,
            Some(None) => break,
            Some(Some(Err(error))) => {
                read.end = refused(error);
                return read;
            }
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    assert!(!data.is_empty());
                    read.body.extend_from_slice(&data);
                }
                Err(frame) => read.trailers = frame.into_trailers().ok(),
            },
        }
    }
    read.end = End::Whole;
    read.reusable = connection.is_usable();
    read
}

async fn hypers(bytes: &[u8], mode: Mode) -> Read {
    let mut read = Read::default();
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(BUFFER);
    let io = TokioIo::new(mode.script(bytes));
    let (mut sender, connection) = builder.handshake(io).await.unwrap();
    let connection = tokio::spawn(connection.with_upgrades());
    let request = Request::builder().method(mode.method()).uri("/");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let refused = |error: hyper::Error| End::Refused(format!("{error:?}"));
    let response = match soon(sender.send_request(request)).await {
        None => return read,
        Some(Err(error)) => {
            read.end = refused(error);
            return read;
        }
        Some(Ok(response)) => response,
    };
    let (head, mut body) = response.into_parts();
    let reason = head.extensions.get::<hyper::ext::ReasonPhrase>();
    read.head = Some(Head {
        version: head.version,
        status: head.status,
        reason: reason.map(|reason| Bytes::copy_from_slice(reason.as_bytes())),
        headers: head.headers,
    });
    loop {
        match soon(body.frame()).await {
            None => return read,
            Some(None) => break,
            Some(Some(Err(error))) => {
                read.end = refused(error);
                return read;
            }
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => read.body.extend_from_slice(&data),
                Err(frame) => read.trailers = frame.into_trailers().ok(),
            },
        }
    }
    read.end = End::Whole;
    read.reusable = matches!(soon(sender.ready()).await, Some(Ok(()))) && !connection.is_finished();
    read
}

/// What only this crate refuses.
const STRICTER: [&str; 7] = [
    "several Content-Length fields",
    "several Transfer-Encoding fields",
    "a Transfer-Encoding other than chunked",
    "Content-Length and Transfer-Encoding",
    "Transfer-Encoding in HTTP/1.0",
    "a Content-Length that is no number",
    "extensions that are too large",
];

fn compare(bytes: &[u8], mode: Mode) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let (ours, hypers) =
        runtime.block_on(async { (ours(bytes, mode).await, hypers(bytes, mode).await) });
    let both = format!("{mode:?} {}\n{ours:?}\n{hypers:?}", bytes.escape_ascii());
    match (&ours.end, &hypers.end) {
        (End::Refused(why), End::Whole | End::Waits)
            if STRICTER.iter().any(|stricter| why.ends_with(stricter)) =>
        {
            return;
        }
        // It refuses a head that cannot become one any more at once.
        (End::Refused(why), End::Waits) if hypers.head.is_none() => {
            assert!(why.starts_with("invalid response head"), "{both}");
            return;
        }
        // It looks for such a head in what arrives first, and then at the end of the head.
        (End::Waits, End::Refused(_)) if mode.piece > 0 && hypers.head.is_none() => {
            assert!(ours.head.is_none(), "{both}");
            return;
        }
        (End::Refused(_), End::Refused(_)) => {}
        (ours, hypers) => assert_eq!(ours, hypers, "{both}"),
    }
    if ours.head.is_none() && hypers.head.is_some() {
        // What only this crate refuses in the head, hyper refuses in the body for another reason.
        let End::Refused(why) = &ours.end else {
            panic!("{both}");
        };
        assert!(
            STRICTER.iter().any(|stricter| why.ends_with(stricter)),
            "{both}"
        );
        return;
    }
    assert_eq!(ours.head, hypers.head, "{both}");
    let switched = ours.head.as_ref().is_some_and(|head| head.status == 101);
    assert!(switched || ours.body == hypers.body, "{both}");
    assert_eq!(ours.trailers, hypers.trailers, "{both}");
    let may_close = ours.head.as_ref().is_some_and(|head| {
        let connection = head.headers.get_all(CONNECTION).iter();
        // hyper reads no token of a Connection field with other bytes.
        let is_opaque = connection
            .map(|value| value.to_str())
            .any(|text| text.is_err());
        head.version == Version::HTTP_10 || is_opaque
    });
    assert!(
        ours.reusable == hypers.reusable || (may_close && !ours.reusable),
        "{both}"
    );
}

/// The first byte is the mode.
fn is_read_alike(bytes: &[u8]) {
    if let Some((mode, bytes)) = bytes.split_first() {
        compare(bytes, Mode::of(*mode));
    }
}

#[test]
fn fuzz_http1_response() {
    headgate_fuzz::check("http1-response", is_read_alike);
}

const STARTS: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\n",
    "\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "HTTP/1.1 404 Nothing there\r\n",
    "HTTP/1.1 520 \r\n",
    "HTTP/1.1 299\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n",
    "HTTP/2 200\r\n",
    "HTTP/1.1 099 X\r\n",
];
const FIELDS: &[&str] = &[
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5, 5\r\n",
    "Content-Length: +5\r\n",
    "content-length:5\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive, Close\r\n",
    "Connection: keep-alive\r\n",
    "X: \t a b é \r\n",
    "X: a\r\n b\r\n",
    "X : a\r\n",
    "X-Empty:\r\n",
    "Set-Cookie: a\r\nSet-Cookie: b\r\n",
    ": a\r\n",
];
const BODIES: &[&str] = &[
    "",
    "hello",
    "hello, world",
    "5\r\nhello\r\n0\r\n\r\n",
    "5;a=\"b\"\r\nhello\r\n000\r\n\r\n",
    "5 \t;x\r\nhello\r\nA\r\n0123456789\r\n0\r\nX-Sum: 7\r\nY: z\r\n\r\n",
    "5\nhello\n0\n\n",
    "5\r\nhelloX0\r\n\r\n",
    "10000000000000000\r\nx",
    "0000000000000000005\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
    "0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "-5\r\nhello\r\n0\r\n\r\n",
    "0\r\nA: b\nC: d\r\n\r\n",
];

fn response() -> impl Strategy<Value = Vec<u8>> {
    let fields = prop::collection::vec(prop::sample::select(FIELDS), 0..4);
    let parts = (
        prop::sample::select(STARTS),
        fields,
        prop::sample::select(BODIES),
    );
    damaged(
        parts.prop_map(|(start, fields, body)| [start, &fields.concat(), "\r\n", body].concat()),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn responses_are_read_as_by_hyper_or_more_strictly(bytes in response(), mode: u8) {
        compare(&bytes, Mode::of(mode));
    }
}

#[test]
fn each_start_field_and_body_is_read_alike() {
    for start in STARTS {
        for field in FIELDS {
            for body in BODIES {
                let response = format!("{start}{field}\r\n{body}");
                for mode in [0, 0x11] {
                    compare(response.as_bytes(), Mode::of(mode));
                }
            }
        }
    }
}

#[test]
fn bounds_are_those_of_hyper() {
    let fields = |number: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(number));
    let long = |length: usize| format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "b".repeat(length));
    let chunked =
        |rest: String| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{rest}");
    let trailers = |number: usize| chunked(format!("0\r\n{}\r\n", "A: b\r\n".repeat(number)));
    let extension = |length: usize| chunked(format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length)));
    let sum = |length: usize| chunked(format!("0\r\nA: {}\r\n\r\n", "b".repeat(length)));
    let cases = [
        fields(100),
        fields(101),
        long(60_000),
        long(70_000),
        long(200_000),
    ];
    let more = [
        trailers(100),
        trailers(101),
        extension(16_000),
        extension(17_000),
    ];
    for response in cases
        .into_iter()
        .chain(more)
        .chain([sum(16_000), sum(17_000)])
    {
        for mode in [0, 1, 0x30] {
            compare(response.as_bytes(), Mode::of(mode));
        }
    }
}
