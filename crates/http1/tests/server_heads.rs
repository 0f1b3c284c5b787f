//! Heads of requests in, requests and faults out, wherever reads end.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::task::{Context, Poll, Waker};

use headgate_http1::Unpiped;
use headgate_http1::server::{Connection, Fault, Limits, Next, Refusal, Reply};
use http::{HeaderMap, StatusCode};
use http_body::Body;
use http_body_util::Empty;
use support::Script;

const LIMITS: Limits = Limits {
    request_line: 64,
    field: 48,
    head: 256,
    fields: 6,
    buffer: 32 << 10,
};

/// The number of requests without fault, and the refusal of the one after them.
fn read(text: &str, piece: usize) -> (u64, Option<Refusal>) {
    let script = Script {
        sends: text.into(),
        speaks_first: true,
        piece,
        ..Script::default()
    };
    let mut connection = Connection::new(Box::new(script), LIMITS, true);
    let cx = &mut Context::from_waker(Waker::noop());
    for requests in 0.. {
        let mut body = match connection.poll_head(cx) {
            Poll::Ready(Ok(Some((request, None)))) => request.into_body(),
            Poll::Ready(Ok(Some((_, Some(fault))))) => {
                return (requests, Some(Refusal::Fault(fault)));
            }
            Poll::Ready(Err(refusal)) => return (requests, Some(refusal)),
            Poll::Ready(Ok(None)) | Poll::Pending => return (requests, None),
        };
        while let Poll::Ready(Some(Ok(_))) = std::pin::Pin::new(&mut body).poll_frame(cx) {}
        let reply = Reply {
            status: StatusCode::OK,
            reason: None,
            headers: &HeaderMap::new(),
        };
        let body = Unpiped(Empty::<bytes::Bytes>::new());
        connection.respond(&reply, body).unwrap();
        let Poll::Ready(Ok(Next::Request)) = connection.poll_sent(cx) else {
            return (requests + 1, None);
        };
    }
    unreachable!()
}

/// The same with every size of pieces: the outcome must not depend on where reads end.
fn outcome(text: &str) -> (u64, Option<Refusal>) {
    let whole = read(text, 0);
    for piece in 1..text.len() {
        assert_eq!(read(text, piece), whole, "{text:?} in pieces of {piece}");
    }
    whole
}

const BAD: Option<Refusal> = Some(Refusal::Fault(Fault::Malformed));
const LARGE: Option<Refusal> = Some(Refusal::Fault(Fault::HeadTooLarge));
const LONG: Option<Refusal> = Some(Refusal::Fault(Fault::LineTooLong));

#[test]
fn framing_is_checked() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    let next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    let old = "POST / HTTP/1.0\r\nConnection: keep-alive\r\n";
    let unknown = Some(Refusal::Fault(Fault::UnknownCoding));
    for (text, requests, refusal) in [
        (format!("{get}\r\n"), 1, None),
        (format!("\r\n\r\n{get}\r\n{next}"), 2, None),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), 1, None),
        (
            format!("{get}Content-Length: 5\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (format!("{get}Content-Length: 0\r\n\r\n{next}"), 2, None),
        (
            format!("{get}Content-Length: 0005\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (
            format!("{get}content-length:5\t\r\n\r\nhello{next}"),
            2,
            None,
        ),
        (
            format!("{get}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
            0,
            BAD,
        ),
        (
            format!("{get}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
            0,
            BAD,
        ),
        (
            format!("{get}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nG"),
            0,
            BAD,
        ),
        (
            format!("{get}Transfer-Encoding: chunked\r\nContent-Length: x\r\n\r\n0\r\n\r\nG"),
            0,
            BAD,
        ),
        (
            format!(
                "{get}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n{next}"
            ),
            2,
            None,
        ),
        (
            format!("{get}transfer-ENCODING: Chunked\r\n\r\n0\r\n\r\n{next}"),
            2,
            None,
        ),
        (
            format!("{get}Transfer-Encoding: chunked, chunked\r\n\r\n"),
            0,
            BAD,
        ),
        (
            format!("{get}Transfer-Encoding: gzip, chunked\r\n\r\n"),
            0,
            unknown,
        ),
        (format!("{old}\r\n{next}"), 2, None),
        (format!("{old}Host: a\r\nHost: b\r\n\r\n"), 0, BAD),
        ("GET / HTTP/1.1\r\n\r\n".into(), 0, BAD),
        (format!("{get}Host: a\r\n\r\n"), 0, BAD),
        (format!("{get}host: b\r\n\r\n"), 0, BAD),
        (
            format!("{get}\r\n{get}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            1,
            BAD,
        ),
    ] {
        assert_eq!(outcome(&text), (requests, refusal), "{text:?}");
    }
}

#[test]
fn what_cannot_be_framed_is_no_request() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    let old = "POST / HTTP/1.0\r\nHost: a\r\n";
    for text in [
        format!("{get}Content-Length: +5\r\n\r\nhello"),
        format!("{get}Content-Length: 5,5\r\n\r\nhello"),
        format!("{get}Content-Length:\r\n\r\n"),
        format!("{get}Content-Length: 18446744073709551621\r\n\r\n"),
        format!("{get}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"),
        format!("{get}Transfer-Encoding: xchunked\r\n\r\n"),
        format!("{get}Transfer-Encoding: \"chunked\"\r\n\r\n"),
        format!("{get}Transfer-Encoding: chunked, \r\n\r\n"),
        format!("{old}Transfer-Encoding: chunked\r\n\r\n"),
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(),
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}".into(),
    ] {
        let bad = Some(Refusal::Invalid(StatusCode::BAD_REQUEST));
        assert_eq!(read(&text, 0), (0, bad), "{text:?}");
    }
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    assert_eq!(read(preface, 0), (0, Some(Refusal::Http2)));
}

#[test]
fn faults_are_found_before_the_end_of_a_head() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (text, refusal) in [
        (format!("GET /{}", "x".repeat(61)), LONG),
        (format!("{get}X: {}", "x".repeat(47)), LARGE),
        (format!("{get}{}", "X: y\r\n".repeat(6)), LARGE),
        ("\r\n".repeat(129), LARGE),
        (
            format!("{get}Content-Length: 1\r\nContent-Length: 1\r\n"),
            BAD,
        ),
        (format!("{get}Content-Length: x\r\n"), BAD),
    ] {
        assert_eq!(outcome(&text), (0, refusal), "{text:?}");
        let less = text.get(..text.len() - 2).unwrap();
        assert_eq!(read(less, 0), (0, None), "{less:?}");
    }
}

#[test]
fn bounds_hold_exactly() {
    let line = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(n - 14));
    assert_eq!(outcome(&line(64)), (1, None));
    assert_eq!(outcome(&line(65)), (0, LONG));
    let get = "GET / HTTP/1.1\r\nHost: a\r\n";
    let field = |n: usize| format!("{get}X: {}\r\n\r\n", "x".repeat(n - 3));
    assert_eq!(outcome(&field(48)), (1, None));
    assert_eq!(outcome(&field(49)), (0, LARGE));
    let fields = |n: usize| format!("{get}{}\r\n", "X: y\r\n".repeat(n - 1));
    assert_eq!(outcome(&fields(6)), (1, None));
    assert_eq!(outcome(&fields(7)), (0, LARGE));
    let empty = |n: usize| "\r\n".repeat((n - 28) / 2) + "GET / HTTP/1.1\r\nHost: ab\r\n\r\n";
    assert_eq!(outcome(&empty(256)), (1, None));
    assert_eq!(outcome(&empty(258)), (0, LARGE));
}
