//! Metrics and the access log.
//!
//! What happens on the request path is counting and formatting on the worker's own thread: no lock, no label text, no
//! write to a file. Series hang off the routes they belong to and are added up when somebody reads the metrics; lines
//! are written by a thread of their own. Nothing here decides what a request gets.

mod access_log;
mod chain;
mod collect;
mod control;
mod count;
mod family;
mod names;
mod observation;
mod process;
mod recording;
mod series;
mod status_page;
mod worker;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;

use self::access_log::Writer;
use self::collect::TelemetryCollector;
use self::control::Control;
pub use self::control::{CertificateFacts, Orphan, OrphanKind};
pub(crate) use self::recording::Recording;
use self::series::{Labelling, Routes};
use self::worker::Counters;
pub(crate) use self::worker::{ConnectionGuard, ConnectionState, WorkerTelemetry};
use crate::config::{Config, MetricLabels};

/// Metrics of the process and the way to the access log; shared by all threads.
///
/// The workers count through their [`WorkerTelemetry`]; the control plane tells what it did by the methods here.
pub struct Telemetry {
    labels: MetricLabels,
    labelling: Labelling,
    workers: Box<[Arc<Counters>]>,
    routes: Routes,
    control: Mutex<Control>,
    log: Writer,
}

impl Telemetry {
    /// Telemetry for `config.workers` workers. Starts the thread that writes the access log.
    pub fn new(config: &Config) -> Arc<Self> {
        let labelling = Labelling {
            host: config.metrics_per_host,
            undefined_host: config.metrics_per_undefined_host,
            status_classes: config.status_classes,
        };
        Arc::new(Self {
            labels: config.labels.clone(),
            labelling,
            workers: (0..config.workers.max(1)).map(|_| Arc::default()).collect(),
            routes: Routes::default(),
            control: Mutex::default(),
            log: Writer::start(&config.access_log),
        })
    }

    /// Lets `registry` gather all metrics of the data plane and those that the control plane tells.
    ///
    /// # Errors
    /// When the registry has metrics of these names already.
    pub fn register(self: &Arc<Self>, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(TelemetryCollector::new(self.clone())?))
    }

    /// Client connections that are open now, over all workers.
    pub fn open_connections(&self) -> u64 {
        self.workers
            .iter()
            .map(|worker| worker.active.value())
            .sum()
    }

    /// A table is served; `hash` tells tables of different content apart.
    pub fn published(&self, hash: u64) {
        self.control.lock().published(hash, SystemTime::now());
    }

    /// A change could not be served; the former table stays.
    pub fn publish_failed(&self) {
        self.control.lock().failed();
    }

    /// A changed object is served, `time` after it arrived.
    pub fn publish_latency(&self, time: Duration) {
        self.control.lock().latency(time);
    }

    /// Replaces the numbers of findings by severity. Severities that are left out vanish; pass a zero to show a zero.
    pub fn set_findings(&self, findings: Vec<(&'static str, u64)>) {
        self.control.lock().set_findings(findings);
    }

    /// Replaces the Ingresses that lack a Service or endpoints.
    pub fn set_orphans(&self, orphans: Vec<Orphan>) {
        self.control.lock().set_orphans(orphans);
    }

    /// Replaces the certificates in service.
    pub fn set_certificates(&self, certificates: Vec<CertificateFacts>) {
        self.control.lock().set_certificates(certificates);
    }

    /// Opens the file of the access log anew, after it was moved away. Nothing on standard output.
    pub fn reopen_log(&self) {
        self.log.reopen();
    }

    /// Waits, at most for `bound`, until all lines that the workers handed over are written; whether they are. For the
    /// end of the process, after the workers ended. Blocks the thread.
    pub fn sync_log(&self, bound: Duration) -> bool {
        self.log.sync(bound)
    }
}
