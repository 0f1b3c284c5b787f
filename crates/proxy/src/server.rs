//! The data plane as a whole: bind, start, drain.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use headgate_table::TableReader;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use crate::config::Config;
use crate::connection::{Front, Pipeline, Process};
use crate::drain::Connections;
use crate::listen::{self, BindError, Listeners, WorkerSockets};
use crate::sockets::Sockets;
use crate::telemetry::{Telemetry, WorkerTelemetry};
use crate::upstream::{Environment, LocalAddresses, Resolver};
use crate::worker::{Shared, Worker};

/// The data plane before it is bound.
#[derive(Debug)]
pub struct Server;

/// The data plane with its sockets: clients may connect and wait for [`Bound::start`].
pub struct Bound {
    config: Config,
    listeners: Listeners,
    /// Where else the process listens.
    also: Vec<SocketAddr>,
}

/// Where the data plane listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For plain HTTP.
    pub http: Vec<SocketAddr>,
    /// For HTTPS.
    pub https: Vec<SocketAddr>,
}

/// The data plane at work. Dropping it ends the workers without waiting for their requests.
pub struct Running {
    addresses: Addresses,
    shared: Arc<Shared>,
    stop: watch::Sender<Option<Instant>>,
    workers: Vec<WorkerHandle>,
}

/// Why the data plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address of the configuration cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// That address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system gives no thread or event queue.
    #[error("cannot start worker {index}")]
    Worker {
        /// Number of the worker.
        index: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A worker thread from outside.
struct WorkerHandle {
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Binds all sockets that `config` asks for, before privileges for that may be given up, and so that a port in use is
    /// reported at once. Later the listeners of the table decide which sockets there are.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub fn bind(config: Config) -> Result<Bound, ServerError> {
        Ok(Bound {
            listeners: listen::bind(&config)?,
            config,
            also: Vec::new(),
        })
    }
}

impl Bound {
    /// The addresses, with the ports that were chosen for port 0.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            http: self.listeners.http.clone(),
            https: self.listeners.https.clone(),
        }
    }

    /// Says that the process listens on `address`, too. Like the data plane's own addresses it is refused as an endpoint.
    pub fn also_listening(&mut self, address: SocketAddr) {
        self.also.push(address);
    }

    /// Starts the workers, which serve what `reader` reads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        self,
        reader: TableReader,
        telemetry: Arc<Telemetry>,
    ) -> Result<Running, ServerError> {
        let addresses = self.addresses();
        let process = Arc::new(Process::new());
        let upstream = Arc::new(Environment {
            resolver: Resolver::default(),
            local: LocalAddresses::new(self.also).with_listeners(reader.clone()),
            loopback: self.config.loopback_upstreams,
            workers: self.config.workers,
        });
        let shared = Arc::new(Shared {
            config: self.config,
            reader,
            telemetry,
            upstream,
            origin: Instant::now(),
            draining: AtomicBool::new(false),
        });
        let (stop, stopping) = watch::channel(None);
        let workers = self
            .listeners
            .workers
            .into_iter()
            .enumerate()
            .map(|(index, sockets)| {
                let start = WorkerStart {
                    index,
                    sockets,
                    shared: shared.clone(),
                    process: process.clone(),
                };
                start
                    .spawn(stopping.clone())
                    .map_err(|source| ServerError::Worker { index, source })
            });
        let workers = workers.collect::<Result<_, _>>()?;
        Ok(Running {
            addresses,
            shared,
            stop,
            workers,
        })
    }
}

impl Running {
    /// Where the data plane listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Its metrics.
    #[cfg(test)]
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.shared.telemetry
    }

    /// Stops accepting, lets what runs come to its end, and returns when all connections have ended or `timeout` has
    /// passed; what is left then is cut off. Idle connections are closed, others say `Connection: close` or GOAWAY.
    ///
    /// Failing readiness first, and accepting on until balancers have noticed, is the caller's part. May be awaited on any
    /// runtime.
    pub async fn drain(mut self, timeout: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        self.stop.send_replace(Some(Instant::now() + timeout));
        let workers = std::mem::take(&mut self.workers);
        // A worker that is gone without a word has ended, too.
        let (threads, ended): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .map(|worker| (worker.thread, worker.ended))
            .unzip();
        join_all(ended).await;
        for thread in threads {
            // Nothing is left to wait for but the thread's own end; its panics are counted where they happen.
            let _ = thread.join();
        }
    }
}

impl From<BindError> for ServerError {
    fn from(error: BindError) -> Self {
        Self::Bind {
            address: error.address,
            source: error.source,
        }
    }
}

/// What a worker begins with.
struct WorkerStart {
    index: usize,
    sockets: WorkerSockets,
    shared: Arc<Shared>,
    process: Arc<Process>,
}

impl WorkerStart {
    fn spawn(self, stop: watch::Receiver<Option<Instant>>) -> io::Result<WorkerHandle> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("worker-{}", self.index))
            .spawn(move || {
                self.run(&runtime, stop);
                runtime.shutdown_background(); // not waiting for file work that outlived its request
                // Nobody listens when the data plane was dropped instead of drained.
                let _ = end.send(());
            })?;
        Ok(WorkerHandle { thread, ended })
    }

    fn run(self, runtime: &Runtime, stop: watch::Receiver<Option<Instant>>) {
        let local = LocalSet::new();
        // A task, because what is blocked on is polled whenever any task is: with every request.
        let serving = local.spawn_local(self.serve(stop));
        if let Err(error) = local.block_on(runtime, serving)
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    async fn serve(self, stop: watch::Receiver<Option<Instant>>) {
        let worker = Rc::new(Worker::new(self.index, self.shared));
        let connections = Rc::new(Connections::default());
        let front = Rc::new(Front {
            handler: Pipeline,
            worker: worker.clone(),
            process: self.process,
            connections: connections.clone(),
        });
        let mut sockets = Sockets::new(front, self.sockets);
        let upkeep = tokio::task::spawn_local(upkeep(worker.clone()));

        let deadline = follow_until_stopped(&mut sockets, stop).await;
        sockets.close().await;
        connections.drain();
        // Past the deadline what is left is dropped with the runtime.
        let _ = tokio::time::timeout_at(deadline.into(), connections.until_empty()).await;
        upkeep.abort();
        worker.telemetry.flush();
    }
}

/// Opens and closes sockets with every table until the data plane is drained. Gives the end of the drain.
async fn follow_until_stopped(
    sockets: &mut Sockets<Pipeline>,
    mut stop: watch::Receiver<Option<Instant>>,
) -> Instant {
    let stopped = tokio::select! {
        stopped = stop.wait_for(Option::is_some) => stopped.ok().and_then(|deadline| *deadline),
        never = sockets.follow() => match never {},
    };
    // An error means that the data plane was dropped: the same as a drain without time.
    stopped.unwrap_or_else(Instant::now)
}

/// What a worker does beside serving: hands over log lines that wait.
async fn upkeep(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(WorkerTelemetry::FLUSH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.telemetry.flush();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use headgate_table::{Publisher, Settings, publisher};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::connection::tests::{config, table_at};

    fn start(config: Config) -> (Running, Publisher) {
        let telemetry = Telemetry::new(&config);
        let bound = Server::bind(config).unwrap();
        let addresses = bound.addresses();
        let at = (addresses.http[0], addresses.https[0]);
        let table = table_at(at, Settings::default(), &[]);
        let (publisher, reader) = publisher(Arc::new(table));
        (bound.start(reader, telemetry).unwrap(), publisher)
    }

    async fn asked(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
            .await
            .unwrap();
        let mut start = [0; 9];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 ");
        stream
    }

    #[tokio::test]
    async fn serves_on_all_workers_and_drains() {
        let (running, _publisher) = start(Config {
            workers: 3,
            ..config()
        });
        let address = running.addresses().http[0];
        assert_ne!(address.port(), running.addresses().https[0].port());
        let mut streams = Vec::new();
        for _ in 0..20 {
            streams.push(asked(address).await);
        }
        let begin = Instant::now();
        running.drain(Duration::from_secs(60)).await;
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "idle connections do not hold it up"
        );
        for mut stream in streams {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }

    #[tokio::test]
    async fn draining_ends_at_its_time() {
        let (running, _publisher) = start(config());
        let mut half = TcpStream::connect(running.addresses().http[0])
            .await
            .unwrap();
        half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let _accepted_after_it = asked(running.addresses().http[0]).await;
        running.drain(Duration::from_millis(50)).await;
        let mut rest = Vec::new();
        // Closed or reset: either way it is over.
        let _ = half.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_are_closed() {
        let (running, _publisher) = start(Config {
            max_connections: 2,
            ..config()
        });
        let address = running.addresses().http[0];
        let (first, _second) = (asked(address).await, asked(address).await);
        let mut third = TcpStream::connect(address).await.unwrap();
        assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0);
        drop(first);
        // Its permit is free once the worker has seen it go, so ask until it has.
        loop {
            let mut again = TcpStream::connect(address).await.unwrap();
            let _ = again
                .write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
                .await;
            if again.read(&mut [0; 1]).await.unwrap_or(0) > 0 {
                break;
            }
        }
    }
}
