//! Metrics and the access log.
//!
//! On the request path the worker counts and formats on its own thread: no lock, no label text, no write to a file. Series
//! live in the slots of their routes and are added up when metrics are gathered; a separate thread writes the log.

mod access_log;
mod chain;
mod collect;
mod control;
mod count;
mod error_log;
mod errors;
mod family;
mod names;
mod observation;
mod process;
mod reading;
mod recording;
mod series;
mod spans;
mod status_page;
pub(crate) mod stream_session;
mod streams;
mod tap;
mod worker;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use headgate_table::TableReader;
use parking_lot::Mutex;

use self::access_log::Writer;
pub(crate) use self::access_log::expand;
use self::collect::TelemetryCollector;
use self::control::Control;
pub use self::control::{CertificateFacts, Orphan, OrphanKind};
use self::count::Scales;
pub use self::error_log::ErrorLog;
pub use self::names::{ALL as METRICS, Name as Metric};
pub use self::reading::{
    ProcessCounts, PublishCounts, RequestCounts, ServerCounts, WorkerCounts, route_number,
};
pub(crate) use self::recording::Recording;
use self::series::{Labelling, Routes};
use self::spans::Spans;
pub(crate) use self::streams::{PortCounts, Protocol};
use self::tap::Taps;
pub use self::tap::{TapFilter, TapReceiver, TappedRequest, TooManyTaps};
use self::worker::Counters;
pub(crate) use self::worker::{ConnectionGuard, ConnectionState, WorkerTelemetry};
use crate::config::{AccessLog, Config, MetricLabels};

/// Metrics of the process and its access log; shared by all threads.
///
/// Workers count in their [`WorkerTelemetry`]; the control plane reports through the methods here.
pub struct Telemetry {
    labels: MetricLabels,
    workers: Box<[Arc<Counters>]>,
    routes: Routes,
    control: Mutex<Control>,
    /// Names of request metrics that are left out.
    excluded: Vec<&'static str>,
    commit: &'static str,
    log: Writer,
    stream_log: Writer,
    spans: Arc<Spans>,
    taps: Arc<Taps>,
    /// The tables in service, once there is one.
    tables: OnceLock<TableReader>,
}

impl Telemetry {
    /// Telemetry for `config.workers` workers. Starts the threads that write the access logs.
    pub fn new(config: &Config) -> Arc<Self> {
        let labelling = Labelling {
            host: config.metrics_per_host,
            undefined_host: config.metrics_per_undefined_host,
            status_classes: config.status_classes,
            everything: config.counts_all_hosts,
        };
        let workers = config.workers.max(1);
        Arc::new(Self {
            labels: config.labels.clone(),
            workers: (0..workers).map(|_| Arc::default()).collect(),
            routes: Routes::new(labelling, Scales::new(&config.buckets), workers),
            control: Mutex::default(),
            excluded: names::of_requests(&config.excluded_metrics),
            commit: config.commit,
            log: Writer::start(&config.access_log),
            stream_log: Writer::start(&config.stream_log),
            spans: Spans::new(config),
            taps: Arc::default(),
            tables: OnceLock::new(),
        })
    }

    /// Registers all metrics of the data plane and those that the control plane reports.
    ///
    /// # Errors
    /// If the registry has metrics of these names already.
    pub fn register(self: &Arc<Self>, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(TelemetryCollector::new(self.clone())?))
    }

    /// The data plane serves the tables of `reader` from now on.
    pub(crate) fn follow(&self, reader: TableReader) {
        self.spans.follow(reader.clone());
        self.tables.get_or_init(|| reader);
    }

    /// Open client connections of all workers.
    pub fn open_connections(&self) -> u64 {
        self.workers
            .iter()
            .map(|worker| worker.active.value())
            .sum()
    }

    /// Reports that the table of this generation is published.
    pub fn published(&self, generation: u64) {
        let now = SystemTime::now();
        self.control.lock().published(generation, now);
    }

    /// Replaces the hash of the configuration: equal for equal configurations, in every replica.
    pub fn set_config_hash(&self, hash: u64) {
        self.control.lock().set_hash(hash);
    }

    /// Reports that a changed object is served, `time` after it arrived.
    pub fn publish_latency(&self, time: Duration) {
        self.control.lock().latency(time);
    }

    /// Replaces the numbers of findings by severity. Severities that are left out disappear; pass 0 to expose 0.
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

    /// Reopens the files of the access logs after they were rotated. No effect on standard output.
    pub fn reopen_log(&self) {
        self.log.reopen();
        self.stream_log.reopen();
    }

    /// Writes the access log of requests to `requests`, and that of TCP and UDP sessions to `streams`, from now on.
    pub fn move_logs(&self, requests: AccessLog, streams: AccessLog) {
        self.log.move_to(requests);
        self.stream_log.move_to(streams);
    }

    /// Watches the requests that `filter` selects, as they end. Requests that have begun before are left out.
    ///
    /// # Errors
    /// When there are as many taps as may be.
    pub fn tap(&self, filter: TapFilter) -> Result<TapReceiver, TooManyTaps> {
        self.taps.open(filter)
    }

    /// Spans on their way to a collector.
    pub(crate) fn spans(&self) -> &Arc<Spans> {
        &self.spans
    }

    /// Waits, at most for `bound`, until all lines of the workers are written, and returns whether they are. For the end of
    /// the process, after the workers have ended. Blocks the thread.
    pub fn sync_log(&self, bound: Duration) -> bool {
        let start = Instant::now();
        let written = self.log.sync(bound);
        self.stream_log.sync(bound.saturating_sub(start.elapsed())) && written
    }
}
