//! The state and the traffic of the process.

use std::time::{Duration, Instant};

use headgate_console::history::Bounds;
use headgate_console::model::{
    AddressRow, Cause, Connections, Overview, Process, Propagation, Table, WorkerLoad,
};
use headgate_proxy::{Telemetry, ejected_endpoints, unhealthy_endpoints};
use headgate_table::RoutingTable;

use super::index::Index;
use super::sampler::{Growth, unix_now};
use super::{Console, Live, Used, certificates, findings, hosts};
use crate::admin::Phase;

/// How long an overview is shown to others who look.
const FRESH: Duration = Duration::from_secs(1);
/// Certificates that are shown.
const CERTIFICATES: usize = 5;
/// Routes that are shown.
const BUSIEST: usize = 10;

pub(super) fn overview(console: &Console) -> Overview {
    let at = Instant::now();
    let mut kept = console.overview.lock();
    if let Some(used) = kept.as_ref().filter(|used| used.at.elapsed() < FRESH) {
        return used.value.clone();
    }
    let value = made(console);
    *kept = Some(Used {
        value: value.clone(),
        at,
    });
    value
}

fn made(console: &Console) -> Overview {
    let state = &console.state;
    let addresses = state.addresses().iter().map(|(name, address)| AddressRow {
        name: (*name).to_owned(),
        address: address.to_string(),
    });
    let mut overview = Overview {
        now_unix_seconds: unix_now().as_secs(),
        instance: console.facts.instance.clone(),
        phase: match state.phase() {
            Phase::Starting => "starting",
            Phase::Serving => "serving",
            Phase::Draining => "draining",
        }
        .to_owned(),
        findings: findings::counts(&state.findings()),
        cluster: console.cluster.as_ref().map(|cluster| cluster()),
        addresses: addresses.collect(),
        ..Overview::default()
    };
    if let Some(live) = console.live.get() {
        fill_live(&mut overview, live, console.facts.memory_limit);
    }
    if let Some((table, index)) = console.index() {
        overview.certificates = certificates::next(&index, CERTIFICATES);
        overview.busiest =
            console.with_window(|window| hosts::busiest((&table, &index), window, BUSIEST));
        overview.table = Table {
            is_stale: state.is_stale(),
            ..of_table(&table, &index)
        };
        if let Some(live) = console.live.get() {
            fill_publications(&mut overview.table, &live.telemetry);
        }
    }
    overview
}

fn fill_live(overview: &mut Overview, live: &Live, memory_limit: Option<u64>) {
    let history = live.history.lock();
    overview.traffic = history.traffic();
    overview.recent = history.recent();
    overview.hour = history.hour();
    drop(history);
    let growth = live.rates.lock().growth();
    let growth = growth.as_ref();
    let server = live.telemetry.read_server();
    let process = live.telemetry.read_process();
    overview.instance.started_unix_seconds = process.started_unix_seconds;
    overview.errors = causes(&server.errors, |name| {
        rate(growth, |growth| {
            growth.server(|server| number(&server.errors, name))
        })
    });
    overview.refusals = causes(&server.refused, |name| {
        rate(growth, |growth| {
            growth.server(|server| number(&server.refused, name))
        })
    });
    let active = server.workers.iter().map(|worker| worker.connections);
    overview.connections = Connections {
        active: active.sum(),
        reading: server.reading,
        writing: server.writing,
        waiting: server.waiting,
        accepted_per_second: rate(growth, |growth| growth.server(|server| server.accepted)),
    };
    let of_worker = |index: usize| {
        rate(growth, |growth| {
            growth.server(|server| {
                server
                    .workers
                    .get(index)
                    .map_or(0, |worker| worker.requests)
            })
        })
    };
    let all: f64 = (0..server.workers.len()).map(of_worker).sum();
    let workers = server.workers.iter().enumerate();
    let workers = workers.map(|(index, worker)| WorkerLoad {
        index,
        connections: worker.connections,
        requests_per_second: of_worker(index),
        share: (all > 0.0).then(|| of_worker(index) / all),
    });
    overview.workers = workers.collect();
    overview.process = Process {
        cpus: rate(growth, Growth::cpus),
        resident_bytes: process.resident_bytes,
        memory_limit_bytes: memory_limit,
        open_files: process.open_files,
        max_open_files: process.max_open_files,
    };
}

fn rate(growth: Option<&Growth>, of: impl Fn(&Growth) -> f64) -> f64 {
    growth.map_or(0.0, of)
}

fn number(counts: &[(&'static str, u64)], name: &str) -> u64 {
    let found = counts.iter().find(|(one, _)| *one == name);
    found.map_or(0, |(_, number)| *number)
}

/// The most frequent ones first.
fn causes(counts: &[(&'static str, u64)], per_second: impl Fn(&str) -> f64) -> Vec<Cause> {
    let causes = counts.iter().map(|(name, total)| Cause {
        name: (*name).to_owned(),
        per_second: per_second(name),
        total: *total,
    });
    let mut causes: Vec<Cause> = causes.collect();
    causes.sort_by(|one, other| {
        let rates = other.per_second.total_cmp(&one.per_second);
        rates.then_with(|| other.total.cmp(&one.total))
    });
    causes
}

fn of_table(table: &RoutingTable, index: &Index) -> Table {
    let left_out = table
        .upstreams()
        .map(|upstream| ejected_endpoints(upstream) + unhealthy_endpoints(upstream));
    Table {
        generation: table.generation,
        hosts: index.hosts().len(),
        routes: index.routes().len(),
        upstreams: index.upstreams,
        endpoints: index.endpoints,
        left_out_endpoints: left_out.sum(),
        ..Table::default()
    }
}

fn fill_publications(table: &mut Table, telemetry: &Telemetry) {
    let published = telemetry.read_publications();
    let bounds = Bounds::new(&published.bounds);
    let [p50, p99] = bounds.quantiles(&published.times, [0.5, 0.99]);
    table.published_unix_seconds = published.published_unix_seconds;
    table.propagation = Propagation {
        changes: published.times.iter().sum(),
        last_seconds: published.last.map(|time| time.as_secs_f64()),
        p50_seconds: p50,
        p99_seconds: p99,
    };
}
