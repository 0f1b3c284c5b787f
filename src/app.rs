//! Wires the parts together and runs them: source, reconciler, data plane and admin port, from start to graceful shutdown.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::{Context as _, Result};
use headgate_compile::settings::LogTarget;
use headgate_compile::{Batch, HttpListeners, Options};
use headgate_proxy::{AccessLog, Running, Server, Telemetry};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::admin::{self, Explainer, Phase, State};
use crate::console::{self, ConsoleOptions};
use crate::default_certificate;
use crate::reconciler::{Feed, First, Input};

/// Maximum wait for the access log at a stop.
const LOG_FLUSH: Duration = Duration::from_secs(2);

/// Queries of the admin port that wait; further ones wait to be queued.
const MAX_QUERIES: usize = 16;

/// Configuration that every source needs.
pub(crate) struct Serving {
    pub(crate) options: Options,
    pub(crate) proxy: headgate_proxy::Config,
    /// Address of the admin port.
    pub(crate) admin: SocketAddr,
    /// `None`: no console.
    pub(crate) console: Option<ConsoleOptions>,
    /// Time between failing readiness and refusing connections (`--shutdown-grace-period`).
    pub(crate) grace: Duration,
}

/// The bound addresses.
pub(crate) struct Addresses {
    /// At least one.
    pub(crate) http: Vec<SocketAddr>,
    /// At least one.
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    /// `None`: no console.
    pub(crate) console: Option<SocketAddr>,
}

impl Addresses {
    /// Listeners of the data plane, by name.
    fn data(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let http = self.http.iter().map(|address| ("http", *address));
        let https = self.https.iter().map(|address| ("https", *address));
        http.chain(https)
    }

    /// All listeners, by name.
    fn named(&self) -> Vec<(&'static str, SocketAddr)> {
        let console = self.console.map(|address| ("console", address));
        let own = [("admin", self.admin)].into_iter().chain(console);
        self.data().chain(own).collect()
    }
}

/// Serves the objects of `feed` until SIGTERM or SIGINT, then drains. Calls `ready` once, when the first complete table is
/// served.
pub(crate) async fn run(
    serving: Serving,
    mut feed: impl Feed,
    ready: impl FnOnce(&Addresses),
) -> Result<()> {
    let mut terminated = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupted = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut rotated = signal(SignalKind::user_defined1()).context("listening for SIGUSR1")?;
    // A terminal that closes sends it, and programs that rotate logs: neither means a stop.
    let mut hung_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    // Sockets are bound before anything is read, so that a port in use is reported at once.
    let admin = TcpListener::bind(serving.admin)
        .with_context(|| format!("admin port {}", serving.admin))?;
    let mut bound = Server::bind(serving.proxy.clone())?;
    let console = console::Bound::new(serving.console)?;
    let addresses = addresses(&bound, &admin, console.as_ref())?;
    bound.also_listening(addresses.admin);
    if let Some(address) = addresses.console {
        bound.also_listening(address);
    }
    if let Some(address) = feed.listening() {
        bound.also_listening(address);
    }
    let registry = prometheus::Registry::new();
    feed.register(&registry).context("registering metrics")?;
    let (queries, mut asked) = mpsc::channel(MAX_QUERIES);
    let explainer = Explainer::new(queries, serving.options.endpoints.loopback);
    let state = State::new(addresses.named(), registry.clone(), explainer);
    admin::start(admin, state.clone(), serving.options.health_path.clone())?;
    // Logged first: until there is a table, only the admin port responds.
    tracing::info!(name = "admin", address = %addresses.admin, "listening");
    let memory = serving.proxy.memory.as_ref().map(|limit| limit.bytes);
    let console = console.map(|console| console.start(state.clone(), memory, feed.cluster()));
    let console = console.transpose()?;
    if let Some(address) = addresses.console {
        tracing::info!(name = "console", %address, "listening");
    }

    let fallback = default_certificate::generate()?;
    let first = tokio::select! {
        first = first_batch(&mut feed) => Some(first),
        _ = terminated.recv() => None,
        _ = interrupted.recv() => None,
    };
    let Some(first) = first else {
        // Releases the lease, so that another replica need not wait for it to expire.
        feed.stop().await;
        return Ok(());
    };
    let mut options = Options {
        listeners: HttpListeners {
            http: addresses.http.clone(),
            https: addresses.https.clone(),
        },
        ..serving.options
    };
    let admin_port = addresses.admin.port();
    options.reserved_ports.push((admin_port, "the admin port"));
    if let Some(address) = addresses.console {
        options
            .reserved_ports
            .push((address.port(), "the console (--console-address)"));
    }
    let first = First::compile(first, &feed, options, fallback);
    crate::log::follow(&first.settings().error_log);
    let telemetry = Telemetry::new(&headgate_proxy::Config {
        access_log: destination(&first.settings().access_log.target),
        stream_log: destination(&first.settings().access_log.stream_target),
        ..serving.proxy
    });
    telemetry
        .register(&registry)
        .context("registering metrics")?;
    let (mut reconciler, reader) = first.publish(telemetry.clone(), state.clone(), &mut feed);
    if let Some(console) = &console {
        console
            .follow(telemetry.clone())
            .context("starting the console's history")?;
    }
    let running = bound
        .start(reader, telemetry.clone())
        .context("starting the workers")?;
    state.set_names(running.names());
    feed.serving(running.names());
    state.enter(Phase::Serving);
    for (name, address) in addresses.data() {
        tracing::info!(name, %address, "listening");
    }
    ready(&addresses);

    loop {
        tokio::select! {
            input = feed.next() => reconciler = reconciler.handle(input, &mut feed),
            Some(query) = asked.recv() => reconciler = reconciler.handle(Input::Query(query), &mut feed),
            _ = rotated.recv() => reopen_logs(&telemetry),
            _ = hung_up.recv() => reopen_logs(&telemetry),
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
        }
    }
    state.enter(Phase::Draining);
    feed.draining();
    let stopped = stop(serving.grace, reconciler.table().settings.drain, running);
    let mut stopped = std::pin::pin!(stopped);
    loop {
        // Requests in flight, and new ones during the grace period, still need current endpoints.
        tokio::select! {
            () = &mut stopped => break,
            input = feed.next() => reconciler = reconciler.handle(input, &mut feed),
            Some(query) = asked.recv() => reconciler = reconciler.handle(Input::Query(query), &mut feed),
        }
    }
    feed.stop().await;
    telemetry.sync_log(LOG_FLUSH);
    crate::log::sync(LOG_FLUSH);
    tracing::info!("stopped");
    Ok(())
}

/// Opens the files of the logs again, after they were rotated.
fn reopen_logs(telemetry: &Telemetry) {
    telemetry.reopen_log();
    crate::log::reopen();
}

/// Admission reviews before the first batch are dropped, which fails them.
async fn first_batch(feed: &mut impl Feed) -> Batch {
    loop {
        if let Input::Batch(batch) = feed.next().await {
            return batch;
        }
    }
}

/// Announces the stop to clients, waits for the grace period, then stops accepting and lets requests in flight finish within
/// the drain time.
async fn stop(grace: Duration, drain: Duration, running: Running) {
    let (grace_seconds, drain_seconds) = (grace.as_secs(), drain.as_secs());
    tracing::info!(grace_seconds, drain_seconds, "stopping");
    running.announce();
    tokio::time::sleep(grace).await;
    running.drain(drain).await;
}

/// Destination of a log.
pub(crate) fn destination(target: &LogTarget) -> AccessLog {
    match target {
        LogTarget::Stdout => AccessLog::Stdout,
        LogTarget::Stderr => AccessLog::File("/dev/stderr".into()),
        LogTarget::File(path) => AccessLog::File(path.clone()),
        LogTarget::Syslog(server) => AccessLog::Syslog {
            host: server.host.clone(),
            port: server.port,
        },
    }
}

fn addresses(
    bound: &headgate_proxy::Bound,
    admin: &TcpListener,
    console: Option<&console::Bound>,
) -> Result<Addresses> {
    let data = bound.addresses();
    Ok(Addresses {
        http: data.http,
        https: data.https,
        admin: admin.local_addr().context("reading the admin port")?,
        console: console.map(|console| console.address),
    })
}
