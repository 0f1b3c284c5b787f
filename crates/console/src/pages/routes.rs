//! Routes of all hosts.

use maud::{Markup, html};

use super::parts::{code_name, field, label, linked_name, name, object, pager, search_field, tag};
use super::traffic::{cells, heads};
use crate::address::{SORTS, Target};
use crate::format::count;
use crate::model::{Page, RouteFilter, RouteRow, RouteSort, Search};

pub(super) fn content(filter: &RouteFilter, page: &Page<RouteRow>) -> Markup {
    let is_grouped = filter.sort == RouteSort::Host;
    html! {
        div.head { h1 { "Hosts and routes" } }
        div.stack {
            (tabs(&Target::Routes(RouteFilter::default())))
            (form(filter))
            section.card #list data-live {
                @if page.items.is_empty() {
                    p.empty { "No route has these words in its host, path, object or Service." }
                } @else {
                    (table(&page.items, is_grouped))
                }
                (pager(page, "route", &filter.search, |search| {
                    Target::Routes(RouteFilter { search, ..filter.clone() }).link()
                }))
            }
        }
    }
}

/// The two lists of this page.
pub(super) fn tabs(current: &Target) -> Markup {
    let lists = [
        ("Routes", Target::Routes(RouteFilter::default())),
        ("Hosts", Target::Hosts(Search::default())),
    ];
    html! {
        nav.filters aria-label="Lists" {
            @for (title, target) in lists {
                a href=(target.link()) aria-current=[(target == *current).then_some("page")] { (title) }
            }
        }
    }
}

fn form(filter: &RouteFilter) -> Markup {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    html! {
        form.bar method="get" action="/routes" role="search" {
            (search_field(&filter.search.q, "host, path, namespace, object or Service"))
            (field("Namespace", "namespace", &text(&filter.namespace), "any"))
            (field("Ingress or route object", "object", &text(&filter.object), "any"))
            (field("Service", "service", &text(&filter.service), "any"))
            label {
                "Order"
                select name="sort" {
                    @for (word, sort) in SORTS {
                        option value=(word) selected[sort == filter.sort] {
                            @match sort {
                                RouteSort::Host => "by host",
                                RouteSort::Requests => "most requests",
                                RouteSort::Errors => "most errors",
                                RouteSort::Latency => "slowest",
                            }
                        }
                    }
                }
            }
            @if let Some(host) = &filter.host { input type="hidden" name="host" value=(host); }
            button.first { "Search" }
        }
    }
}

/// Routes with their traffic, below their hosts if they are in the order of hosts.
pub(super) fn table(rows: &[RouteRow], is_grouped: bool) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Routes" {
            table {
                thead {
                    tr {
                        @if !is_grouped { th { "Host" } }
                        th { "Path" } th { "Object" } th { "Service" } (heads()) th.n { "Endpoints" }
                    }
                }
                @for group in rows.chunk_by(|one, next| one.host == next.host || !is_grouped) {
                    tbody {
                        @if is_grouped { @if let Some(first) = group.first() {
                            tr.group { th colspan="9" scope="rowgroup" { (linked_name(&first.host, &Target::Host(first.host.clone()).link())) } }
                        } }
                        @for route in group { (row(route, is_grouped)) }
                    }
                }
            }
        }
    }
}

fn row(route: &RouteRow, is_grouped: bool) -> Markup {
    html! {
        tr {
            @if !is_grouped {
                td { (linked_name(&route.host, &Target::Host(route.host.clone()).link())) }
            }
            td {
                div.tags {
                    (linked_name(&route.path, &Target::Route(route.id.clone()).link()))
                    @if route.path_type != "Prefix" { (label(kind(&route.path_type))) }
                    @if !route.conditions.is_empty() { (name(&route.conditions)) }
                    @if let Some(reason) = &route.closed { span title=(reason) { (tag("bad", "closed")) } }
                    @if route.alternatives > 0 { (tag("info", "split")) }
                }
            }
            td { (object(&route.kind, &route.namespace, &route.name)) }
            td { @if route.service.is_empty() { span.sub { "none" } } @else { (code_name(&route.service)) } }
            (cells(route.traffic.as_ref()))
            td.n { (ready(route.ready_endpoints, route.endpoints)) }
        }
    }
}

/// How many endpoints get requests.
pub(super) fn ready(ready: usize, all: usize) -> Markup {
    html! {
        span class=[(ready < all || all == 0).then_some(if ready == 0 { "is-bad" } else { "is-warning" })] {
            (count(ready as u64)) @if ready < all { " of " (count(all as u64)) }
        }
    }
}

/// How a path is compared, in a word.
pub(super) fn kind(path_type: &str) -> &str {
    match path_type {
        "Exact" => "exact",
        "Prefix" => "prefix",
        "RegularExpression" => "regex",
        other => other,
    }
}
