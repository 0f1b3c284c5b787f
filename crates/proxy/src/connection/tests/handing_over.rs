//! Connections that one worker accepts and another serves.

use tokio::net::TcpStream;
use tokio::task::yield_now;

use super::*;
use crate::accept::Acceptor;
use crate::sockets::Sockets;

/// Two workers, of which the first accepts all connections.
struct Pair {
    fixture: Fixture,
    /// The address at which it does, as if it were `served`.
    address: SocketAddr,
    served: SocketAddr,
    _acceptor: Acceptor,
    other: Rc<WorkerContext<TestHandler>>,
}

impl Pair {
    /// With the sockets of the second worker, none of which is open.
    async fn new() -> (Self, Sockets<TestHandler>) {
        let [served] = free_addresses();
        let fixture = Fixture::of_workers(2, RoutingTable::new(Arc::default()));
        fixture.publish(&[served]);
        let (other, inbox) = fixture.other.take().unwrap();
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let address = socket.local_addr().unwrap();
        let listener = fixture.listener(served);
        let pair = Self {
            address,
            served,
            _acceptor: Acceptor::start(fixture.context.clone(), listener, socket),
            other: other.clone(),
            fixture,
        };
        (pair, Sockets::new(other, inbox, Vec::new()))
    }

    async fn connect<const N: usize>(&self) -> Vec<TcpStream> {
        let mut streams = Vec::new();
        for _ in 0..N {
            streams.push(TcpStream::connect(self.address).await.unwrap());
        }
        streams
    }

    /// Open connections by worker.
    fn open(&self) -> Vec<u64> {
        let telemetry = &self.fixture.context.worker.shared.telemetry;
        let workers = telemetry.read_server().workers;
        workers.iter().map(|worker| worker.connections).collect()
    }

    /// Waits until the first worker has so many connections.
    async fn kept(&self, count: u64) {
        while self.open()[0] < count {
            yield_now().await;
        }
    }
}

/// The response to a request on `stream`, which is the first.
async fn response(stream: &mut TcpStream) -> String {
    stream.write_all(get("/facts").as_bytes()).await.unwrap();
    let mut text = String::new();
    while !text.ends_with("#1") {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

#[tokio::test]
async fn connections_that_one_worker_accepts_are_served_by_both() {
    locally(async {
        let (pair, mut sockets) = Pair::new().await;
        spawn_local(async move { sockets.follow().await });
        let mut streams = pair.connect::<8>().await;
        for stream in &mut streams {
            response(stream).await;
        }
        assert_eq!(pair.open(), [4, 4]);
        let metrics = pair.fixture.metrics();
        for state in ["accepted", "handled"] {
            let counted = format!("state=\"{state}\"}} 8\n");
            assert!(metrics.contains(&counted), "{metrics}");
        }
        drop(streams);
        pair.fixture.context.connections.until_empty().await;
        pair.other.connections.until_empty().await;
        assert_eq!(pair.open(), [0, 0]);
        let process = &pair.fixture.context.process;
        assert!(process.permit(0, 1).is_some(), "all permits came back");
        assert_eq!([0, 1].map(|worker| process.lighter(worker)), [None; 2]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_ends_serves_what_was_handed_over_to_it_and_no_more() {
    locally(async {
        let (pair, sockets) = Pair::new().await;
        let mut streams = pair.connect::<7>().await;
        pair.kept(4).await;
        assert_eq!(pair.open(), [4, 0], "three wait");
        sockets.close().await;
        assert_eq!(pair.open(), [4, 3]);
        streams.extend(pair.connect::<3>().await);
        for stream in &mut streams {
            response(stream).await;
        }
        assert_eq!(pair.open(), [7, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_connection_whose_listener_is_removed_meanwhile_has_one_response() {
    locally(async {
        let (pair, mut sockets) = Pair::new().await;
        let [mut kept, mut other, _last] = pair.connect::<3>().await.try_into().unwrap();
        pair.kept(2).await;
        let [elsewhere] = free_addresses();
        pair.fixture.publish(&[elsewhere]);
        assert!(
            pair.fixture
                .context
                .worker
                .table()
                .listener(pair.served)
                .is_none()
        );
        spawn_local(async move { sockets.follow().await });
        let closes = |response: String| response.contains("\r\nConnection: close\r\n");
        assert!(closes(response(&mut other).await));
        assert_eq!(other.read(&mut [0; 1]).await.unwrap(), 0);
        assert!(
            !closes(response(&mut kept).await),
            "its worker has not noticed"
        );
    })
    .await;
}

#[tokio::test]
async fn an_overloaded_worker_hands_over_what_it_would_reset() {
    locally(async {
        let (pair, mut sockets) = Pair::new().await;
        spawn_local(async move { sockets.follow().await });
        let context = &pair.fixture.context;
        let late = Duration::from_secs(2);
        for _ in 0..2 {
            context.worker.tick(late, &context.process);
        }
        let mut streams = pair.connect::<1>().await;
        pair.kept(1).await;
        context.process.measured(0, |_, _| 1 << 16);
        streams.extend(pair.connect::<89>().await);
        for stream in &mut streams {
            response(stream).await;
        }
        assert_eq!(pair.open(), [1, 89]);
    })
    .await;
}
