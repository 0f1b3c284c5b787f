//! Clients that leave, or close their direction, while their session is connected to an endpoint.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use bytes::Bytes;
use headgate_table::{Backend, Endpoints, Settings, Split};
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::connection::tests::{Fixture, locally};
use crate::stream::tests::{pair, session_of, unresolved, upstream};

/// A stream to `endpoints` with its client. It has read `ahead`.
async fn stream(
    fixture: &Fixture,
    endpoints: Endpoints,
    (kind, ahead): (Kind, &'static [u8]),
) -> (Stream, TcpStream) {
    let upstream = upstream(endpoints);
    let split = Split::new(Backend::upstream_only(upstream.key.clone()));
    let mut table = RoutingTable::new(Arc::<Settings>::default());
    table.insert_upstream(upstream);
    fixture.publisher.borrow_mut().publish(Arc::new(table));
    let context = &fixture.context;
    let (client, io) = pair().await;
    let stream = Stream {
        io,
        ahead: Bytes::from_static(ahead),
        backends: Arc::new(split),
        sends_proxy: false,
        kind,
        table: Some(context.worker.table()),
        session: session_of(context.worker.telemetry.clone()),
        held: (
            context.worker.telemetry.connection(),
            context.connections.register(),
            context.process.permit(0, 1).unwrap(),
        ),
    };
    (stream, client)
}

/// Whether there was one session, which did not fail.
fn succeeded(fixture: &Fixture) -> bool {
    let metrics = fixture.metrics();
    let mut sessions = metrics
        .lines()
        .filter(|line| line.starts_with("headgate_stream_sessions_total{"));
    let one = sessions.next();
    one.is_some_and(|line| line.contains("status=\"200\"") && line.ends_with(" 1"))
        && sessions.next().is_none()
}

#[tokio::test]
async fn a_client_that_leaves_ends_connecting() {
    for (kind, ahead, resets) in [
        (Kind::Service, b"".as_slice(), true),
        (Kind::Service, b"a request", true),
        (Kind::Service, b"", false),
        (Kind::Passthrough, b"a ClientHello", true),
        (Kind::Passthrough, b"a ClientHello", false),
    ] {
        locally(async {
            let fixture = Fixture::new(Settings::default());
            let (stream, client) = stream(&fixture, unresolved(), (kind, ahead)).await;
            stream.spawn(fixture.context.worker.clone());
            if resets {
                client.set_zero_linger().unwrap();
            }
            drop(client);
            fixture.context.connections.until_empty().await;
            assert!(succeeded(&fixture), "{kind:?} {ahead:?} {resets}");
        })
        .await;
    }
}

/// A listener with one connection, which is all that its queue has room for: others are established when there is room
/// again. A client tries again after a second.
async fn full() -> (TcpListener, TcpStream) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from_std(socket.into()).unwrap();
    let first = TcpStream::connect(listener.local_addr().unwrap());
    let first = first.await.unwrap();
    (listener, first)
}

#[tokio::test]
async fn a_client_that_has_sent_all_gets_its_response() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let (listener, first) = full().await;
        let endpoints = Endpoints::Addresses([listener.local_addr().unwrap()].into());
        let (stream, mut client) = stream(&fixture, endpoints, (Kind::Service, b"")).await;
        client.write_all(b"a request").await.unwrap();
        client.shutdown().await.unwrap();
        // It is known to the runtime before the first attempt ends.
        stream.io.ready(Interest::PRIORITY).await.unwrap();
        stream.spawn(fixture.context.worker.clone());
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        listener.accept().await.unwrap();
        let (mut endpoint, _) = listener.accept().await.unwrap();
        drop(first);
        let mut received = String::new();
        endpoint.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "a request");
        endpoint.write_all(b"a response").await.unwrap();
        drop(endpoint);
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "a response");
        fixture.context.connections.until_empty().await;
        assert!(succeeded(&fixture));
    })
    .await;
}

/// An idle session costs this, two sockets, and nothing else.
#[tokio::test]
async fn the_task_of_a_session_is_small() {
    let fixture = Fixture::new(Settings::default());
    let (stream, _client) = stream(&fixture, unresolved(), (Kind::Service, b"")).await;
    let size = size_of_val(&stream.task(fixture.context.worker.clone()));
    assert!(size <= 1344, "{size} bytes");
}
