//! Hosts, and one of them.

use maud::{Markup, html};

use super::parts::{linked_name, name, pager, search_field, tag};
use super::routes::{self, tabs};
use super::traffic::{cells, charts, figures, heads};
use crate::address::Target;
use crate::format::count;
use crate::model::{HostPage, HostRow, Page, RouteFilter, Search};

pub(super) fn list(search: &Search, page: &Page<HostRow>) -> Markup {
    html! {
        div.head { h1 { "Hosts and routes" } }
        div.stack {
            (tabs(&Target::Hosts(Search::default())))
            form.bar method="get" action="/hosts" role="search" {
                (search_field(&search.q, "host or alias"))
                button.first { "Search" }
            }
            section.card #list data-live {
                @if page.items.is_empty() {
                    p.empty { "No host has these words in its names." }
                } @else {
                    div.scroll tabindex="0" role="region" aria-label="Hosts" {
                        table {
                            thead { tr { th { "Host" } th { "TLS" } th.n { "Routes" } (heads()) } }
                            tbody { @for host in &page.items { (row(host)) } }
                        }
                    }
                }
                (pager(page, "host", search, |search| Target::Hosts(search).link()))
            }
        }
    }
}

fn row(host: &HostRow) -> Markup {
    html! {
        tr {
            td {
                (linked_name(&host.name, &Target::Host(host.name.clone()).link()))
                @if host.name == "_" { div.sub { "every unknown name" } }
                @for alias in &host.aliases { div.sub { (name(alias)) } }
                @if let Some(target) = &host.redirects_to { div.sub { "redirects to " (name(target)) } }
            }
            td { (tls(host)) }
            td.n { (count(host.routes as u64)) }
            (cells(host.traffic.as_ref()))
        }
    }
}

fn tls(host: &HostRow) -> Markup {
    html! {
        @match host.tls.as_str() {
            "own" => (name(host.certificate.as_deref().unwrap_or_default())),
            "default" => (tag("warning", "default certificate")),
            _ => span.sub { "none" },
        }
    }
}

pub(super) fn content(page: &HostPage) -> Markup {
    let host = &page.host;
    let all = Target::Routes(RouteFilter {
        host: Some(host.name.clone()),
        ..RouteFilter::default()
    });
    html! {
        div.head {
            nav.crumb aria-label="Path" { a href="/routes" { "Hosts and routes" } }
            h1 { bdi { (host.name) } }
            @if host.name == "_" { p { "every unknown name" } }
        }
        div.stack {
            dl.figures #figures data-live { (figures(host.traffic.as_ref())) }
            (charts("charts", &page.hour, &html! {}))
            section.card {
                header { h2 { "Host" } }
                div.body {
                    dl.pairs {
                        dt { "TLS" } dd { (tls(host)) }
                        @if !host.aliases.is_empty() {
                            dt { "Other names" } dd { @for (at, alias) in host.aliases.iter().enumerate() { @if at > 0 { ", " } bdi { (alias) } } }
                        }
                        @if !host.listeners.is_empty() {
                            dt { "Listeners" } dd { @for (at, one) in host.listeners.iter().enumerate() { @if at > 0 { ", " } bdi { (one) } } }
                        }
                        @if let Some(target) = &host.redirects_to { dt { "Redirects to" } dd { bdi { (target) } } }
                    }
                }
            }
            section.card #list data-live {
                header { h2 { "Routes" } p { "in the order in which they are tried" } a.more href=(all.link()) { "Search them" } }
                @if page.routes.items.is_empty() {
                    p.empty { "It has no route." }
                } @else {
                    (routes::table(&page.routes.items, true))
                }
                (pager(&page.routes, "route", &Search::default(), |search| {
                    Target::Routes(RouteFilter { host: Some(host.name.clone()), search, ..RouteFilter::default() }).link()
                }))
            }
        }
    }
}
