//! The data plane as a whole: bind, start, drain.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use headgate_table::TableReader;
use tokio::runtime::Runtime;
use tokio::sync::{oneshot, watch};
use tokio::task::LocalSet;

use crate::auth_cache::AuthCache;
use crate::balance::Meter;
use crate::buffers::ResponseBuffers;
use crate::config::Config;
use crate::connection::{Openings, Pipeline, WorkerContext};
use crate::drain::Connections;
use crate::geo::Locations;
use crate::handover::{self, Inbox, Workers};
use crate::health_checks;
use crate::listen::{self, BindError, Listeners, WorkerSockets};
use crate::memory::Memory;
use crate::passwords::Passwords;
use crate::process::Process;
use crate::sockets::Sockets;
use crate::staple;
use crate::telemetry::{Telemetry, WorkerTelemetry};
use crate::upstream::{DiskSpace, Environment, LocalAddresses, RequestBuffers, ResolvedNames};
use crate::worker::{Shared, Worker};

/// The data plane before it is bound.
#[derive(Debug)]
pub struct Server;

/// The data plane with its sockets: clients may connect and wait for [`Bound::start`].
pub struct Bound {
    config: Config,
    listeners: Listeners,
    /// Other addresses that the process listens on.
    also: Vec<SocketAddr>,
}

/// The addresses that the data plane listens on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// For plain HTTP.
    pub http: Vec<SocketAddr>,
    /// For HTTPS.
    pub https: Vec<SocketAddr>,
}

/// The running data plane. Dropping it ends the workers without waiting for their requests.
pub struct Running {
    addresses: Addresses,
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    workers: Vec<WorkerHandle>,
}

/// How far the stop of the process has come.
#[derive(Clone, Copy)]
enum Stop {
    No,
    /// Connections are accepted, and end after a response.
    Announced,
    /// Until then the last requests may finish.
    Draining(Instant),
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
    /// The system refuses a thread or an event queue.
    #[error("cannot start worker {index}")]
    Worker {
        /// Number of the worker, from 0.
        index: usize,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The handle of a worker thread.
struct WorkerHandle {
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Binds all addresses of `config`, before the process may drop the privileges for that, and so that a port in use is
    /// reported at once. After that the listeners of the table decide which sockets are open.
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
    /// The bound addresses, with the actual ports for port 0.
    pub fn addresses(&self) -> Addresses {
        Addresses {
            http: self.listeners.http.clone(),
            https: self.listeners.https.clone(),
        }
    }

    /// Adds an address on which the process listens. Like those of the data plane it is refused as an endpoint.
    pub fn also_listening(&mut self, address: SocketAddr) {
        self.also.push(address);
    }

    /// Starts the workers, which serve the tables of `reader`.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(
        self,
        reader: TableReader,
        telemetry: Arc<Telemetry>,
    ) -> Result<Running, ServerError> {
        let addresses = self.addresses();
        let process = Arc::new(Process::new(self.listeners.workers.len()));
        let (peers, inboxes) = handover::workers(self.listeners.workers.len());
        let upstream = Arc::new(Environment {
            resolver: Arc::default(),
            local: LocalAddresses::new(self.also).with_listeners(reader.clone()),
            loopback: self.config.loopback_upstreams,
            workers: self.config.workers,
            buffers: Arc::new(ResponseBuffers::new(self.config.response_buffers)),
            bodies: Arc::new(RequestBuffers::new(self.config.request_buffers)),
            disk: DiskSpace::new(),
        });
        telemetry.follow(reader.clone());
        let files = &self.config.locations;
        let locations = Locations::new(&files.directory, &files.editions);
        let shared = Arc::new(Shared {
            passwords: Passwords::new(self.config.workers),
            auth_cache: AuthCache::new(),
            locations,
            memory: Arc::new(Memory::new(self.config.memory.clone())),
            config: self.config,
            reader,
            telemetry,
            upstream,
            origin: Instant::now(),
        });
        let (stop, stopping) = watch::channel(Stop::No);
        let workers = self
            .listeners
            .workers
            .into_iter()
            .zip(inboxes)
            .enumerate()
            .map(|(index, (sockets, inbox))| {
                let start = WorkerStart {
                    index,
                    sockets,
                    inbox,
                    workers: peers.clone(),
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
    /// The addresses that were bound before the start.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The names that this data plane has resolved, for explanations.
    pub fn names(&self) -> ResolvedNames {
        ResolvedNames(self.shared.upstream.resolver.clone())
    }

    #[cfg(test)]
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    /// Announces the stop to clients: responses carry `Connection: close`, and HTTP/2 clients get a GOAWAY. New connections are
    /// accepted as before.
    ///
    /// The caller fails readiness first, and drains when balancers have noticed.
    pub fn announce(&self) {
        self.stop.send_replace(Stop::Announced);
    }

    /// Stops accepting, lets requests in flight finish, and returns when all connections have ended or `timeout` has
    /// passed; the remaining connections are closed then. Connections that have been idle for a while are closed, others send
    /// `Connection: close` or GOAWAY.
    ///
    /// May be awaited on any runtime.
    pub async fn drain(mut self, timeout: Duration) {
        self.stop
            .send_replace(Stop::Draining(Instant::now() + timeout));
        let workers = std::mem::take(&mut self.workers);
        // The channel of a worker that panicked is closed: that worker has ended as well.
        let (threads, ended): (Vec<_>, Vec<_>) = workers
            .into_iter()
            .map(|worker| (worker.thread, worker.ended))
            .unzip();
        join_all(ended).await;
        for thread in threads {
            // The thread is about to end; its panics are counted where they happen.
            let _ = thread.join();
        }
        self.shared.telemetry.spans().stop().await;
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

/// What a worker thread needs to start.
struct WorkerStart {
    index: usize,
    sockets: WorkerSockets,
    inbox: Inbox,
    workers: Workers,
    shared: Arc<Shared>,
    process: Arc<Process>,
}

impl WorkerStart {
    fn spawn(self, stop: watch::Receiver<Stop>) -> io::Result<WorkerHandle> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("worker-{}", self.index))
            .spawn(move || {
                self.run(&runtime, stop);
                runtime.shutdown_background(); // does not wait for file operations that outlive their request
                // The receiver is gone if the data plane was dropped instead of drained.
                let _ = end.send(());
            })?;
        Ok(WorkerHandle { thread, ended })
    }

    fn run(self, runtime: &Runtime, stop: watch::Receiver<Stop>) {
        let local = LocalSet::new();
        // A task, because what is blocked on is polled whenever any task is: with every request.
        let serving = local.spawn_local(self.serve(stop));
        if let Err(error) = local.block_on(runtime, serving)
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }

    async fn serve(self, stop: watch::Receiver<Stop>) {
        let worker = Rc::new(Worker::new(self.index, self.shared));
        let connections = Rc::new(Connections::default());
        let context = Rc::new(WorkerContext {
            handler: Pipeline,
            worker: worker.clone(),
            process: self.process.clone(),
            workers: self.workers,
            silent: Rc::new(Openings::default()),
            handshakes: Rc::new(Openings::default()),
            connections: connections.clone(),
        });
        let mut sockets = Sockets::new(context, self.inbox, self.sockets);
        let ticks = tick(worker.clone(), connections.clone(), self.process);
        let ticker = tokio::task::spawn_local(ticks);
        let completes = worker.shared.config.completes_chains;
        let stapler = (self.index == 0)
            .then(|| tokio::task::spawn_local(staple::run(worker.clone(), completes)));
        let checks =
            (self.index == 0).then(|| tokio::task::spawn_local(health_checks::run(worker.clone())));

        let deadline = tokio::select! {
            deadline = until_draining(stop, &connections) => deadline,
            never = sockets.follow() => match never {},
        };
        sockets.close().await;
        connections.drain();
        // After the deadline the remaining connections are dropped with the runtime.
        let _ = tokio::time::timeout_at(deadline.into(), connections.until_empty()).await;
        ticker.abort();
        stapler.inspect(tokio::task::JoinHandle::abort);
        checks.inspect(tokio::task::JoinHandle::abort);
        worker.telemetry.flush();
    }
}

/// Announces the stop to `connections` when it begins. Returns the deadline of the drain.
async fn until_draining(mut stop: watch::Receiver<Stop>, connections: &Connections) -> Instant {
    loop {
        match *stop.borrow_and_update() {
            Stop::No => {}
            Stop::Announced => connections.announce(),
            Stop::Draining(deadline) => return deadline,
        }
        if stop.changed().await.is_err() {
            return Instant::now(); // the data plane was dropped
        }
    }
}

/// The ticks of a worker.
async fn tick(worker: Rc<Worker>, connections: Rc<Connections>, process: Arc<Process>) {
    // Not at once: a worker that has just started has been busy all the time.
    let period = WorkerTelemetry::FLUSH_INTERVAL;
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let runtime = tokio::runtime::Handle::current().metrics();
    let mut meter = Meter::new(Instant::now());
    loop {
        let due = ticks.tick().await;
        let total = runtime.worker_total_busy_duration(0); // its runtime has this thread alone
        process.measured(worker.index, |open, still| {
            meter.measure(Instant::now(), total, open, still)
        });
        if worker.tick(due.elapsed(), &process) {
            connections.wake();
        }
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

    /// A connection whose first response has begun.
    async fn requested(address: SocketAddr) -> TcpStream {
        begun(address).await.unwrap()
    }

    /// As [`requested`]; `None` if the connection is closed instead.
    async fn begun(address: SocketAddr) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        stream.write_all(request).await.ok()?;
        let mut start = [0; 9];
        stream.read_exact(&mut start).await.ok()?;
        assert_eq!(&start, b"HTTP/1.1 ");
        Some(stream)
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
            streams.push(requested(address).await);
        }
        let begin = Instant::now();
        running.drain(Duration::from_secs(60)).await;
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "idle connections do not delay it"
        );
        for mut stream in streams {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
        }
        assert!(
            TcpStream::connect(address).await.is_err(),
            "the socket is closed"
        );
    }

    #[tokio::test]
    async fn draining_ends_at_its_deadline() {
        let (running, _publisher) = start(config());
        let mut partial = TcpStream::connect(running.addresses().http[0])
            .await
            .unwrap();
        partial.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let _accepted_after_it = requested(running.addresses().http[0]).await;
        running.drain(Duration::from_millis(50)).await;
        let mut rest = Vec::new();
        // Closed or reset: either ends it.
        let _ = partial.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn load_is_shed_while_memory_is_short() {
        let group = tempfile::tempdir().unwrap();
        let measured = |used: &str| {
            std::fs::write(group.path().join("memory.stat"), "").unwrap();
            std::fs::write(group.path().join("memory.current"), used).unwrap();
        };
        measured("10");
        let (running, _publisher) = start(Config {
            memory: Some(crate::MemoryLimit {
                bytes: 100,
                directory: group.path().to_owned(),
            }),
            ..config()
        });
        let address = running.addresses().http[0];
        let mut idle = requested(address).await;
        for (used, status) in [("95", "503"), ("10", "308"), ("99", "503")] {
            measured(used);
            // The next measurement is not awaited otherwise.
            loop {
                let mut code = [0; 3];
                requested(address)
                    .await
                    .read_exact(&mut code)
                    .await
                    .unwrap();
                if code == status.as_bytes() {
                    break;
                }
            }
        }
        let mut rest = Vec::new();
        idle.read_to_end(&mut rest).await.unwrap();
        let metric = "headgate_requests_refused_total";
        let registry = prometheus::Registry::new();
        running.telemetry().register(&registry).unwrap();
        let encoder = prometheus::TextEncoder::new();
        let metrics = encoder.encode_to_string(&registry.gather()).unwrap();
        let counted = |line: &str| line.starts_with(metric) && line.contains("\"memory\"");
        assert!(metrics.lines().any(counted), "{metrics}");
    }

    /// The response to another request on `stream`, without its content.
    async fn response(stream: &mut TcpStream) -> String {
        try_response(stream).await.unwrap()
    }

    async fn try_response(stream: &mut TcpStream) -> io::Result<String> {
        let request = b"HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n";
        stream.write_all(request).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        Ok(String::from_utf8(head).unwrap())
    }

    #[tokio::test]
    async fn an_overloaded_worker_refuses_requests() {
        let (running, mut publisher) = start(config());
        let address = running.addresses().http[0];
        let at = (address, running.addresses().https[0]);
        let mut kept = TcpStream::connect(address).await.unwrap();
        let mut other = TcpStream::connect(address).await.unwrap();
        for stream in [&mut kept, &mut other] {
            assert!(response(stream).await.starts_with("HTTP/1.1 308 "));
        }
        let mut bounded = |queue_time| {
            let mut settings = Settings::default();
            settings.client.queue_time = queue_time;
            publisher.publish(Arc::new(table_at(at, settings, &[])));
        };
        bounded(Some(Duration::ZERO)); // every tick is late
        let refused = loop {
            let response = response(&mut kept).await;
            if response.starts_with("HTTP/1.1 503 ") {
                break response;
            }
        };
        for field in ["\r\nRetry-After: 1\r\n", "\r\nConnection: close\r\n"] {
            assert!(refused.contains(field), "{refused}");
        }
        assert_eq!(kept.read(&mut [0; 1]).await.unwrap(), 0);
        let mut new = TcpStream::connect(address).await.unwrap();
        for stream in [&mut other, &mut new] {
            assert!(response(stream).await.starts_with("HTTP/1.1 503 "));
        }
        bounded(None);
        // Until the next tick it is refused, or reset.
        loop {
            let again = async { try_response(&mut TcpStream::connect(address).await?).await };
            if again
                .await
                .is_ok_and(|response| response.starts_with("HTTP/1.1 308 "))
            {
                break;
            }
        }
    }

    /// A connection whose request is not complete.
    async fn busy(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        stream
    }

    #[tokio::test]
    async fn beyond_the_limit_idle_connections_make_room_and_busy_ones_do_not() {
        let (running, _publisher) = start(Config {
            max_connections: 2,
            ..config()
        });
        let address = running.addresses().http[0];
        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(response(&mut idle).await.starts_with("HTTP/1.1 308 "));
        let first = busy(address).await;
        let mut third = TcpStream::connect(address).await.unwrap();
        let announced = response(&mut third).await;
        assert!(
            announced.contains("\r\nConnection: close\r\n"),
            "{announced}"
        );
        for closed in [&mut idle, &mut third] {
            assert_eq!(closed.read(&mut [0; 1]).await.unwrap(), 0);
        }
        let _second = busy(address).await;
        let mut refused = TcpStream::connect(address).await.unwrap();
        assert_eq!(refused.read(&mut [0; 1]).await.unwrap_or(0), 0);
        drop(first);
        // Its permit is free once the worker has noticed the close, so try until it has.
        while begun(address).await.is_none() {}
    }
}
