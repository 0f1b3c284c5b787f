//! A listener that is added and removed while another is busy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::*;

/// Clients of each listener.
const CLIENTS: usize = 4;
const ROUNDS: usize = 50;

/// The outcomes for the clients of the listener that is added and removed.
#[derive(Default)]
struct Seen {
    served: Counter,
    refused: Counter,
    stop: AtomicBool,
}

#[derive(Default)]
struct Counter {
    count: AtomicU64,
    changed: Notify,
}

impl Counter {
    fn value(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn add(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
    }

    async fn beyond(&self, value: u64) {
        let grown = async {
            while self.value() <= value {
                self.changed.notified().await;
            }
        };
        // The counters do not change after all clients have failed.
        let grown = tokio::time::timeout(Duration::from_secs(60), grown).await;
        grown.unwrap();
    }
}

#[tokio::test]
async fn a_listener_is_added_and_removed_under_load() {
    let mut world = World::start(2);
    let [busy, moving] = free_addresses();
    let hosts = universe("first.example");
    let seen = Arc::new(Seen::default());
    world.publish(&[http(busy, &hosts)], &[]);
    let steady: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(request_repeatedly(busy, seen.clone())))
        .collect();
    let passing: Vec<_> = (0..CLIENTS)
        .map(|_| tokio::spawn(connect_repeatedly(moving, seen.clone())))
        .collect();
    for _ in 0..ROUNDS {
        seen.refused.beyond(seen.refused.value()).await;
        let served = seen.served.value();
        world.publish(&[http(busy, &hosts), http(moving, &hosts)], &[]);
        seen.served.beyond(served).await;
        world.publish(&[http(busy, &hosts)], &[]);
    }
    seen.refused.beyond(seen.refused.value()).await;
    seen.stop.store(true, Ordering::Relaxed);
    for client in steady {
        assert!(client.await.unwrap() > ROUNDS, "too few requests");
    }
    for client in passing {
        client.await.unwrap();
    }
    let served = seen.served.value() + CLIENTS as u64;
    assert_eq!(
        accepted(&world.running),
        served,
        "every accepted connection was served"
    );
    world.stop().await;
}

/// Requests on one connection, all of which succeed. Returns their number.
async fn request_repeatedly(address: SocketAddr, seen: Arc<Seen>) -> usize {
    let mut stream = connect(address).await;
    let mut requests = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        let response = get(&mut stream).await.unwrap();
        assert!(!response.contains("Connection: close"), "{response}");
        requests += 1;
    }
    requests
}

/// Requests on a connection each, which is refused, reset before a worker accepts it, or served.
async fn connect_repeatedly(address: SocketAddr, seen: Arc<Seen>) {
    while !seen.stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            seen.refused.add();
            yield_now().await;
            continue;
        };
        if get(&mut stream).await.is_ok() {
            seen.served.add();
        }
    }
}

/// Connections that workers have accepted.
fn accepted(running: &Running) -> u64 {
    let page = running.telemetry().status_page();
    let counts = page.lines().nth(2).unwrap();
    counts.split_whitespace().next().unwrap().parse().unwrap()
}
