//! Responses.

use super::*;
use crate::upstream::CallError;
use crate::upstream::testing::Local;
use bytes::Bytes;
use headgate_table::BackendProtocol;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::num::NonZeroU64;
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn failure_of(response: &'static str) -> Vec<CallError> {
    let endpoint = Endpoint::responding(response).await;
    let world = World::new(upstream(&[endpoint.address]), forwarding());
    world.get().await;
    assert_eq!(
        endpoint.connections.get(),
        1,
        "not retried without invalid_header"
    );
    assert_eq!(world.idle(), 0);
    world.failures.take()
}

#[tokio::test]
async fn invalid_response_heads() {
    local(async {
        let both = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        let lengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok";
        let twice = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok";
        let coded = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
        let folded = "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok";
        let switched =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        for invalid in [both, lengths, twice, coded, chunks, folded, switched, "SSH-2.0-OpenSSH_9.9\r\n"] {
            assert_eq!(failure_of(invalid).await, [CallError::InvalidResponse], "{invalid}");
        }
    })
    .await;
}

#[tokio::test]
async fn heads_have_a_limit() {
    local(async {
        let head = |size: usize| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: {}\r\n\r\nok",
                "x".repeat(size)
            )
        };
        for (size, fits) in [(4 << 10, false), (3 << 10, true)] {
            let response: &'static str = head(size).leak();
            let endpoint = Endpoint::responding(response).await;
            let world = World::new(upstream(&[endpoint.address]), forwarding());
            assert_eq!(world.get().await.ends_with("ok"), fits);
            let expected = if fits {
                Vec::new()
            } else {
                vec![CallError::HeadTooLarge]
            };
            assert_eq!(world.failures.take(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_truncated_body_looks_truncated() {
    local(async {
        for (response, chunked) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", false),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
                true,
            ),
        ] {
            for ahead in [false, true] {
                let endpoint = Endpoint::start(move |_, mut conversation| async move {
                    conversation.request().await;
                    conversation.respond(response).await;
                })
                .await;
                let mut forwarding = forwarding();
                forwarding.buffer_response = ahead;
                let world = World::new(upstream(&[endpoint.address]), forwarding);
                let seen = world.get().await;
                assert!(
                    seen.starts_with("HTTP/1.1 200") && !seen.ends_with("0\r\n\r\n"),
                    "{seen}"
                );
                assert_eq!(
                    seen.to_ascii_lowercase()
                        .contains("transfer-encoding: chunked"),
                    chunked
                );
                assert_eq!(world.idle(), 0);
                assert_eq!(world.attempts.borrow()[0].progress.response.get(), None);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_body_that_stalls_is_truncated() {
    local(async {
        let endpoint = Endpoint::start(|_, mut conversation| async move {
            conversation.request().await;
            conversation
                .respond("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                .await;
            conversation.request().await;
        })
        .await;
        let mut forwarding = forwarding();
        forwarding.read_timeout = std::time::Duration::from_millis(30);
        let world = World::new(upstream(&[endpoint.address]), forwarding);
        let seen = world.get().await;
        assert!(seen.ends_with("hello"), "{seen}");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_disconnects_releases_the_endpoint() {
    local(async {
        let (gone, released) = tokio::sync::oneshot::channel();
        let gone = Rc::new(Cell::new(Some(gone)));
        let endpoint = Endpoint::start(move |_, mut conversation| {
            let gone = gone.clone();
            async move {
                conversation.request().await;
                conversation
                    .respond("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
                    .await;
                if conversation.request().await.is_none() {
                    gone.take().unwrap().send(()).unwrap();
                }
            }
        })
        .await;
        let world = World::new(upstream(&[endpoint.address]), forwarding());
        let mut client = world.connect();
        client
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        client.read_exact(&mut [0; 20]).await.unwrap();
        drop(client);
        released.await.unwrap();
    })
    .await;
}

/// A body of a megabyte in which a misplaced byte shows.
fn large() -> String {
    (0..150_000).map(|n| format!("{n:07}")).collect()
}

/// Requests `body` with response buffering, at most `file_limit` bytes in a file and `files` bytes in all. Returns the client, which has read
/// nothing yet, and the receiver of a message that the endpoint sends once it has written everything.
async fn request_ahead(
    body: String,
    (file_limit, files): (u64, Option<NonZeroU64>),
) -> (
    Rc<World>,
    tokio::io::DuplexStream,
    tokio::sync::oneshot::Receiver<()>,
) {
    let (done, endpoint_is_done) = tokio::sync::oneshot::channel();
    let state = Rc::new(Cell::new(Some((done, body))));
    let endpoint = Endpoint::start(move |_, mut conversation| {
        let state = state.clone();
        async move {
            conversation.request().await;
            let (done, body) = state.take().unwrap();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            conversation.respond(&(head + &body)).await;
            done.send(()).unwrap();
            conversation.request().await;
        }
    })
    .await;
    let mut forwarding = forwarding();
    forwarding.buffer_response = true;
    forwarding.response_file_limit = file_limit;
    let mut settings = headgate_table::Settings::default();
    settings.client.temporary_files = files;
    let world = World::with(upstream(&[endpoint.address]), forwarding, settings, true);
    let mut client = world.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    (world, client, endpoint_is_done)
}

#[tokio::test]
async fn without_room_in_a_file_the_endpoint_waits_while_memory_is_full() {
    local(async {
        // More than the buffers of the sockets hold.
        let all = large().repeat(30);
        for file in [(0, None), (1 << 30, NonZeroU64::new(100_000))] {
            let (_world, mut client, mut endpoint_is_done) = request_ahead(all.clone(), file).await;
            let mut seen = vec![0; all.len() / 2];
            client.read_exact(&mut seen).await.unwrap();
            let early = endpoint_is_done.try_recv();
            assert!(early.is_err(), "the rest was read ahead: {file:?}");
            client.read_to_end(&mut seen).await.unwrap();
            assert!(seen.ends_with(all.as_bytes()));
            endpoint_is_done.await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_response_is_read_ahead_of_a_slow_client() {
    local(async {
        let (world, mut client, endpoint_is_done) = request_ahead(large(), (1 << 30, None)).await;
        // The client reads nothing, and yet the connection to the endpoint becomes free.
        endpoint_is_done.await.unwrap();
        while world.idle() == 0 {
            tokio::task::yield_now().await;
        }
        let mut seen = Vec::new();
        client.read_to_end(&mut seen).await.unwrap();
        assert!(seen.ends_with(large().as_bytes()));
    })
    .await;
}

/// A gRPC service that echoes its request in front of trailers.
async fn grpc() -> (std::net::SocketAddr, Rc<Cell<usize>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Rc::new(Cell::new(0));
    let counter = connections.clone();
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.set(counter.get() + 1);
            let service =
                hyper::service::service_fn(async |request: Request<hyper::body::Incoming>| {
                    assert_eq!(request.uri(), "http://grpc.example/svc/Call");
                    let body = request.into_body().collect().await.unwrap();
                    let sent = body
                        .trailers()
                        .and_then(|trailers| trailers.get("x-sum"))
                        .cloned();
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    trailers.insert("host", HeaderValue::from_static("evil"));
                    trailers
                        .extend(sent.map(|sent| (http::HeaderName::from_static("x-sum"), sent)));
                    let data = http_body::Frame::data(body.to_bytes());
                    let frames = [
                        Ok::<_, std::convert::Infallible>(data),
                        Ok(http_body::Frame::trailers(trailers)),
                    ];
                    Ok::<_, std::convert::Infallible>(Response::new(StreamBody::new(
                        futures_util::stream::iter(frames),
                    )))
                });
            tokio::task::spawn_local(async move {
                let _ = hyper::server::conn::http2::Builder::new(Local)
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, connections)
}

#[tokio::test]
async fn grpc_streams_with_trailers_both_ways_over_one_connection() {
    local(async {
        let (address, connections) = grpc().await;
        let mut upstream = upstream(&[address]);
        upstream.protocol = BackendProtocol::Grpc;
        let world = World::new(upstream, forwarding());
        let io = TokioIo::new(world.connect_http2());
        let (sender, connection) = hyper::client::conn::http2::handshake(Local, io)
            .await
            .unwrap();
        tokio::task::spawn_local(connection);
        for _ in 0..3 {
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", HeaderValue::from_static("7"));
            let body = Full::new(Bytes::from_static(b"ping"))
                .with_trailers(std::future::ready(Some(Ok(trailers))));
            let request = Request::post("http://grpc.example/svc/Call")
                .header("te", "trailers")
                .body(body)
                .unwrap();
            let response = sender.clone().send_request(request).await.unwrap();
            let body = response.into_body().collect().await.unwrap();
            let trailers = body.trailers().unwrap().clone();
            assert_eq!(body.to_bytes(), "ping");
            assert_eq!(
                (
                    &trailers["grpc-status"],
                    &trailers["x-sum"],
                    trailers.get("host")
                ),
                (
                    &HeaderValue::from_static("0"),
                    &HeaderValue::from_static("7"),
                    None
                )
            );
        }
        assert_eq!(connections.get(), 1);
    })
    .await;
}
