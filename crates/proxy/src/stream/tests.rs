//! The relay between a client and an endpoint, on loopback.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::ErrorKind;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    BackendProtocol, Balance, Endpoints, RoutingTable, Settings, Slot, Upstream, UpstreamKey,
    publisher,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::relay::{Bounds, End, Relay};
use super::*;
use crate::connection::tests::config;
use crate::current::CurrentTable;
use crate::pipes::RelayTools;
use crate::telemetry::stream_session::Facts;
use crate::telemetry::{Protocol, Telemetry, WorkerTelemetry};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(50);

/// Two connected sockets.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = TcpStream::connect(listener.local_addr().unwrap());
    let (one, two) = tokio::join!(one, listener.accept());
    (one.unwrap(), two.unwrap().0)
}

/// A session that is not logged.
pub(crate) fn session() -> Session {
    let table = Arc::new(RoutingTable::new(Arc::<Settings>::default()));
    let (_publisher, reader) = publisher(table);
    let telemetry = WorkerTelemetry::new(&Telemetry::new(&config()), 0, CurrentTable::new(&reader));
    session_of(Rc::new(telemetry))
}

/// As [`session`], counted by `telemetry`.
pub(super) fn session_of(telemetry: Rc<WorkerTelemetry>) -> Session {
    let address = "127.0.0.1:9".parse().unwrap();
    let facts = Facts {
        protocol: Protocol::Tcp,
        peer: address,
        client: address,
        local: address,
        proxied: None,
        id: 1,
        logged: false,
    };
    Session::new(facts, telemetry)
}

/// An upstream with these endpoints.
pub(crate) fn upstream(endpoints: Endpoints) -> Arc<Upstream> {
    Arc::new(Upstream {
        key: UpstreamKey::new("shop/stream/9"),
        name: "stream".into(),
        log_name: "stream".into(),
        protocol: BackendProtocol::Http,
        tls: None,
        endpoints,
        balance: Balance::RoundRobin,
        affinity: None,
        client_ip_affinity: None,
        resilience: Arc::default(),
        slot: Slot::default(),
    })
}

/// The endpoint of a name that does not resolve.
pub(crate) fn unresolved() -> Endpoints {
    Endpoints::Name {
        host: "stream.example.".into(),
        port: 9,
    }
}

/// Relays between the outer ends of two pairs while `test` has the others: the client and the endpoint. The end of the relay
/// with the bytes received from the client and sent to it.
async fn relayed<F: Future<Output = ()>>(
    bounds: Bounds,
    test: impl FnOnce(TcpStream, TcpStream) -> F,
) -> (End, u64, u64) {
    let ((client, inner_client), (inner_endpoint, endpoint)) = (pair().await, pair().await);
    let (session, tools) = (session(), RelayTools::default());
    let relayed = async {
        let traffic = &session.traffic;
        let relay = Relay::new(&inner_client, &inner_endpoint, traffic, (&bounds, &tools));
        let end = relay.run().await;
        drop((inner_client, inner_endpoint));
        (end, traffic.received(), traffic.sent())
    };
    let local = LocalSet::new();
    let both = async { tokio::join!(relayed, test(client, endpoint)) };
    local.run_until(both).await.0
}

#[tokio::test]
async fn each_side_closes_when_it_likes() {
    let outcome = relayed(Bounds::silent(LONG), async |mut client, mut endpoint| {
        client.write_all(b"request\n").await.unwrap();
        client.shutdown().await.unwrap();
        let mut received = String::new();
        endpoint.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "request\n");
        endpoint.write_all(b"a response").await.unwrap();
        drop(endpoint);
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "a response");
    });
    assert_eq!(outcome.await, (End::Closed, 8, 10));
}

#[tokio::test]
async fn a_reset_is_passed_on_as_one() {
    for client_breaks in [true, false] {
        let outcome = relayed(Bounds::silent(LONG), async |mut client, mut endpoint| {
            client.write_all(b"a").await.unwrap();
            endpoint.read_u8().await.unwrap();
            let (broken, mut other) = match client_breaks {
                true => (client, endpoint),
                false => (endpoint, client),
            };
            broken.set_zero_linger().unwrap();
            drop(broken);
            let error = other.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        });
        assert_eq!(outcome.await.0, End::Reset);
    }
}

#[tokio::test]
async fn silence_of_both_sides_ends_it() {
    let outcome = relayed(Bounds::silent(SHORT), async |mut client, endpoint| {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
        drop(endpoint);
    });
    assert_eq!(outcome.await, (End::Idle, 0, 0));
}

#[tokio::test]
async fn silence_ends_it_once_a_side_has_closed() {
    for client_closes in [true, false] {
        let outcome = relayed(Bounds::reachable(SHORT), async |client, endpoint| {
            let (mut closing, mut open) = match client_closes {
                true => (client, endpoint),
                false => (endpoint, client),
            };
            closing.shutdown().await.unwrap();
            assert_eq!(open.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(closing.read(&mut [0]).await.unwrap(), 0);
        });
        assert_eq!(outcome.await.0, End::Idle);
    }
}

#[tokio::test]
async fn reachable_sides_may_be_silent() {
    let outcome = relayed(
        Bounds::reachable(Duration::ZERO),
        async |mut client, mut endpoint| {
            for _ in 0..3 {
                client.write_u8(1).await.unwrap();
                endpoint.read_u8().await.unwrap();
            }
            drop(client);
            assert_eq!(endpoint.read(&mut [0]).await.unwrap_or(0), 0);
        },
    );
    assert_eq!(outcome.await.1, 3);
}

/// What is kept for a side that accepts no bytes is bounded by one read.
#[tokio::test]
async fn a_read_is_bounded_however_much_there_is() {
    const BOUND: usize = 16 << 10;
    let ((mut client, inner_client), (inner_endpoint, _endpoint)) = (pair().await, pair().await);
    let (session, tools) = (session(), RelayTools::default());
    let bounds = Bounds::silent(LONG);
    let relay = Relay::new(
        &inner_client,
        &inner_endpoint,
        &session.traffic,
        (&bounds, &tools),
    );
    client.write_all(&[0; 4 * BOUND]).await.unwrap();
    let mut ahead = vec![0; 2 * BOUND];
    while inner_client.peek(&mut ahead).await.unwrap() < ahead.len() {
        tokio::task::yield_now().await;
    }
    let moved = relay.through_buffer(Direction::ToEndpoint).await.unwrap();
    assert_eq!(moved, std::ops::ControlFlow::Continue(BOUND));
    assert_eq!(session.traffic.received(), BOUND as u64);
}

/// Without a pipe, as when all are in use.
#[tokio::test]
async fn a_side_that_never_reads_costs_little_and_ends_it() {
    let ((mut client, inner_client), (inner_endpoint, endpoint)) = (pair().await, pair().await);
    let (session, tools) = (session(), RelayTools::default());
    let traffic = &session.traffic;
    let pipes: Vec<_> = std::iter::from_fn(|| tools.pipe()).collect();
    let bounds = Bounds {
        blocked: SHORT,
        ..Bounds::reachable(LONG)
    };
    let relayed = async {
        let relay = Relay::new(&inner_client, &inner_endpoint, traffic, (&bounds, &tools));
        let end = relay.run().await;
        drop((inner_client, inner_endpoint));
        end
    };
    let flood = async {
        while client.write_all(&[0; 65_536]).await.is_ok() {}
        drop(endpoint);
    };
    let (end, ()) = tokio::join!(relayed, flood);
    assert_eq!(end, End::Reset);
    let held = traffic.received() - traffic.upstream_sent();
    assert!(held <= 16 << 10, "{held} bytes");
    drop(pipes);
}

/// More than any buffer, so that it goes through pipes as well, with a reader that stops and goes.
#[tokio::test]
async fn many_bytes_arrive_in_order_both_ways() {
    const BYTES: usize = 16 << 20;
    let pattern =
        |from: usize| -> Vec<u8> { (from..from + 65_536).map(|n| (n / 7) as u8).collect() };
    let outcome = relayed(Bounds::silent(LONG), async |client, endpoint| {
        let (mut client_read, mut client_write) = client.into_split();
        let (mut endpoint_read, mut endpoint_write) = endpoint.into_split();
        let send = async |to: &mut tokio::net::tcp::OwnedWriteHalf| {
            for from in (0..BYTES).step_by(65_536) {
                to.write_all(&pattern(from)).await.unwrap();
            }
            to.shutdown().await.unwrap();
        };
        let receive = async |from: &mut tokio::net::tcp::OwnedReadHalf| {
            let (mut count, mut buffer) = (0, vec![0; 65_536]);
            for round in 0.. {
                let length = from
                    .read(&mut buffer[..1 << (10 + round % 7)])
                    .await
                    .unwrap();
                if length == 0 {
                    break;
                }
                for byte in &buffer[..length] {
                    assert_eq!(*byte, (count / 7) as u8, "at {count}");
                    count += 1;
                }
                tokio::task::yield_now().await;
            }
            assert_eq!(count, BYTES);
        };
        tokio::join!(
            send(&mut client_write),
            send(&mut endpoint_write),
            receive(&mut client_read),
            receive(&mut endpoint_read)
        );
    });
    assert_eq!(outcome.await, (End::Closed, BYTES as u64, BYTES as u64));
}
