//! HTTP/2 with prior knowledge.

use std::task::{Context, Waker};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use hyper::rt::Executor;
use tokio::time::Instant;

use super::*;
use crate::connection::local::LocalExecutor;
use crate::connection::streams::Streams;

type Sender = SendRequest<Bytes>;

/// A client connection; its task ends with the connection.
async fn connect(fixture: &Fixture) -> (Sender, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (sender, connection) = h2::client::handshake(fixture.connect(HTTP)).await.unwrap();
    (sender, spawn_local(connection))
}

fn send(sender: &mut Sender, path: &str, fields: &[(&str, &str)]) -> ResponseFuture {
    let mut request = Request::get(format!("http://a.example{path}"));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    sender
        .send_request(request.body(()).unwrap(), true)
        .unwrap()
        .0
}

async fn text(response: ResponseFuture) -> (u16, String) {
    let (head, mut body) = response.await.unwrap().into_parts();
    let mut bytes = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        bytes.extend(data);
    }
    (head.status.as_u16(), String::from_utf8(bytes).unwrap())
}

/// A request that succeeds.
pub(super) async fn ok(sender: &mut Sender) {
    assert_eq!(text(send(sender, "/x", &[])).await, (200, "path /x".into()));
}

#[tokio::test(start_paused = true)]
async fn requests_are_served_and_checked() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut sender, _connection) = connect(&fixture).await;
        assert_eq!(
            text(send(&mut sender, "/facts", &[])).await,
            (200, "HTTP/2.0 - - - #1".into())
        );
        let (one, two) = (
            send(&mut sender, "/one", &[]),
            send(&mut sender, "/two", &[]),
        );
        assert_eq!(text(two).await.1, "path /two");
        assert_eq!(text(one).await.1, "path /one");
        assert_eq!(
            text(send(&mut sender, "/", &[("x", " padded")])).await.0,
            400
        );
        assert_eq!(
            text(send(&mut sender, &format!("/{}", "x".repeat(9000)), &[]))
                .await
                .0,
            414
        );
        let crumbs = vec![("cookie", "a=b"); 101];
        assert_eq!(text(send(&mut sender, "/", &crumbs)).await.0, 431);
        assert_eq!(
            text(send(&mut sender, "/", &[])).await.0,
            200,
            "none of these ends the connection"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_no_other_stream() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut sender, _connection) = connect(&fixture).await;
        let slow = send(&mut sender, "/slow", &[]);
        assert_eq!(text(send(&mut sender, "/panic", &[])).await.0, 500);
        assert_eq!(text(slow).await.1, "slow");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut sender, connection) = connect(&fixture).await;
        text(send(&mut sender, "/x", &[])).await;
        let begin = Instant::now();
        connection.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), 75);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_connections_are_short_the_first_request_has_a_second() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        fixture.context.worker.shedding.connections_short();
        let (mut sender, connection) = connect(&fixture).await;
        tokio::time::sleep(Duration::from_millis(900)).await;
        ok(&mut sender).await;
        let begin = Instant::now();
        connection.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), 0, "after a request");

        let (_sender, connection) = connect(&fixture).await;
        let begin = Instant::now();
        connection.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), 1, "without a request");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rapid_resets_end_the_connection() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (sender, connection) = connect(&fixture).await;
        let mut sent = 0;
        while sent < 1000 {
            let Ok(mut ready) = sender.clone().ready().await else {
                break;
            };
            let request = Request::get("http://a.example/hang").body(()).unwrap();
            let Ok((response, mut stream)) = ready.send_request(request, true) else {
                break;
            };
            // The request must have arrived before its reset, or the library counts it.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            stream.send_reset(h2::Reason::CANCEL);
            drop((response, stream));
            sent += 1;
        }
        assert!((100..200).contains(&sent), "{sent}");
        drop(sender);
        let _ = connection.await.unwrap();
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_a_response_is_disconnected() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut sender, connection) = connect(&fixture).await;
        let begin = Instant::now();
        // Larger than the window, which is never opened.
        let response = send(&mut sender, "/big", &[]).await.unwrap();
        drop(sender);
        fixture.context.connections.until_empty().await;
        assert!(
            (60..=81).contains(&begin.elapsed().as_secs()),
            "{:?}",
            begin.elapsed()
        );
        drop(response);
        let _ = connection.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn draining_sends_goaway_and_lets_streams_finish() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (mut sender, connection) = connect(&fixture).await;
        let slow = send(&mut sender, "/slow", &[]);
        tokio::time::sleep(Duration::from_secs(1)).await;
        fixture.context.connections.drain();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let refused = match sender.ready().await {
            Ok(mut sender) => sender.send_request(Request::new(()), true).is_err(),
            Err(_) => true,
        };
        assert!(refused, "no new requests after GOAWAY");
        assert_eq!(text(slow).await, (200, "slow".into()));
        connection.await.unwrap().unwrap();
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_announced_stop_lets_a_new_connection_have_its_first_request() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (_idle, idle) = connect(&fixture).await;
        let (mut served, connection) = connect(&fixture).await;
        ok(&mut served).await;
        let begin = Instant::now();
        fixture.context.connections.announce();
        connection.await.unwrap().unwrap();
        let (mut new, connection) = connect(&fixture).await;
        ok(&mut new).await;
        connection.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), 0);
        assert!(!idle.is_finished(), "it has had no request");
        fixture.context.connections.drain();
        idle.await.unwrap().unwrap();
        assert_eq!(begin.elapsed().as_secs(), 0);
    })
    .await;
}

/// The preface, SETTINGS and `GET /x` of a client that writes frames itself.
const GET_X: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
    \0\0\x11\x01\x05\0\0\0\x01\x82\x86\x04\x02/x\x01\x09a.example";
const PONG: &[u8] = b"\0\0\x08\x06\x01\0\0\0\0ABCDEFGH";

#[tokio::test(start_paused = true)]
async fn a_client_that_ignores_pings_is_not_waited_for() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (read, mut write) = tokio::io::split(fixture.connect(HTTP));
        write.write_all(GET_X).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let begin = Instant::now();
        fixture.context.connections.drain();
        fixture.context.connections.until_empty().await;
        assert_eq!(
            begin.elapsed().as_secs(),
            10,
            "for a pong, then for the close"
        );
        drop(read);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_client_sends_after_the_end_does_not_reset_the_last_response() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = 1;
        let fixture = Fixture::new(settings);
        let (mut read, mut write) = tokio::io::split(fixture.connect(HTTP));
        write.write_all(GET_X).await.unwrap();
        let mut bytes = Vec::new();
        read.read_to_end(&mut bytes).await.unwrap();
        let body = b"path /x";
        assert!(bytes.windows(body.len()).any(|window| window == body));
        for _ in 0..5 {
            write.write_all(PONG).await.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        drop((read, write));
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_connection_are_bounded() {
    locally(async {
        let mut settings = Settings::default();
        settings.client.keep_alive_requests = 2;
        let fixture = Fixture::new(settings);
        let (mut sender, connection) = connect(&fixture).await;
        text(send(&mut sender, "/one", &[])).await;
        let begin = Instant::now();
        text(send(&mut sender, "/two", &[])).await;
        connection.await.unwrap().unwrap();
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn floods_of_control_frames_end_the_connection() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const UNKNOWN: &[u8] = b"\0\0\x01\xee\0\0\0\0\0X";
    locally(async {
        for frame in [PING, SETTINGS, UNKNOWN] {
            let fixture = Fixture::new(Settings::default());
            let (mut read, mut write) = tokio::io::split(fixture.connect(HTTP));
            write.write_all(PREFACE).await.unwrap();
            let reader = spawn_local(async move {
                let mut bytes = Vec::new();
                read.read_to_end(&mut bytes).await.unwrap();
                bytes
            });
            let begin = Instant::now();
            let mut sent = 0;
            while sent < 20_000 && !reader.is_finished() && write.write_all(frame).await.is_ok() {
                sent += 1;
            }
            assert!((1000..20_000).contains(&sent), "{sent} of {frame:?}");
            assert_eq!(begin.elapsed().as_secs(), 0, "not because of a timeout");
            drop(write);
            let bytes = reader.await.unwrap();
            let goaway = b"\0\0\x08\x07\0\0\0\0\0";
            assert!(bytes.windows(9).any(|frame| frame == goaway), "{bytes:?}");
            fixture.context.connections.until_empty().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_query_without_a_path_is_refused() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // GET, http, `:authority: a`, `:path: ?x`, without compression (RFC 7541 appendix A and section 6.2.2).
    const HEADERS: &[u8] = b"\0\0\x09\x01\x05\0\0\0\x01\x82\x86\x01\x01a\x04\x02?x";
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let mut client = fixture.connect(HTTP);
        client
            .write_all(&[PREFACE, HEADERS].concat())
            .await
            .unwrap();
        let mut bytes = Vec::new();
        // `:status: 400` is entry 12 of the static table.
        while !bytes.contains(&0x8c) {
            bytes.push(client.read_u8().await.unwrap());
        }
        assert!(!String::from_utf8_lossy(&bytes).contains("path"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_aborted_stream_is_dropped_and_others_continue() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let streams = Rc::new(Streams::new());
        let executor = LocalExecutor::new(fixture.context.worker.clone(), streams.clone());
        let mut running = executor.running();
        let mut poll = || {
            let _ = running.poll(&Context::from_waker(Waker::noop()));
        };
        let begin = Instant::now();
        let begin_one = || {
            let stream = streams.open();
            stream.polled(true);
            let held = Rc::new(());
            let watched = Rc::downgrade(&held);
            executor.execute(async move {
                let _held = (stream, held);
                std::future::pending::<()>().await;
            });
            watched
        };
        let stalled = begin_one();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let other = begin_one();
        poll();
        assert_eq!(streams.abort_stalled(begin), 1);
        poll();
        assert!(stalled.upgrade().is_none() && other.upgrade().is_some());
        assert_eq!(streams.open_count(), 1);
    })
    .await;
}
