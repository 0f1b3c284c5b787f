//! Canaries: what was configured beside what happens.

use maud::{Markup, html};

use super::parts::{linked_name, name, pager, search_field, tag};
use super::routes::ready;
use super::traffic::{mark, per_second};
use crate::address::Target;
use crate::chart::{Part, bar};
use crate::format::{count, duration, seconds, share};
use crate::model::{CanaryBackend, CanaryRow, Page, Search};

/// Much slower than the first backend: this many times.
const SLOWER: f64 = 1.5;

pub(super) fn content(search: &Search, page: &Page<CanaryRow>) -> Markup {
    html! {
        div.head { h1 { "Canaries" } p { "configured against actual shares, both sides beside each other" } }
        div.stack {
            form.bar method="get" action="/canaries" role="search" {
                (search_field(&search.q, "host, path, object or Service"))
                button.first { "Search" }
            }
            div.stack #list data-live {
                @if page.items.is_empty() {
                    section.card { p.empty { "No route has a canary or another split." } }
                }
                @for row in &page.items { (canary(row)) }
                @if page.total > page.items.len() {
                    section.card { (pager(page, "split", search, |search| Target::Canaries(search).link())) }
                }
            }
        }
    }
}

fn canary(row: &CanaryRow) -> Markup {
    let route = Target::Route(row.route.clone()).link();
    let configured: Vec<Part> = parts(row, |side| Some(side.configured_share));
    let actual: Vec<Part> = parts(row, |side| side.actual_share);
    let has_requests = row.backends.iter().any(|side| side.actual_share.is_some());
    html! {
        section.card {
            header {
                h2 { (linked_name(&format!("{}{}", row.host, row.path), &route)) }
                p { bdi { (row.kind) } " " bdi { (row.namespace) "/" (row.name) } }
                span.more { "last " (duration(row.window_seconds)) }
            }
            div.body {
                div.meter.sides-of { span { "Configured" } (bar(&configured)) span { (shares(row, |side| Some(side.configured_share))) } }
                div.meter.sides-of {
                    span { "Actual" } (bar(&actual))
                    span { @if has_requests { (shares(row, |side| side.actual_share)) } @else { "no requests" } }
                }
            }
            div.sides {
                @for (at, side) in row.backends.iter().enumerate() { (self::side(side, at, row.backends.first())) }
            }
        }
    }
}

fn parts(row: &CanaryRow, share: fn(&CanaryBackend) -> Option<f64>) -> Vec<Part> {
    let sides = row.backends.iter().enumerate();
    sides
        .map(|(at, side)| Part(colour(at), share(side).unwrap_or_default()))
        .collect()
}

fn shares(row: &CanaryRow, of: fn(&CanaryBackend) -> Option<f64>) -> String {
    let sides = row.backends.iter().map(|side| share(of(side)));
    sides.collect::<Vec<_>>().join(" : ")
}

/// The colours that tell sides apart, in turn.
fn colour(at: usize) -> u8 {
    [1, 2, 3, 4][at % 4]
}

fn side(side: &CanaryBackend, at: usize, first: Option<&CanaryBackend>) -> Markup {
    let traffic = &side.traffic.clone().unwrap_or_default();
    let base = first.and_then(|first| first.traffic.as_ref()?.p99_seconds);
    let is_slower = at > 0
        && base
            .zip(traffic.p99_seconds)
            .is_some_and(|(base, own)| own > base * SLOWER);
    html! {
        section {
            div.tags {
                svg.key viewBox="0 0 10 10" aria-hidden="true" { rect class=(format!("f{}", colour(at))) width="10" height="10" rx="3" {} }
                h3 { (name(&side.name)) }
                (tag(if side.role == "canary" { "info" } else { "" }, &side.role))
            }
            dl.numbers {
                div { dt { "Configured" } dd { (share(Some(side.configured_share))) } }
                div { dt { "Actual" } dd { (share(side.actual_share)) } }
                div { dt { "Requests/s" } dd { (per_second(traffic)) } }
                div { dt { "4xx" } dd { (share(traffic.client_error_share)) } }
                div { dt { "5xx" } dd class=[mark(traffic.server_error_share)] { (share(traffic.server_error_share)) } }
                div { dt { "p50" } dd { (seconds(traffic.p50_seconds)) } }
                div { dt { "p99" } dd class=[is_slower.then_some("is-warning")] { (seconds(traffic.p99_seconds)) } }
                div { dt { "Endpoints" } dd { (ready(side.ready_endpoints, side.endpoints)) } }
            }
            p.sub { @match &side.traffic { Some(traffic) => { (count(traffic.requests)) " requests measured" } None => "not kept: others are busier" } }
            @if !side.rules.is_empty() {
                ul.from { @for rule in &side.rules { li { bdi { (rule) } } } }
            }
        }
    }
}
