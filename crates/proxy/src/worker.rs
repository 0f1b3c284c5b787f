//! The state of a worker thread, and the state that workers share.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use headgate_limit::Nanos;
use headgate_table::{RoutingTable, TableReader};

use crate::auth_cache::AuthCache;
use crate::config::Config;
use crate::current::CurrentTable;
use crate::geo::Locations;
use crate::memory::Memory;
use crate::mirror::Mirrors;
use crate::passwords::Passwords;
use crate::pipes::RelayTools;
use crate::process::Process;
use crate::shedding::{Found, Shedding};
use crate::telemetry::{Telemetry, WorkerTelemetry};
use crate::upstream::{Environment, Upstreams};

/// The part of all connections that may be in their TLS handshake, unless it is configured.
const HANDSHAKES: usize = 4;

/// State of one worker thread. Never leaves its thread, so nothing in it is locked.
pub(crate) struct Worker {
    /// Its number, from 0.
    pub(crate) index: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstreams: Rc<Upstreams>,
    pub(crate) telemetry: Rc<WorkerTelemetry>,
    pub(crate) mirrors: Rc<Mirrors>,
    pub(crate) relay: RelayTools,
    /// What is refused while something is short.
    pub(crate) shedding: Shedding,
    table: CurrentTable,
}

/// State that all workers share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) reader: TableReader,
    /// Metrics and the writer of the access log.
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) upstream: Arc<Environment>,
    pub(crate) passwords: Passwords,
    pub(crate) auth_cache: AuthCache,
    pub(crate) locations: Arc<Locations>,
    /// How short memory is.
    pub(crate) memory: Arc<Memory>,
    /// Start of the clock of rate limits.
    pub(crate) origin: Instant,
}

impl Worker {
    /// State for worker `index`, counted from 0.
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let table = CurrentTable::new(&shared.reader);
        let upstreams = Upstreams::new(shared.upstream.clone(), index, table.clone());
        let upstreams = Rc::new(upstreams);
        let telemetry = WorkerTelemetry::new(&shared.telemetry, index, table.clone());
        let telemetry = Rc::new(telemetry);
        Self {
            index,
            mirrors: Rc::new(Mirrors::new(upstreams.clone(), telemetry.clone())),
            relay: RelayTools::new(upstreams.pipes.clone()),
            shedding: Shedding::default(),
            upstreams,
            telemetry,
            shared,
            table,
        }
    }

    /// The current table. A request takes it once and keeps it to its end.
    pub(crate) fn table(&self) -> Rc<Arc<RoutingTable>> {
        self.table.get()
    }

    /// Most client connections of all workers.
    pub(crate) fn max_connections(&self) -> usize {
        let config = &self.shared.config;
        let each = self.table().settings.client.worker_connections;
        each.map_or(config.max_connections, |each| {
            let all = (each.get() as usize).saturating_mul(config.workers.max(1));
            all.min(config.max_connections)
        })
    }

    /// Most connections of this worker in their TLS handshake: the kernel spreads them over the workers.
    pub(crate) fn max_handshakes(&self) -> usize {
        let all = self.table().settings.client.handshakes;
        let all = match all {
            Some(all) => all.get() as usize,
            None => self.max_connections() / HANDSHAKES,
        };
        all.div_ceil(self.shared.config.workers.max(1)).max(1)
    }

    /// What is due with every tick, of which this one runs `late`: log lines are written, and load is shed if something is
    /// short. Returns whether idle connections have to close.
    pub(crate) fn tick(&self, late: Duration, process: &Process) -> bool {
        self.telemetry.flush();
        let memory = &self.shared.memory;
        memory.watch(tokio::time::Instant::now());
        self.shedding.update(Found {
            late,
            queue_time: self.table().settings.client.queue_time,
            pressure: memory.pressure(),
            connections_short: process.is_short(self.max_connections()),
        })
    }

    /// `now` on the clock of rate limits.
    pub(crate) fn nanos(&self, now: Instant) -> Nanos {
        Nanos::between(self.shared.origin, now)
    }
}

/// Counts a panic that unwinds through its owner. The runtime catches the panic: other tasks continue.
pub(crate) struct CountPanic(pub(crate) Rc<Worker>);

impl Drop for CountPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.telemetry.panicked();
        }
    }
}

/// Runs `task` to its end, and anew after each panic, which is counted.
pub(crate) async fn repeat_after_panics(worker: &Rc<Worker>, task: impl AsyncFn()) {
    loop {
        let counted = async {
            let _counted = CountPanic(worker.clone());
            task().await;
        };
        if AssertUnwindSafe(counted).catch_unwind().await.is_ok() {
            return;
        }
        // One that panics at once would keep others from running.
        tokio::task::yield_now().await;
    }
}
