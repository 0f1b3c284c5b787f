//! Sessions of one port, without the data plane around it.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use headgate_table::{Backend, Settings, Split, UdpListener};
use tokio::net::UdpSocket;
use tokio::task::yield_now;

use super::*;
use crate::connection::tests::{Fixture, TestHandler, locally};
use crate::stream::tests::{unresolved, upstream};

/// A port that leads to a name which does not resolve.
fn port(fixture: &Fixture) -> Rc<Port<TestHandler>> {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let socket = PortSocket::open(address).unwrap();
    let upstream = upstream(unresolved());
    let split = Split::new(Backend::upstream_only(upstream.key.clone()));
    let mut table = RoutingTable::new(Arc::<Settings>::default());
    table.insert_upstream(upstream);
    table.set_udp_listeners(vec![UdpListener {
        address,
        backends: Arc::new(split),
    }]);
    fixture.publisher.borrow_mut().publish(Arc::new(table));
    let sessions = Rc::new(Sessions::new(4));
    let table = fixture.context.worker.table();
    Rc::new(Port::new(fixture.context.clone(), sessions, socket, table))
}

/// Lets all tasks run that can.
async fn settle() {
    for _ in 0..100 {
        yield_now().await;
    }
}

#[tokio::test]
async fn sessions_end_while_they_wait_for_a_name() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let port = port(&fixture);
        let client = |number: u16| (SocketAddr::from(([127, 0, 0, 1], number)), None);
        for number in 1..=20 {
            port.handle(b"request", client(number));
            settle().await;
            assert_eq!(port.open.get(), usize::from(number).min(4));
        }
        let open = |number| port.flows.borrow().contains_key(&client(number));
        assert!((1..=16).all(|number| !open(number)));
        assert!((17..=20).all(open));
    })
    .await;
}

#[tokio::test]
async fn what_waits_when_a_port_is_removed_is_served() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let port = port(&fixture);
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = socket().await;
            let to = port.socket.address;
            client.send_to(b"request", to).await.unwrap();
            clients.push((client.local_addr().unwrap(), None));
        }
        let empty = RoutingTable::new(Arc::<Settings>::default());
        fixture.publisher.borrow_mut().publish(Arc::new(empty));
        tokio::task::spawn_local(port.clone().run());
        settle().await;
        let flow = |client| port.flows.borrow().get(client).cloned();
        let flows: Vec<_> = clients.iter().filter_map(flow).collect();
        assert_eq!((flows.len(), port.open.get()), (3, 3));
        // They go on to their end, and no other begins.
        port.handle(b"again", clients[0]);
        port.handle(b"request", (SocketAddr::from(([127, 0, 0, 1], 1)), None));
        settle().await;
        assert!(flows.iter().all(|flow| !flow.is_ended()));
        assert_eq!(flows[0].session.traffic.received(), 12);
        assert_eq!(port.open.get(), 3);
        flows.iter().for_each(|flow| flow.end());
        fixture.context.connections.until_empty().await;
    })
    .await;
}

#[tokio::test]
async fn what_is_kept_for_another_endpoint_is_bounded() {
    let fixture = Fixture::new(Settings::default());
    let port = port(&fixture);
    let flow = || {
        let permit = fixture.context.process.permit(0, 2).unwrap();
        port.flow((SocketAddr::from(([127, 0, 0, 1], 1)), None), permit)
    };
    for (length, expected) in [(1, 8), (5 << 10, 3)] {
        let flow = flow();
        for _ in 0..20 {
            flow.request(&vec![0; length]);
        }
        assert_eq!(flow.kept(), expected, "of {length} bytes");
    }
}

#[tokio::test]
async fn an_endpoint_that_sends_much_does_not_keep_others_waiting() {
    locally(async {
        let fixture = Fixture::new(Settings::default());
        let port = port(&fixture);
        let (client, endpoint) = (socket().await, socket().await);
        let permit = fixture.context.process.permit(0, 1).unwrap();
        let flow = port.flow((client.local_addr().unwrap(), None), permit);
        flow.request(b"request");
        let towards = socket().await;
        towards
            .connect(endpoint.local_addr().unwrap())
            .await
            .unwrap();
        let sent = BATCH + 20;
        for _ in 0..sent {
            let to = towards.local_addr().unwrap();
            endpoint.send_to(b"r", to).await.unwrap();
        }
        towards.readable().await.unwrap();
        let received = || flow.session.traffic.upstream_received();
        flow.respond(&port, &towards, 1000).unwrap();
        assert_eq!(received(), BATCH as u64);
        flow.respond(&port, &towards, 1000).unwrap();
        assert_eq!(received(), sent as u64);
    })
    .await;
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

#[tokio::test]
async fn a_panic_is_counted_and_the_port_goes_on() {
    let fixture = Fixture::new(Settings::default());
    let runs = Cell::new(0);
    repeat_after_panics(&fixture.context.worker, async || {
        runs.set(runs.get() + 1);
        assert!(runs.get() > 2, "run {}", runs.get());
    })
    .await;
    assert_eq!(runs.get(), 3);
    let metrics = fixture.metrics();
    let counted = |line: &str| line.starts_with("headgate_panics_total") && line.ends_with(" 2");
    assert!(metrics.lines().any(counted), "{metrics}");
}
