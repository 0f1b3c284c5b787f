//! One connection of a client: bodies, what is sent meanwhile, and how it goes on or ends.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use headgate_http1::server::{Connection, Incoming, Next, Reply};
use headgate_http1::{Error, Unpiped};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use support::{LIMITS, Pieces};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

const GET: &str = "GET /one HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

type Served = Connection<Unpiped<Full<Bytes>>>;

/// A client, and its connection.
fn connected() -> (DuplexStream, Served) {
    let (client, server) = duplex(64 << 10);
    (client, Connection::new(Box::new(server), LIMITS, true))
}

async fn sent(bytes: &str) -> (DuplexStream, Served) {
    let (mut client, connection) = connected();
    client.write_all(bytes.as_bytes()).await.unwrap();
    (client, connection)
}

fn once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

fn head(connection: &mut Served) -> Option<Request<Incoming>> {
    let head = once(|cx| connection.poll_head(cx))?;
    let (request, fault) = head.unwrap()?;
    assert_eq!(fault, None);
    Some(request)
}

/// Whether the client is there while its request is served.
fn is_there(connection: &mut Served) -> bool {
    once(|cx| connection.poll_served(pin!(pending::<()>()), cx)).is_none()
}

fn respond(connection: &mut Served, text: &'static str) {
    let reply = Reply {
        status: StatusCode::OK,
        reason: None,
        headers: &HeaderMap::new(),
    };
    connection
        .respond(&reply, Unpiped(Full::from(text)))
        .unwrap();
}

fn next(connection: &mut Served) -> Option<Result<Next, Error>> {
    once(|cx| connection.poll_sent(cx))
}

/// What the client has received.
fn received(client: &mut DuplexStream) -> String {
    let mut bytes = vec![0; 64 << 10];
    let read = pin!(client.read(&mut bytes));
    let length = once(|cx| read.poll(cx)).map_or(0, Result::unwrap);
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

/// The next data of a body; `Err`: it failed. `None`: it waits.
fn data(body: &mut Incoming) -> Option<Result<String, Error>> {
    let frame = once(|cx| Pin::new(body).poll_frame(cx))?;
    let text = |bytes: Bytes| String::from_utf8(bytes.into()).unwrap();
    Some(match frame {
        None => Ok(String::new()),
        Some(frame) => frame.map(|frame| text(frame.into_data().unwrap())),
    })
}

#[tokio::test]
async fn the_next_request_waits_for_the_end_of_the_response() {
    let (mut client, mut connection) = sent(&[GET, &GET.replace("one", "two")].concat()).await;
    assert_eq!(head(&mut connection).unwrap().uri(), "/one");
    assert!(is_there(&mut connection));
    client.shutdown().await.unwrap();
    assert!(is_there(&mut connection), "what was sent before hides it");
    respond(&mut connection, "first");
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Request);
    assert!(received(&mut client).ends_with("first"));
    assert_eq!(head(&mut connection).unwrap().uri(), "/two");
    assert!(!is_there(&mut connection));
}

#[tokio::test]
async fn a_client_that_leaves_during_a_response_is_noticed() {
    let (client, server) = duplex(100);
    let mut client = client;
    let mut connection = Connection::new(Box::new(server), LIMITS, true);
    client.write_all(GET.as_bytes()).await.unwrap();
    head(&mut connection).unwrap();
    respond(&mut connection, &"x".repeat(1000).leak()[..]);
    assert!(next(&mut connection).is_none());
    client.shutdown().await.unwrap();
    assert!(matches!(next(&mut connection), Some(Err(Error::Closed))));
}

#[tokio::test]
async fn a_body_is_read_when_it_is_asked_for() {
    let (mut client, mut connection) = sent(&format!("{POST}he")).await;
    let mut body = head(&mut connection).unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    assert_eq!(data(&mut body).unwrap().unwrap(), "he");
    assert!(data(&mut body).is_none() && !body.is_end_stream());
    client.write_all(b"lloGET").await.unwrap();
    assert_eq!(data(&mut body).unwrap().unwrap(), "llo");
    assert!(body.is_end_stream());
    assert_eq!(data(&mut body).unwrap().unwrap(), "");
    respond(&mut connection, "");
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Request);
    assert!(head(&mut connection).is_none() && connection.has_begun());
    assert_eq!(
        data(&mut body).unwrap().unwrap(),
        "",
        "of its request alone"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_after_its_body_is_noticed() {
    let (mut client, mut connection) = sent(POST).await;
    let mut body = head(&mut connection).unwrap().into_body();
    let serving = async {
        let mut serving = pin!(async {
            while body.frame().await.is_some() {}
            pending::<()>().await;
        });
        poll_fn(|cx| connection.poll_served(serving.as_mut(), cx)).await
    };
    let leaving = async {
        client.write_all(b"hello").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(client);
    };
    let both = async { tokio::join!(serving, leaving).0 };
    let served = tokio::time::timeout(Duration::from_secs(9), both).await;
    assert!(served.unwrap().is_none());
}

#[tokio::test]
async fn trailers_follow_chunks() {
    let chunked = POST.replace("Content-Length: 5", "Transfer-Encoding: chunked");
    let (_client, mut connection) =
        sent(&format!("{chunked}5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n")).await;
    let body = head(&mut connection).unwrap().into_body();
    assert_eq!(body.size_hint().exact(), None);
    let body = body.collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-sum"], "7");
    assert_eq!(body.to_bytes(), "hello");
}

#[tokio::test]
async fn a_client_is_told_to_continue_when_its_body_is_read() {
    let expecting = POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    let (mut client, mut connection) = sent(&expecting).await;
    let mut body = head(&mut connection).unwrap().into_body();
    assert!(is_there(&mut connection));
    assert_eq!(received(&mut client), "");
    let read = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx).map(|_| ()));
    let mut read = pin!(read);
    assert!(once(|cx| connection.poll_served(read.as_mut(), cx)).is_none());
    assert_eq!(received(&mut client), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(once(|cx| connection.poll_served(read.as_mut(), cx)).is_none());
    assert_eq!(received(&mut client), "", "once");

    let (mut client, mut connection) = sent(&expecting).await;
    let mut body = head(&mut connection).unwrap().into_body();
    respond(&mut connection, "no");
    assert!(data(&mut body).is_none());
    drop(body);
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Close);
    let text = received(&mut client);
    assert!(
        text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("no"),
        "{text}"
    );
}

#[tokio::test]
async fn an_abandoned_body_ends_the_connection_unless_it_has_arrived() {
    for (arrived, goes_on) in [("hello", true), ("hell", false)] {
        let (mut client, mut connection) = sent(&format!("{POST}{arrived}")).await;
        drop(head(&mut connection).unwrap());
        respond(&mut connection, "ok");
        let follows = next(&mut connection).unwrap().unwrap();
        assert_eq!(follows == Next::Request, goes_on);
        let text = received(&mut client);
        assert_eq!(
            text.contains("\r\nConnection: close\r\n"),
            !goes_on,
            "{text}"
        );
    }
}

#[tokio::test]
async fn another_task_may_read_the_body_after_the_response() {
    let (mut client, mut connection) = sent(POST).await;
    let body = head(&mut connection).unwrap().into_body();
    respond(&mut connection, "early");
    assert!(next(&mut connection).is_none(), "the body is being read");
    assert!(received(&mut client).ends_with("early"));
    let read = tokio::task::LocalSet::new();
    read.run_until(async {
        let read = tokio::task::spawn_local(body.collect());
        let sent =
            tokio::task::spawn_local(async move { poll_fn(|cx| connection.poll_sent(cx)).await });
        tokio::task::yield_now().await;
        client.write_all(b"hello").await.unwrap();
        assert_eq!(sent.await.unwrap().unwrap(), Next::Request, "it is woken");
        assert_eq!(read.await.unwrap().unwrap().to_bytes(), "hello");
    })
    .await;
}

#[tokio::test]
async fn a_body_fails_with_its_connection() {
    let (_client, mut connection) = sent(&format!("{POST}he")).await;
    let mut body = head(&mut connection).unwrap().into_body();
    assert_eq!(data(&mut body).unwrap().unwrap(), "he");
    drop(connection);
    assert!(matches!(data(&mut body), Some(Err(Error::Truncated))));

    let (mut client, mut connection) = sent(&format!("{POST}he")).await;
    client.shutdown().await.unwrap();
    let mut body = head(&mut connection).unwrap().into_body();
    assert!(is_there(&mut connection), "it may wait for a response");
    assert_eq!(data(&mut body).unwrap().unwrap(), "he");
    assert!(matches!(data(&mut body), Some(Err(Error::Truncated))));
    respond(&mut connection, "400");
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Close);
}

#[tokio::test]
async fn after_a_switch_there_is_a_stream_with_what_came_early() {
    let upgrade = GET.replace("\r\n\r\n", "\r\nUpgrade: x\r\n\r\nearly ");
    let switch = |status| Reply {
        status,
        reason: None,
        headers: Box::leak(Box::default()),
    };
    let (mut client, mut connection) = sent(&upgrade).await;
    let taken = head(&mut connection).unwrap().body_mut().take_upgrade();
    assert!(is_there(&mut connection));
    let switching = switch(StatusCode::SWITCHING_PROTOCOLS);
    connection.respond(&switching, Unpiped::default()).unwrap();
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Switch);
    connection.switch();
    let mut stream = taken.unwrap().await.unwrap();
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "early late");
    stream.write_all(b"back").await.unwrap();
    assert!(received(&mut client).ends_with("\r\n\r\nback"));

    let (_client, mut connection) = sent(&upgrade).await;
    let taken = head(&mut connection).unwrap().body_mut().take_upgrade();
    connection
        .respond(&switch(StatusCode::OK), Unpiped::default())
        .unwrap();
    assert_eq!(next(&mut connection).unwrap().unwrap(), Next::Request);
    drop(connection);
    assert!(taken.unwrap().await.is_none());

    let (_client, mut connection) = sent(GET).await;
    assert!(
        head(&mut connection)
            .unwrap()
            .body_mut()
            .take_upgrade()
            .is_none()
    );
    connection.respond(&switching, Unpiped::default()).unwrap();
    assert_eq!(
        next(&mut connection).unwrap().unwrap(),
        Next::Close,
        "no upgrade was requested"
    );
}

#[tokio::test]
async fn responses_with_trailers_end_with_those_that_are_announced() {
    let (mut client, server) = duplex(64 << 10);
    let mut connection = Connection::new(Box::new(server), LIMITS, true);
    let asking = GET.replace("\r\n\r\n", "\r\nTE: trailers\r\n\r\n");
    client.write_all(asking.as_bytes()).await.unwrap();
    assert!(once(|cx| connection.poll_head(cx)).is_some());
    let served = once(|cx| connection.poll_served(pin!(ready(())), cx));
    assert!(served.unwrap().is_some());
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let body = Pieces {
        data: vec!["hello".into()],
        trailers: Some(HeaderMap::from_iter([
            (name("x-sum"), value("7")),
            (name("x-other"), value("8")),
        ])),
        known: false,
    };
    let reply = Reply {
        status: StatusCode::OK,
        reason: Some(b"Fine"),
        headers: &HeaderMap::from_iter([(name("trailer"), value("x-sum"))]),
    };
    connection.respond(&reply, body).unwrap();
    let next = once(|cx| connection.poll_sent(cx));
    assert_eq!(next.unwrap().unwrap(), Next::Request);
    let text = received(&mut client);
    assert!(
        text.starts_with("HTTP/1.1 200 Fine\r\nTrailer: x-sum\r\n"),
        "{text}"
    );
    assert!(
        text.ends_with("5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n"),
        "{text}"
    );
}
