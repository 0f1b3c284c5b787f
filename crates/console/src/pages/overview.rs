//! State and traffic of the process.

use maud::{Markup, html};

use super::parts::{linked_name, name, tag};
use super::traffic::{cells, charts, figures, heads};
use crate::address::{Range, Target};
use crate::chart::{Part, bar};
use crate::format::{UNKNOWN, bytes, count, counted, day, duration, rate, seconds, share};
use crate::model::{
    Cause, CertificateRow, Counts, FindingsFilter, Overview, RouteFilter, RouteRow, RouteSort,
    WorkerLoad,
};

/// Days before the end of a certificate from which on it is marked.
const SOON: i64 = 14 * 24 * 60 * 60;
/// Most causes of each kind.
const MOST_CAUSES: usize = 6;

pub(super) fn content(range: Range, overview: &Overview) -> Markup {
    let series = match range {
        Range::Recent => &overview.recent,
        Range::Hour => &overview.hour,
    };
    html! {
        (head(overview))
        div.stack {
            (notices(overview))
            dl.figures #figures data-live {
                (figures(Some(&overview.traffic)))
                (load(overview))
            }
            (charts("charts", series, &ranges(range)))
            div.cols.three.facts {
                (causes(overview))
                (workers(&overview.workers))
                (configuration(overview))
            }
            div.cols.wide-left {
                (busiest(&overview.busiest))
                div.stack {
                    (findings(&overview.findings))
                    (certificates(&overview.certificates))
                }
            }
        }
    }
}

fn head(overview: &Overview) -> Markup {
    let instance = &overview.instance;
    let up = overview
        .now_unix_seconds
        .saturating_sub(instance.started_unix_seconds);
    let class = if overview.phase == "serving" {
        "good"
    } else {
        "warning"
    };
    html! {
        div.head #head data-live {
            h1 { "Overview" }
            (tag(class, &overview.phase))
            p {
                "headgate " bdi { (instance.command) } " " bdi { (instance.version) }
                @if !instance.pod.is_empty() {
                    ", Pod " bdi { (instance.namespace) "/" (instance.pod) }
                }
                ", up " (duration(up))
            }
        }
    }
}

fn notices(overview: &Overview) -> Markup {
    let failing = overview
        .cluster
        .as_ref()
        .filter(|cluster| !cluster.is_healthy);
    html! {
        div.stack #notices data-live {
            @if overview.table.is_stale {
                p.notice.warning { "The objects are those of the cache: the API server has not responded since the start." }
            }
            @if let Some(cluster) = failing {
                p.notice.error {
                    "The API server cannot be watched. What was read last stays in service."
                    @for problem in &cluster.problems { " " bdi { (problem) } "." }
                }
            }
            @if overview.phase == "draining" {
                p.notice.warning { "This process stops: requests in flight finish, new connections go elsewhere." }
            }
        }
    }
}

fn load(overview: &Overview) -> Markup {
    let (connections, process) = (&overview.connections, &overview.process);
    let workers = counted(overview.workers.len(), "worker");
    html! {
        div {
            dt { "Connections" }
            dd { (count(connections.active)) }
            dd.sub { (rate(connections.accepted_per_second)) " new a second" }
        }
        div {
            dt { "Processors in use" }
            dd { (format!("{:.2}", process.cpus)) }
            dd.sub { (workers) }
        }
        div {
            dt { "Memory" }
            dd { (bytes(process.resident_bytes)) }
            dd.sub {
                @match process.memory_limit_bytes {
                    Some(limit) => { "of " (bytes(limit)) }
                    None => { "no limit" }
                }
            }
        }
    }
}

fn ranges(range: Range) -> Markup {
    html! {
        nav.filters.more aria-label="Time" {
            @for (one, title) in [(Range::Recent, "10 minutes"), (Range::Hour, "1 hour")] {
                a href=(Target::Overview(one).link()) aria-current=[(one == range).then_some("page")] { (title) }
            }
        }
    }
}

fn causes(overview: &Overview) -> Markup {
    let all = || overview.errors.iter().chain(&overview.refusals);
    let most = all().map(|cause| cause.per_second).fold(0.0, f64::max);
    html! {
        section.card #causes data-live {
            header { h2 { "Errors and refusals by cause" } }
            div.body {
                @if all().next().is_none() {
                    p.note { "The proxy made no error response and refused nothing." }
                }
                @for (title, colour, causes) in [("Error responses", 5, &overview.errors), ("Refused by a limit", 4, &overview.refusals)] {
                    @if !causes.is_empty() {
                        h3.sub { (title) }
                        @for one in causes.iter().take(MOST_CAUSES) { (cause(one, colour, most)) }
                    }
                }
            }
        }
    }
}

fn cause(cause: &Cause, colour: u8, most: f64) -> Markup {
    let part = if most > 0.0 {
        cause.per_second / most
    } else {
        0.0
    };
    html! {
        div.meter.named {
            (name(&cause.name))
            (bar(&[Part(colour, part)]))
            span title=(format!("{} since the start", count(cause.total))) { (rate(cause.per_second)) "/s" }
        }
    }
}

fn workers(workers: &[WorkerLoad]) -> Markup {
    let most = workers
        .iter()
        .map(|worker| worker.requests_per_second)
        .fold(0.0, f64::max);
    html! {
        section.card #workers data-live {
            header { h2 { "Workers" } p { "requests a second" } }
            div.body {
                @for worker in workers {
                    @let part = if most > 0.0 { worker.requests_per_second / most } else { 0.0 };
                    div.meter {
                        span { (worker.index) }
                        (bar(&[Part(1, part)]))
                        span title=(format!("{}, {} of the requests", counted(worker.connections as usize, "connection"), share(worker.share))) {
                            (rate(worker.requests_per_second)) "/s"
                        }
                    }
                }
            }
        }
    }
}

fn configuration(overview: &Overview) -> Markup {
    let (table, now) = (&overview.table, overview.now_unix_seconds);
    let since = table
        .published_unix_seconds
        .map(|at| duration(now.saturating_sub(at)));
    let propagation = &table.propagation;
    html! {
        section.card #configuration data-live {
            header { h2 { "Configuration" } }
            div.body {
                dl.pairs {
                    dt { "Generation" } dd { (count(table.generation)) }
                    dt { "Last change" } dd { @match since { Some(since) => { (since) " ago" } None => { (UNKNOWN) } } }
                    dt { "Change to service" }
                    dd {
                        "last " (seconds(propagation.last_seconds)) ", p50 " (seconds(propagation.p50_seconds))
                        ", p99 " (seconds(propagation.p99_seconds))
                    }
                    dt { "Serves" } dd { (counted(table.hosts, "host")) ", " (counted(table.routes, "route")) }
                    dt { "Endpoints" }
                    dd {
                        (count(table.endpoints as u64)) " of " (counted(table.upstreams, "upstream"))
                        @if table.left_out_endpoints > 0 {
                            ", " span.is-bad { (count(table.left_out_endpoints as u64)) " left out" }
                        }
                    }
                    @if let Some(cluster) = &overview.cluster {
                        dt { "API server" }
                        dd { (tag(if cluster.is_healthy { "good" } else { "bad" }, if cluster.is_healthy { "watched" } else { "not reached" })) " " bdi { (cluster.server) } }
                        dt { "Leader" }
                        dd { bdi { (cluster.leader.as_deref().unwrap_or(UNKNOWN)) } @if cluster.role == "leader" { ", this process" } }
                    }
                    dt { "Listens on" }
                    dd {
                        @for address in &overview.addresses { div { bdi { (address.name) } " " span.mono { bdi { (address.address) } } } }
                    }
                    dt { "Open files" } dd { (count(overview.process.open_files)) " of " (count(overview.process.max_open_files)) }
                }
            }
        }
    }
}

fn busiest(routes: &[RouteRow]) -> Markup {
    let all = Target::Routes(RouteFilter {
        sort: RouteSort::Requests,
        ..RouteFilter::default()
    });
    html! {
        section.card #busiest data-live {
            header { h2 { "Busiest routes" } a.more href=(all.link()) { "All routes" } }
            @if routes.is_empty() {
                p.empty { "There is no route yet." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="Busiest routes" {
                    table {
                        thead { tr { th { "Route" } (heads()) } }
                        tbody {
                            @for route in routes {
                                tr {
                                    td { (linked_name(&format!("{}{}", route.host, route.path), &Target::Route(route.id.clone()).link())) }
                                    (cells(route.traffic.as_ref()))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn findings(counts: &Counts) -> Markup {
    let of = |severity: &str| {
        Target::Findings(FindingsFilter {
            severity: Some(severity.to_owned()),
            ..FindingsFilter::default()
        })
    };
    let rows = [
        ("error", "bad", counts.errors, "error"),
        ("warning", "warning", counts.warnings, "warning"),
        ("info", "info", counts.infos, "note"),
    ];
    html! {
        section.card #findings data-live {
            header { h2 { "Findings" } a.more href=(Target::Findings(FindingsFilter::default()).link()) { "All findings" } }
            div.body {
                div.tags {
                    @for (severity, class, number, noun) in rows {
                        a href=(of(severity).link()) { (tag(if number > 0 { class } else { "" }, &counted(number, noun))) }
                    }
                }
            }
        }
    }
}

fn certificates(rows: &[CertificateRow]) -> Markup {
    html! {
        section.card #certificates data-live {
            header { h2 { "Certificates that expire next" } a.more href="/certificates" { "All certificates" } }
            @if rows.is_empty() {
                p.empty { "No certificate is in service." }
            } @else {
                div.scroll {
                    table {
                        thead.unseen { tr { th { "Certificate" } th { "Expires" } } }
                        tbody {
                            @for row in rows {
                                tr { td { (name(&row.source)) } td.n { (expiry(row)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// When a certificate ends, marked when that is soon.
pub(super) fn expiry(row: &CertificateRow) -> Markup {
    let left = row.expires_in_seconds;
    let (class, words) = match u64::try_from(left) {
        Err(_) => (
            "bad",
            format!("expired {} ago", duration(left.unsigned_abs())),
        ),
        Ok(seconds) if left < SOON => ("warning", format!("in {}", duration(seconds))),
        Ok(seconds) => (
            "",
            format!("in {}", counted((seconds / 86_400) as usize, "day")),
        ),
    };
    html! { span title=(day(row.expires_unix_seconds)) { (tag(class, &words)) } }
}
