//! One address for several replicas, like kube-proxy: new connections go to replicas whose last `/readyz` probe got 200; open
//! connections stay, whatever happens to the replica.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::client::request::Request;
use crate::listening::Listening;
use crate::wait;

/// Interval of the probes of a replica.
const INTERVAL: Duration = Duration::from_millis(100);

/// A running balancer; it stops when dropped.
#[derive(Debug)]
pub struct Balancer {
    shared: Arc<Shared>,
    probers: Vec<JoinHandle<()>>,
    server: Listening,
}

#[derive(Debug)]
struct Shared {
    replicas: Vec<Replica>,
    next: AtomicUsize,
    stopping: AtomicBool,
}

/// A replica and its probed state.
#[derive(Debug)]
struct Replica {
    traffic: SocketAddr,
    admin: SocketAddr,
    ready: AtomicBool,
    connections: AtomicUsize,
}

impl Balancer {
    /// Listens on this address, for replicas with these addresses of traffic and of `/readyz`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(address: SocketAddr, replicas: &[(SocketAddr, SocketAddr)]) -> Self {
        let replicas = replicas.iter().map(|&(traffic, admin)| Replica {
            traffic,
            admin,
            ready: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
        });
        let shared = Arc::new(Shared {
            replicas: replicas.collect(),
            next: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let server = Listening::start(address, |listener| accept(listener, shared.clone()));
        let probers = (0..shared.replicas.len()).map(|index| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.probe(index))
        });
        Self {
            probers: probers.collect(),
            shared,
            server,
        }
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Connections forwarded to a replica so far.
    pub fn connections(&self, replica: usize) -> usize {
        self.shared.replicas[replica]
            .connections
            .load(Ordering::Acquire)
    }

    /// Waits until the probes find a replica ready, or not ready.
    ///
    /// # Panics
    /// When they do not in time.
    pub fn until_ready(&self, replica: usize, ready: bool) {
        let replica = &self.shared.replicas[replica];
        wait::until("the readiness of a replica", || {
            (replica.ready.load(Ordering::Acquire) == ready).then_some(())
        });
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        for prober in self.probers.drain(..) {
            // A panic has been printed.
            let _ = prober.join();
        }
    }
}

impl Shared {
    fn probe(&self, index: usize) {
        let replica = &self.replicas[index];
        while !self.stopping.load(Ordering::Acquire) {
            let response = Request::get("/readyz").try_send(replica.admin);
            let ready = response.is_ok_and(|response| response.status == 200);
            replica.ready.store(ready, Ordering::Release);
            std::thread::sleep(INTERVAL);
        }
    }

    /// The next ready replica in turn.
    fn pick(&self) -> Option<&Replica> {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.replicas.len();
        let turns = (0..count).map(|turn| &self.replicas[(first + turn) % count]);
        turns
            .into_iter()
            .find(|replica| replica.ready.load(Ordering::Acquire))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        // Without a ready replica the connection closes.
        let Some(replica) = shared.pick() else {
            continue;
        };
        replica.connections.fetch_add(1, Ordering::AcqRel);
        tokio::spawn(forward(client, replica.traffic));
    }
}

async fn forward(mut client: TcpStream, traffic: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(traffic).await else {
        return;
    };
    for stream in [&client, &server] {
        // A failure costs only speed.
        let _ = stream.set_nodelay(true);
    }
    // Ends when either side closes.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}
