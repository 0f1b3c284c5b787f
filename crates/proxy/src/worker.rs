//! What one worker thread owns, and what all of them share.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use headgate_limit::Nanos;
use headgate_table::{LocalTable, RoutingTable, TableReader};

use crate::config::Config;
use crate::telemetry::{Telemetry, WorkerTelemetry};
use crate::upstream::{Own, Pools, Resolver};

/// State of one worker thread. Never leaves its thread, so nothing in it is locked.
pub(crate) struct Worker {
    /// Number of the worker, from 0.
    pub(crate) index: usize,
    /// What all workers share.
    pub(crate) shared: Arc<Shared>,
    /// Idle connections to endpoints.
    pub(crate) pools: Pools,
    /// Log lines and metrics on their way out.
    pub(crate) telemetry: WorkerTelemetry,
    table: RefCell<LocalTable>,
}

/// State that all workers share.
pub(crate) struct Shared {
    /// What the process was told.
    pub(crate) config: Config,
    /// The table that is served.
    pub(crate) reader: TableReader,
    /// Metrics and the log's writer.
    pub(crate) telemetry: Arc<Telemetry>,
    /// Names of ExternalName Services.
    pub(crate) resolver: Arc<Resolver>,
    /// Where this process listens.
    pub(crate) own: Own,
    /// Origin of the clock that limits count by.
    pub(crate) origin: Instant,
    /// The process is stopping: answers say `Connection: close`.
    pub(crate) draining: AtomicBool,
}

impl Worker {
    /// State for worker `index`.
    pub(crate) fn new(index: usize, shared: Arc<Shared>) -> Self {
        let telemetry = WorkerTelemetry::new(&shared.telemetry, index);
        let table = RefCell::new(shared.reader.local());
        Self {
            index,
            shared,
            pools: Pools::default(),
            telemetry,
            table,
        }
    }

    /// The table for a new request, which keeps it to its end.
    pub(crate) fn table(&self) -> Rc<Arc<RoutingTable>> {
        self.table.borrow_mut().current()
    }

    /// `now` on the clock that limits count by.
    pub(crate) fn nanos(&self, now: Instant) -> Nanos {
        Nanos::between(self.shared.origin, now)
    }
}
