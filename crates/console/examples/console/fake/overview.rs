//! State and traffic.

use headgate_console::model::{
    AddressRow, Cause, Cluster, Connections, Counts, Instance, Overview, Point, Process,
    Propagation, RouteRow, Series, Table, Traffic, WorkerLoad,
};

use super::{now, reports};

/// Traffic around a rate, which changes with the time.
pub(super) fn traffic(rate: f64) -> Traffic {
    let rate = rate * (1.0 + 0.1 * wave(now(), 7));
    let (client, server) = (rate * 0.021, rate * 0.0036);
    let share = |errors: f64| (rate > 0.0).then(|| errors / rate);
    Traffic {
        window_seconds: 60,
        requests: (rate * 60.0) as u64,
        requests_per_second: rate,
        client_errors_per_second: client,
        server_errors_per_second: server,
        client_error_share: share(client),
        server_error_share: share(server),
        p50_seconds: (rate > 0.0).then_some(0.0042),
        p99_seconds: (rate > 0.0).then_some(0.118),
    }
}

pub(super) fn rate_of(route: &RouteRow) -> f64 {
    route
        .traffic
        .as_ref()
        .map_or(0.0, |traffic| traffic.requests_per_second)
}

pub(super) fn errors_of(route: &RouteRow) -> f64 {
    route
        .traffic
        .as_ref()
        .map_or(0.0, |traffic| traffic.server_errors_per_second)
}

pub(super) fn latency_of(route: &RouteRow) -> f64 {
    let traffic = route.traffic.as_ref();
    traffic
        .and_then(|traffic| traffic.p99_seconds)
        .unwrap_or_default()
}

/// Points around a rate.
pub(super) fn series(points: u64, step: u64, rate: f64) -> Series {
    let end = now() / step * step;
    let points = (0..points).map(|at| {
        let time = end / step + at;
        let rate = rate * (1.0 + 0.35 * wave(time, 19) + 0.12 * wave(time, 5));
        let trouble = if (20..26).contains(&at) { 0.16 } else { 0.004 };
        Point {
            requests_per_second: Some(rate),
            client_errors_per_second: Some(rate * (0.02 + 0.01 * wave(time, 11))),
            server_errors_per_second: Some(rate * trouble),
            p50_seconds: Some(0.004 + 0.0015 * wave(time, 13)),
            p99_seconds: (at != 33).then(|| 0.1 + trouble + 0.04 * wave(time, 4)),
        }
    });
    Series {
        step_seconds: step,
        end_unix_seconds: end,
        points: points.collect(),
    }
}

/// Between -1 and 1.
fn wave(time: u64, period: u64) -> f64 {
    (time as f64 * std::f64::consts::TAU / period as f64).sin()
}

pub(super) fn overview(hosts: usize, busiest: Vec<RouteRow>) -> Overview {
    let now = now();
    let cause = |name: &str, per_second, total| Cause {
        name: name.into(),
        per_second,
        total,
    };
    Overview {
        now_unix_seconds: now,
        instance: Instance {
            command: "controller".into(),
            version: "0.1.0".into(),
            namespace: "ingress".into(),
            pod: "headgate-controller-7d9f6c5b8-x2v4q".into(),
            started_unix_seconds: now - 1_047_600,
        },
        phase: "serving".into(),
        traffic: traffic(1_284.0),
        recent: series(60, 10, 1_284.0),
        hour: series(60, 60, 1_100.0),
        errors: vec![
            cause("no_route", 12.4, 48_210),
            cause("connect_failed", 2.8, 1_904),
            cause("no_endpoints", 1.1, 12_000),
            cause("timeout", 0.4, 311),
        ],
        refusals: vec![
            cause("limit-rps", 6.2, 90_210),
            cause("body_size", 0.02, 12),
        ],
        connections: Connections {
            active: 4_812,
            reading: 14,
            writing: 213,
            waiting: 4_585,
            accepted_per_second: 96.3,
        },
        workers: (0..4)
            .map(|index| WorkerLoad {
                index,
                connections: 1_200 + index as u64,
                requests_per_second: 321.0 + 14.0 * wave(now + index as u64 * 3, 9),
                share: Some(0.25),
            })
            .collect(),
        process: Process {
            cpus: 0.62,
            resident_bytes: 92_274_688,
            memory_limit_bytes: Some(536_870_912),
            open_files: 5_120,
            max_open_files: 1_048_576,
        },
        table: Table {
            generation: 418,
            published_unix_seconds: Some(now - 190),
            is_stale: false,
            hosts,
            routes: hosts * 3,
            upstreams: hosts + 2,
            endpoints: hosts * 3 + 4,
            left_out_endpoints: 2,
            propagation: Propagation {
                changes: 417,
                last_seconds: Some(0.0031),
                p50_seconds: Some(0.0028),
                p99_seconds: Some(0.041),
            },
        },
        findings: Counts {
            errors: 3,
            warnings: 12,
            infos: 48,
        },
        certificates: reports::certificates().into_iter().take(5).collect(),
        cluster: Some(Cluster {
            server: "https://10.96.0.1:443".into(),
            is_healthy: true,
            problems: vec!["Ingresses cannot be listed: forbidden".into()],
            role: "leader".into(),
            leader: Some("headgate-controller-7d9f6c5b8-x2v4q".into()),
        }),
        busiest,
        addresses: [
            ("http", "0.0.0.0:80"),
            ("https", "0.0.0.0:443"),
            ("console", "127.0.0.1:10243"),
        ]
        .map(|(name, address)| AddressRow {
            name: name.into(),
            address: address.into(),
        })
        .to_vec(),
    }
}
