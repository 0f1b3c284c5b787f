//! One connection, and what it is good for after each request.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use headgate_http1::{Connection, Error, Piped, RequestHead, ResponseHead, Unpiped};
use http::{HeaderMap, Method, Uri, Version};
use http_body::{Body, Frame};
use support::Script;
use tokio::io::AsyncReadExt;

/// A body of which the next piece comes when it is put here; `Some(None)` is a failure.
#[derive(Default)]
struct Fed(Option<Option<Bytes>>);

impl Piped for Fed {}

impl Body for Fed {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        match self.0.take() {
            None => Poll::Pending,
            Some(data) => Poll::Ready(Some(data.map(Frame::data).ok_or(()))),
        }
    }
}

fn start<B>(connection: &mut Connection<Script, B>, method: Method, body: B)
where
    B: Piped<Data = Bytes> + Unpin,
{
    let head = RequestHead {
        method: &method,
        target: &Uri::from_static("/"),
        version: Version::HTTP_11,
        headers: &HeaderMap::new(),
    };
    connection.start(&head, body).unwrap();
}

fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

/// A connection whose endpoint sends this after the head of a POST with `body`, and the head of the response.
fn posted(
    sends: &str,
    script: Script,
    body: Fed,
) -> (Connection<Script, Fed>, Option<Result<ResponseHead, Error>>) {
    let mut connection = Connection::new(
        Script {
            sends: sends.into(),
            ..script
        },
        8 << 10,
    );
    start(&mut connection, Method::POST, body);
    let head = once(|cx| connection.poll_head(cx));
    (connection, head)
}

fn frame(connection: &mut Connection<Script, Fed>) -> Option<Option<Result<String, Error>>> {
    let text = |frame: Frame<Bytes>| String::from_utf8(frame.into_data().unwrap().into()).unwrap();
    once(|cx| connection.poll_frame(cx)).map(|frame| frame.map(|frame| frame.map(text)))
}

const EARLY: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";

#[test]
fn a_response_may_come_before_the_request_is_sent() {
    let (mut connection, head) = posted(EARLY, Script::default(), Fed::default());
    assert_eq!(head.unwrap().unwrap().status, 413);
    assert!(!connection.is_sent() && !connection.is_end());
    assert_eq!(frame(&mut connection).unwrap().unwrap().unwrap(), "no");
    assert!(
        connection.is_end() && !connection.is_usable(),
        "the rest of the request is missing"
    );
}

#[test]
fn the_body_of_a_response_ends_with_that_of_the_request() {
    let (mut connection, _) = posted(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        Script::default(),
        Fed::default(),
    );
    assert!(frame(&mut connection).is_none());
    let failed = Fed(Some(None));
    let sends = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let (mut connection, head) = posted(sends, Script::default(), failed);
    assert!(matches!(head, Some(Err(Error::SentBody))));
    assert!(matches!(
        frame(&mut connection),
        Some(Some(Err(Error::SentBody)))
    ));
}

#[test]
fn what_an_endpoint_sends_before_it_stops_reading_is_read() {
    let breaks = || Script {
        breaks: Some(20),
        takes: 10,
        ..Script::default()
    };
    let (mut connection, head) = posted(EARLY, breaks(), Fed(Some(Some("body".into()))));
    assert_eq!(head.unwrap().unwrap().status, 413);
    assert!(connection.is_sent(), "given up");
    assert_eq!(frame(&mut connection).unwrap().unwrap().unwrap(), "no");
    assert!(!connection.is_usable());
    let ends = Script {
        ends: true,
        ..breaks()
    };
    let (_, head) = posted("", ends, Fed(Some(Some("body".into()))));
    let Some(Err(Error::Io(error))) = head else {
        panic!("{head:?}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn a_connection_is_kept_only_while_the_endpoint_is_silent() {
    let length = "Content-Length: 2\r\n\r\nok";
    for (sends, ends, usable) in [
        (format!("HTTP/1.1 200 OK\r\n{length}"), false, true),
        (format!("HTTP/1.1 200 OK\r\n{length}"), true, false),
        (format!("HTTP/1.1 200 OK\r\n{length}HTTP/1.1"), false, false),
        (
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{length}"),
            false,
            false,
        ),
        (
            format!("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n{length}"),
            false,
            false,
        ),
        ("HTTP/1.1 200 OK\r\n\r\nok".to_owned(), true, false),
    ] {
        let mut connection = Connection::new(
            Script {
                sends: sends.clone().into(),
                ends,
                ..Script::default()
            },
            8 << 10,
        );
        start(
            &mut connection,
            Method::GET,
            Unpiped(http_body_util::Empty::<Bytes>::new()),
        );
        once(|cx| connection.poll_head(cx)).unwrap().unwrap();
        let data = once(|cx| connection.poll_frame(cx))
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(data.into_data().unwrap(), "ok", "{sends}");
        let end = once(|cx| connection.poll_frame(cx));
        assert!(matches!(end, Some(None)), "{sends}");
        assert_eq!(connection.is_usable(), usable, "{sends} {ends}");
        connection.rest();
        assert_eq!(connection.is_usable(), usable, "{sends} {ends}");
    }
}

#[test]
fn interim_responses_without_end_leave_time_for_deadlines() {
    let endless = Script {
        repeats: true,
        ..Script::default()
    };
    let sends = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    let (mut connection, head) = posted(sends, endless, Fed::default());
    assert!(head.is_none());
    assert!(once(|cx| connection.poll_head(cx)).is_none());
}

#[tokio::test]
async fn after_a_switch_the_connection_is_a_stream() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello";
    let script = Script {
        sends: switch.into(),
        ends: true,
        ..Script::default()
    };
    let mut connection = Connection::new(script, 8 << 10);
    start(
        &mut connection,
        Method::GET,
        Unpiped(http_body_util::Empty::<Bytes>::new()),
    );
    let head = poll_fn(|cx| connection.poll_head(cx)).await.unwrap();
    assert!(head.status == 101 && !connection.is_usable());
    let mut text = String::new();
    connection.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn a_body_shorter_than_announced_is_no_request() {
    let mut connection = Connection::new(Script::default(), 8 << 10);
    let headers = HeaderMap::from_iter([(http::header::CONTENT_LENGTH, "9".parse().unwrap())]);
    let head = RequestHead {
        method: &Method::PUT,
        target: &Uri::from_static("/"),
        version: Version::HTTP_10,
        headers: &headers,
    };
    let body = Unpiped(http_body_util::Full::new(Bytes::from_static(b"short")));
    connection.start(&head, body).unwrap();
    let head = once(|cx| connection.poll_head(cx));
    assert!(matches!(head, Some(Err(Error::ShortBody))));
}

#[test]
fn http_1_0_frames_no_body_of_unknown_length() {
    let mut connection = Connection::new(Script::default(), 8 << 10);
    let head = RequestHead {
        method: &Method::PUT,
        target: &Uri::from_static("/"),
        version: Version::HTTP_10,
        headers: &HeaderMap::new(),
    };
    let started = connection.start(&head, Fed::default());
    assert!(matches!(started, Err(Error::NoFraming)));
}
