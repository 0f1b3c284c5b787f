//! Traffic as figures, cells and charts.

use maud::{Markup, html};

use crate::chart::{Chart, Line};
use crate::format::{UNKNOWN, duration, rate, seconds, share};
use crate::model::{Series, Traffic};

/// From this share of server errors on, a number is marked.
const MUCH: f64 = 0.01;

/// The heads of [`cells`].
pub(super) fn heads() -> Markup {
    html! {
        th.n { "Requests/s" }
        th.n { "4xx" }
        th.n { "5xx" }
        th.n { abbr title="Half of the requests took at most this time" { "p50" } }
        th.n { abbr title="99 of 100 requests took at most this time" { "p99" } }
    }
}

/// Rate, errors and latencies in a row of a table; nothing is known of what was not kept.
pub(super) fn cells(traffic: Option<&Traffic>) -> Markup {
    let traffic = &traffic.cloned().unwrap_or_default();
    html! {
        td.n { (per_second(traffic)) }
        td.n { (share(traffic.client_error_share)) }
        td.n { span class=[mark(traffic.server_error_share)] { (share(traffic.server_error_share)) } }
        td.n { (seconds(traffic.p50_seconds)) }
        td.n { (seconds(traffic.p99_seconds)) }
    }
}

/// The same as figures.
pub(super) fn figures(traffic: Option<&Traffic>) -> Markup {
    let is_kept = traffic.is_some();
    let traffic = &traffic.cloned().unwrap_or_default();
    html! {
        div {
            dt { "Requests a second" }
            dd { (per_second(traffic)) }
            dd.sub { @if is_kept { (window(traffic)) } @else { "not kept: others are busier" } }
        }
        div {
            dt { "Client errors, 4xx" }
            dd { (share(traffic.client_error_share)) }
            dd.sub { (rate(traffic.client_errors_per_second)) " a second" }
        }
        div {
            dt { "Server errors, 5xx" }
            dd { span class=[mark(traffic.server_error_share)] { (share(traffic.server_error_share)) } }
            dd.sub { (rate(traffic.server_errors_per_second)) " a second" }
        }
        div {
            dt { "Latency" }
            dd { (seconds(traffic.p50_seconds)) " " small { "p50" } }
            dd.sub { "p99 " (seconds(traffic.p99_seconds)) }
        }
    }
}

/// Requests a second, if they were measured.
pub(super) fn per_second(traffic: &Traffic) -> String {
    match traffic.window_seconds {
        0 => UNKNOWN.to_owned(),
        _ => rate(traffic.requests_per_second),
    }
}

/// The class of a share of server errors, if it stands out.
pub(super) fn mark(share: Option<f64>) -> Option<&'static str> {
    share.filter(|share| *share >= MUCH).map(|_| "is-bad")
}

fn window(traffic: &Traffic) -> String {
    match traffic.window_seconds {
        0 => "not measured yet".to_owned(),
        seconds => format!("over the last {}", duration(seconds)),
    }
}

/// Requests and errors over time.
pub(super) fn requests_chart(series: &Series) -> Markup {
    const LINES: [Line; 3] = [
        Line {
            name: "all requests",
            colour: 1,
            is_filled: true,
            value: |point| point.requests_per_second,
        },
        Line {
            name: "4xx",
            colour: 4,
            is_filled: false,
            value: |point| point.client_errors_per_second,
        },
        Line {
            name: "5xx",
            colour: 5,
            is_filled: false,
            value: |point| point.server_errors_per_second,
        },
    ];
    let chart = Chart {
        title: "Requests and errors a second",
        series,
        lines: &LINES,
        text: |value| format!("{}/s", rate(value)),
    };
    html! { (chart) }
}

/// Latencies over time.
pub(super) fn latency_chart(series: &Series) -> Markup {
    const LINES: [Line; 2] = [
        Line {
            name: "p50",
            colour: 3,
            is_filled: false,
            value: |point| point.p50_seconds,
        },
        Line {
            name: "p99",
            colour: 2,
            is_filled: false,
            value: |point| point.p99_seconds,
        },
    ];
    let chart = Chart {
        title: "Latency",
        series,
        lines: &LINES,
        text: |value| seconds(Some(value)),
    };
    html! { (chart) }
}

/// Both charts beside each other.
pub(super) fn charts(id: &str, series: &Series, more: &Markup) -> Markup {
    let time = duration(series.step_seconds * series.points.len() as u64);
    html! {
        div.cols #(id) data-live {
            section.card {
                header { h2 { "Requests" } p { "last " (time) ", UTC" } (more) }
                div.body { (requests_chart(series)) }
            }
            section.card {
                header { h2 { "Latency" } p { "last " (time) ", UTC" } }
                div.body { (latency_chart(series)) }
            }
        }
    }
}
