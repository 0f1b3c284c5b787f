//! Adds up the counters of the workers when metrics are gathered.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use headgate_table::Upstream;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{LabelPair, Metric, MetricFamily};

use super::count::Scales;
use super::family::{Families, histogram, sample};
use super::names;
use super::process::Process;
use super::series::{Key, RouteSeries, Series, SeriesTotal};
use super::worker::Counters;
use super::{Telemetry, count::Count, streams};
use crate::upstream::{ejected_endpoints, unhealthy_endpoints};

/// [`Telemetry`] as a collector of a registry.
pub(super) struct TelemetryCollector {
    telemetry: Arc<Telemetry>,
    descriptions: Vec<Desc>,
}

impl TelemetryCollector {
    /// Fails only if a name or help text is invalid.
    pub(super) fn new(telemetry: Arc<Telemetry>) -> prometheus::Result<Self> {
        let describe = |name: &&names::Name| {
            Desc::new(
                name.name.into(),
                name.help.into(),
                Vec::new(),
                HashMap::new(),
            )
        };
        Ok(Self {
            telemetry,
            descriptions: names::ALL.iter().map(describe).collect::<Result<_, _>>()?,
        })
    }
}

impl Collector for TelemetryCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let telemetry = &*self.telemetry;
        let mut families = Families::new(&telemetry.labels);
        collect_routes(&mut families, telemetry);
        collect_workers(&mut families, &telemetry.workers);
        streams::collect(&mut families, &telemetry.workers);
        let tables = telemetry.tables.get().map(|tables| tables.current());
        let count = |endpoints: fn(&Upstream) -> usize| {
            let upstreams = tables.iter().flat_map(|table| table.upstreams());
            upstreams.map(|upstream| endpoints(upstream)).sum::<usize>() as f64
        };
        families.single(&names::EJECTED, count(ejected_endpoints));
        families.single(&names::UNHEALTHY, count(unhealthy_endpoints));
        collect_process(&mut families, &Process::now(), telemetry.commit);
        let spans = telemetry.spans.outcomes();
        families.by(&names::SPANS, "outcome", spans);
        families.single(
            &names::LOG_DROPPED,
            (telemetry.log.dropped() + telemetry.stream_log.dropped()) as f64,
        );
        telemetry
            .control
            .lock()
            .collect(&mut families, &telemetry.labels);
        let mut families = families.finish();
        families.retain(|family| !telemetry.excluded.contains(&family.name()));
        families
    }
}

/// Metrics of connections and workers.
fn collect_workers(families: &mut Families, workers: &[Arc<Counters>]) {
    let sum = |count: fn(&Counters) -> &Count| {
        workers
            .iter()
            .map(|worker| count(worker).value())
            .sum::<u64>() as f64
    };
    let totals = [
        ("accepted", sum(|worker| &worker.accepted)),
        ("handled", sum(|worker| &worker.handled)),
    ];
    families.by(&names::CONNECTIONS_TOTAL, "state", totals);
    let [reading, writing, waiting]: [fn(&Counters) -> &Count; 3] = [
        |worker| &worker.states[0],
        |worker| &worker.states[1],
        |worker| &worker.states[2],
    ];
    let open = [
        ("active", sum(|worker| &worker.active)),
        ("reading", sum(reading)),
        ("waiting", sum(waiting)),
        ("writing", sum(writing)),
    ];
    families.by(&names::CONNECTIONS, "state", open);
    families.single(&names::REQUESTS_TOTAL, sum(|worker| &worker.requests));
    families.single(&names::PANICS, sum(|worker| &worker.panics));
    let mut refused = BTreeMap::new();
    for (limit, count) in workers.iter().flat_map(|worker| worker.refused.iter()) {
        *refused.entry(*limit).or_insert(0.0) += count.value() as f64;
    }
    families.by(&names::REFUSED, "limit", refused);
    let mut errors = BTreeMap::new();
    for (reason, count) in workers.iter().flat_map(|worker| worker.errors.iter()) {
        *errors.entry(*reason).or_insert(0.0) += count.value() as f64;
    }
    families.by(&names::REQUEST_ERRORS, "reason", errors);
    let mut mirrored = BTreeMap::new();
    for (outcome, count) in workers.iter().flat_map(|worker| worker.mirrored.iter()) {
        *mirrored.entry(*outcome).or_insert(0.0) += count.value() as f64;
    }
    families.by(&names::MIRRORED, "outcome", mirrored);
}

fn collect_process(families: &mut Families, process: &Process, commit: &str) {
    families.single(&names::NUM_PROCS, 1.0);
    families.single(&names::CPU_SECONDS, process.cpu);
    families.single(&names::READ_BYTES, process.read);
    families.single(&names::WRITE_BYTES, process.written);
    families.single(&names::RESIDENT_MEMORY, process.resident);
    families.single(&names::VIRTUAL_MEMORY, process.virtual_memory);
    families.single(&names::START_TIME, process.start);
    families.bare(&names::STANDARD_CPU, process.cpu);
    families.bare(&names::STANDARD_OPEN_FILES, process.open_files);
    families.bare(&names::STANDARD_MAX_FILES, process.max_files);
    families.bare(&names::STANDARD_RESIDENT, process.resident);
    families.bare(&names::STANDARD_VIRTUAL, process.virtual_memory);
    families.bare(&names::STANDARD_START, process.start);
    let build = [
        ("build", commit),
        ("release", env!("CARGO_PKG_VERSION")),
        ("repository", env!("CARGO_PKG_REPOSITORY")),
    ];
    let build = sample(&names::BUILD_INFO, families.labels(&build), 1.0);
    families.add(&names::BUILD_INFO, vec![build]);
}

/// Request metrics. Series of equal labels are added up, over workers and also over routes: an exact and a prefix path may
/// have the same labels, and a sample with the same labels must be exposed once.
fn collect_routes(families: &mut Families, telemetry: &Telemetry) {
    let routes = telemetry.routes.live();
    let mut series: Vec<_> = routes
        .iter()
        .flat_map(|route| RouteSeries::iter(route))
        .filter(|series| series.key.is_exposed)
        .collect();
    series.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    let groups = || series.chunk_by(|a, b| order(a) == order(b));
    let mut metrics = RequestMetrics::with_capacity(groups().count());
    for group in groups() {
        let Some(first) = group.first() else { continue };
        let mut total = SeriesTotal::default();
        group.iter().for_each(|series| total.add(series));
        let labels = request_labels(families, &first.key, telemetry.routes.labelling().host);
        metrics.push(&labels, &total, telemetry.routes.scales());
    }
    metrics.finish(families);
}

/// The labels, most selective first.
fn order(series: &Series) -> impl Ord + '_ {
    let key = &series.key;
    let origin = &*key.origin;
    let object = (&*origin.namespace, &*origin.name, &*origin.service);
    (
        object,
        &*key.path,
        key.host.as_deref(),
        key.canary.as_deref().unwrap_or(""),
        key.method,
        key.status,
    )
}

fn request_labels(families: &Families, key: &Key, per_host: bool) -> Vec<LabelPair> {
    let status = if key.status < 10 {
        format!("{}xx", key.status)
    } else {
        key.status.to_string()
    };
    let labels = [
        ("canary", key.canary.as_deref().unwrap_or("")),
        ("ingress", &*key.origin.name),
        ("method", key.method),
        ("namespace", &*key.origin.namespace),
        ("path", &*key.path),
        ("service", &*key.origin.service),
        ("status", &*status),
        ("host", key.host.as_deref().unwrap_or("_")),
    ];
    let shown = if per_host { &labels[..] } else { &labels[..7] };
    families.labels(shown)
}

/// Samples of the request metrics.
struct RequestMetrics {
    requests: Vec<Metric>,
    request_duration: Vec<Metric>,
    response_duration: Vec<Metric>,
    header_duration: Vec<Metric>,
    connect_duration: Vec<Metric>,
    request_size: Vec<Metric>,
    response_size: Vec<Metric>,
    bytes_sent: Vec<Metric>,
}

impl RequestMetrics {
    fn with_capacity(n: usize) -> Self {
        let samples = || Vec::with_capacity(n);
        Self {
            requests: samples(),
            request_duration: samples(),
            response_duration: Vec::new(),
            header_duration: Vec::new(),
            connect_duration: Vec::new(),
            request_size: samples(),
            response_size: samples(),
            bytes_sent: samples(),
        }
    }

    fn push(&mut self, labels: &[LabelPair], total: &SeriesTotal, scales: &Scales) {
        let Scales { time, length, size } = scales;
        let requests = total.request_duration.count() as f64;
        self.requests
            .push(sample(&names::REQUESTS, labels.to_vec(), requests));
        self.request_duration.push(histogram(
            labels.to_vec(),
            total.request_duration.exposed(time),
        ));
        self.request_size.push(histogram(
            labels.to_vec(),
            total.request_size.exposed(length),
        ));
        self.response_size.push(histogram(
            labels.to_vec(),
            total.response_size.exposed(length),
        ));
        self.bytes_sent
            .push(histogram(labels.to_vec(), total.bytes_sent.exposed(size)));
        // Without an attempt there are no upstream times, rather than empty ones.
        let upstream = [
            (&mut self.response_duration, &total.response_duration),
            (&mut self.header_duration, &total.header_duration),
            (&mut self.connect_duration, &total.connect_duration),
        ];
        for (samples, total) in upstream {
            if total.count() > 0 {
                samples.push(histogram(labels.to_vec(), total.exposed(time)));
            }
        }
    }

    fn finish(self, families: &mut Families) {
        families.add(&names::REQUESTS, self.requests);
        families.add(&names::REQUEST_DURATION, self.request_duration);
        families.add(&names::RESPONSE_DURATION, self.response_duration);
        families.add(&names::HEADER_DURATION, self.header_duration);
        families.add(&names::CONNECT_DURATION, self.connect_duration);
        families.add(&names::REQUEST_SIZE, self.request_size);
        families.add(&names::RESPONSE_SIZE, self.response_size);
        families.add(&names::BYTES_SENT, self.bytes_sent);
    }
}
