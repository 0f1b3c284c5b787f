//! Numbers and lines for people, and the whole as text.

use std::fmt::Write as _;

use headgate_console::model::{Overview, RouteRow, Traffic};

use super::Reading;
use crate::output::plain;

/// What stands for a number that is not known.
const UNKNOWN: &str = "-";

/// Columns of routes.
pub(super) const COLUMNS: [&str; 8] = [
    "REQ/S",
    "4XX/S",
    "5XX/S",
    "P50",
    "P99",
    "ENDPOINTS",
    "ROUTE",
    "OBJECT",
];

/// The overview and the routes as text, without colours.
pub(super) fn text(reading: &Reading) -> String {
    let mut out = String::new();
    for (name, value) in facts(&reading.overview) {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<12}{value}");
    }
    let rows: Vec<[String; 8]> = reading.routes.items.iter().map(cells).collect();
    let head = COLUMNS.map(str::to_owned);
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| {
            let rows = rows.iter().chain([&head]);
            let widths = rows.filter_map(|row| row.get(column));
            widths.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    out.push('\n');
    for row in std::iter::once(&head).chain(&rows) {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0..=5 => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    let hidden = reading.routes.total.saturating_sub(rows.len());
    if hidden > 0 {
        let _ = writeln!(out, "and {hidden} more");
    }
    out
}

/// The overview in lines, each with its name.
pub(super) fn facts(overview: &Overview) -> Vec<(&'static str, String)> {
    let Overview {
        instance,
        traffic,
        connections,
        process,
        table,
        findings,
        ..
    } = overview;
    let pod = match &*instance.pod {
        "" => String::new(),
        pod => format!(" {}/{pod}", instance.namespace),
    };
    let mut facts = vec![
        (
            "headgate",
            format!(
                "{} {}{pod}, {}",
                instance.version, instance.command, overview.phase
            ),
        ),
        (
            "requests",
            format!(
                "{}/s, 4xx {}, 5xx {}, p50 {}, p99 {}",
                rate(traffic.requests_per_second),
                share(traffic.client_error_share),
                share(traffic.server_error_share),
                time(traffic.p50_seconds),
                time(traffic.p99_seconds),
            ),
        ),
        (
            "connections",
            format!(
                "{} open, {} serving, {} idle, {} new/s",
                connections.active,
                connections.writing,
                connections.waiting,
                rate(connections.accepted_per_second),
            ),
        ),
        (
            "process",
            format!(
                "{:.2} CPUs, {} resident, {} of {} files",
                process.cpus,
                bytes(process.resident_bytes),
                process.open_files,
                process.max_open_files,
            ),
        ),
        (
            "table",
            format!(
                "generation {}, {} hosts, {} routes, {} endpoints, {} left out; last change took {}",
                table.generation,
                table.hosts,
                table.routes,
                table.endpoints,
                table.left_out_endpoints,
                time(table.propagation.last_seconds),
            ),
        ),
        (
            "findings",
            format!("{} errors, {} warnings", findings.errors, findings.warnings),
        ),
    ];
    let causes = overview
        .errors
        .iter()
        .filter(|cause| cause.per_second > 0.0);
    let causes: Vec<String> = causes
        .map(|cause| format!("{} {}/s", cause.name, rate(cause.per_second)))
        .collect();
    if !causes.is_empty() {
        facts.push(("errors", causes.join(", ")));
    }
    if let Some(certificate) = overview.certificates.first() {
        let days = certificate.expires_in_seconds / 86_400;
        facts.push((
            "certificate",
            format!("{} expires in {days} days", certificate.source),
        ));
    }
    if let Some(cluster) = &overview.cluster {
        let health = if cluster.is_healthy {
            "responds"
        } else {
            "FAILING"
        };
        let leader = cluster.leader.as_deref().unwrap_or("unknown");
        facts.push((
            "cluster",
            format!("API server {health}; {}, leader {leader}", cluster.role),
        ));
    }
    let facts = facts.into_iter();
    facts
        .map(|(name, value)| (name, plain(&value).into_owned()))
        .collect()
}

/// The columns of a route.
pub(super) fn cells(row: &RouteRow) -> [String; 8] {
    let of = |number: fn(&Traffic) -> String| {
        row.traffic
            .as_ref()
            .map_or_else(|| UNKNOWN.to_owned(), number)
    };
    let object = match &*row.kind {
        "" => "built-in".to_owned(),
        kind => format!("{kind} {}/{}", row.namespace, row.name),
    };
    let route = format!("{}{}", row.host, row.path);
    [
        of(|traffic| rate(traffic.requests_per_second)),
        of(|traffic| rate(traffic.client_errors_per_second)),
        of(|traffic| rate(traffic.server_errors_per_second)),
        of(|traffic| time(traffic.p50_seconds)),
        of(|traffic| time(traffic.p99_seconds)),
        format!("{}/{}", row.ready_endpoints, row.endpoints),
        plain(&route).into_owned(),
        plain(&object).into_owned(),
    ]
}

fn rate(number: f64) -> String {
    if number >= 100.0 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(
        || UNKNOWN.to_owned(),
        |share| format!("{:.1} %", share * 100.0),
    )
}

fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => UNKNOWN.to_owned(),
        Some(seconds) if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        Some(seconds) => format!("{seconds:.2} s"),
    }
}

fn bytes(bytes: u64) -> String {
    format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20))
}
