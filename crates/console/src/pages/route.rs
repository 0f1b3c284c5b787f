//! A route: what it is, what happens to its requests in order, and where they go.

use maud::{Markup, html};

use super::explain::steps;
use super::parts::{code_name, findings, label, linked_name, name, object, tag};
use super::routes::{kind, ready};
use super::traffic::{charts, figures};
use crate::address::Target;
use crate::chart::{Part, bar};
use crate::format::{count, counted, duration, seconds, share};
use crate::model::{Endpoint, ExplainForm, RouteBackend, RoutePage, RouteRow};

pub(super) fn content(page: &RoutePage) -> Markup {
    html! {
        (head(&page.route))
        div.stack {
            @if let Some(reason) = &page.route.closed {
                p.notice.error { "This route is closed and responds with 503: " bdi { (reason) } }
            }
            dl.figures #figures data-live { (figures(page.route.traffic.as_ref())) }
            (charts("charts", &page.recent, &html! {}))
            div.stack #backends data-live {
                @for backend in &page.backends { (self::backend(backend)) }
            }
            div.cols {
                section.card {
                    header {
                        h2 { "Steps of a request" }
                        @if let Some(explained) = &page.explained { a.more href=(explain(&explained.request.url)) { "Explain a request" } }
                    }
                    div.body {
                        @match &page.explained {
                            Some(explained) if explained.steps.is_empty() => p.note { "Nothing is configured: requests are forwarded as they are." },
                            Some(explained) => (steps(&explained.steps)),
                            None => p.note { "Its requests cannot be explained now: load the page again." },
                        }
                    }
                }
                (declaration(page))
            }
            @if !page.findings.is_empty() {
                section.card { header { h2 { "Findings about its object" } } (findings(&page.findings)) }
            }
        }
    }
}

fn explain(url: &str) -> crate::format::Link {
    let form = ExplainForm {
        url: url.to_owned(),
        ..ExplainForm::default()
    };
    Target::Explain(form).link()
}

fn head(route: &RouteRow) -> Markup {
    html! {
        div.head {
            nav.crumb aria-label="Path" {
                a href="/routes" { "Hosts and routes" } " / " (linked_name(&route.host, &Target::Host(route.host.clone()).link()))
            }
            h1 { bdi { (route.path) } }
            (label(kind(&route.path_type)))
            @if !route.conditions.is_empty() { p { (name(&route.conditions)) } }
            @if route.alternatives > 0 { (tag("info", "split")) }
        }
    }
}

fn declaration(page: &RoutePage) -> Markup {
    let route = &page.route;
    html! {
        section.card {
            header { h2 { "Declaration" } }
            div.body {
                dl.pairs {
                    dt { "Object" } dd { (object(&route.kind, &route.namespace, &route.name)) }
                    dt { "Host" } dd { bdi { (route.host) } }
                    dt { "Path" } dd { code { bdi { (route.path) } } " (" (kind(&route.path_type)) ")" }
                    @if !route.service.is_empty() { dt { "Service" } dd { (code_name(&route.service)) } }
                    dt { "Endpoints" } dd { (ready(route.ready_endpoints, route.endpoints)) " ready" }
                }
                @if !page.facts.is_empty() {
                    h3.facts { "Differs from the defaults" }
                    ul.facts { @for fact in &page.facts { li { code.break { bdi { (fact) } } } } }
                }
            }
        }
    }
}

fn backend(backend: &RouteBackend) -> Markup {
    let waiting = match backend.pending {
        0 => String::new(),
        pending => format!(
            ", {} of them waiting for a connection",
            count(pending as u64)
        ),
    };
    html! {
        section.card {
            header {
                h2 { (name(&backend.name)) }
                (tag(if backend.role == "canary" { "info" } else { "" }, &backend.role))
                p {
                    @if let Some(part) = backend.share { (share(Some(part))) " of the requests, " }
                    bdi { (backend.protocol) } ", " bdi { (backend.balance) }
                }
                span.more { (counted(backend.requests, "request")) " now" (waiting) }
            }
            @if backend.endpoints.is_empty() {
                p.empty { "There is no endpoint" @if !backend.problem.is_empty() { ": " bdi { (backend.problem) } } "." }
            } @else {
                (endpoints(&backend.endpoints))
            }
        }
    }
}

fn endpoints(endpoints: &[Endpoint]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Endpoints" {
            table {
                thead { tr { th { "Endpoint" } th { "State" } th.share { "Share" } th.n { "Connections" } th.n { "Average response time" } } }
                tbody { @for one in endpoints { (endpoint(one)) } }
            }
        }
    }
}

fn endpoint(endpoint: &Endpoint) -> Markup {
    let class = match endpoint.state.as_str() {
        "sound" => "good",
        "failing" | "starting" => "warning",
        _ => "bad",
    };
    html! {
        tr {
            td.mono { (name(&endpoint.address)) }
            td.what {
                (tag(class, &endpoint.state))
                @if class != "good" {
                    div.sub {
                        bdi { (endpoint.detail) }
                        @if let Some(time) = endpoint.left_out_seconds { ", for " (duration(time)) }
                    }
                }
            }
            td.share {
                @match endpoint.share {
                    Some(part) => div.meter.short { (bar(&[Part(1, part)])) span { (share(Some(part))) } },
                    None => span.sub { "by request" },
                }
            }
            td.n { (endpoint.connections) }
            td.n { (seconds(endpoint.average_seconds)) }
        }
    }
}
