//! Requests as they end.

use maud::{Markup, html};

use super::parts::{code_name, field, linked_name, name, status};
use crate::address::Target;
use crate::format::{clock, seconds};
use crate::model::{ExplainForm, TapEvent, TapFilter};

/// The filter, and a table that is filled by scripts.
pub(super) fn content(filter: &TapFilter, wrong: Option<&str>) -> Markup {
    html! {
        div.head { h1 { "Live requests" } p { "a sample of the requests of this process, each as it ends" } }
        div.stack {
            (form(filter))
            @if let Some(reason) = wrong {
                p.notice.error role="alert" { "Requests cannot be shown: " bdi { (reason) } }
            } @else {
                noscript { p.notice.warning { "Requests are shown by scripts, which are off. Without them: curl -H 'Accept: application/x-ndjson' with this address." } }
                section.card {
                    div.scroll.tall tabindex="0" role="region" aria-label="Requests" {
                        table.tap {
                            thead {
                                tr {
                                    th { "Ended, UTC" } th { "Status" } th { "Request" } th.n { "Time" } th { "Client" } th { "Object" }
                                    th { "Endpoint" } th { span.unseen { "Explain" } }
                                }
                            }
                            tbody #tap-rows {}
                        }
                        p #tap-empty .empty { "Waiting for a request that the filter selects." }
                    }
                    div.pager {
                        span { span #tap-shown { "0" } " shown" }
                        span { span #tap-lost { "0" } " left out, beyond the rate or while this page was slow" }
                    }
                }
            }
        }
    }
}

fn form(filter: &TapFilter) -> Markup {
    html! {
        form.bar method="get" action="/live" role="search" {
            (field("Host contains", "host", &filter.host, "any"))
            (field("Path begins with", "path", &filter.path, "any"))
            (field("Status", "status", &filter.status, "404 or 5xx"))
            (field("Client", "client", &filter.client, "address or network"))
            (field("Ingress or route object", "ingress", &filter.ingress, "namespace/name"))
            label.tick { input type="checkbox" name="queries" value="shown" checked[filter.show_query]; "show the values of queries" }
            button.first { "Filter" }
        }
    }
}

/// A request as a row of the table.
pub(crate) fn row(event: &TapEvent) -> Markup {
    let place = if event.authority.is_empty() {
        &event.host
    } else {
        &event.authority
    };
    let url = format!("{}://{place}{}", event.scheme, event.target);
    let explain = Target::Explain(ExplainForm {
        url,
        method: event.method.clone(),
        from: event.client.clone(),
        header: Vec::new(),
    });
    html! {
        tr.live-row {
            td.fit.mono { (clock(event.end_unix_seconds)) }
            td.fit { (status(event.status)) }
            td {
                div.request { span.sub { bdi { (event.method) } } " " (code_name(&format!("{place}{}", event.target))) }
                @if !event.reason.is_empty() { div.is-bad { (name(&event.reason)) } }
            }
            td.n { (seconds(Some(event.duration_seconds))) }
            td.fit.mono { bdi { (event.client) } }
            td {
                @match &event.route {
                    Some(route) => (linked_name(&event.object, &Target::Route(route.clone()).link())),
                    None => span.sub { "no route" },
                }
                @if !event.canary.is_empty() { div.sub { "canary " (name(&event.canary)) } }
            }
            td {
                @if !event.endpoint.is_empty() {
                    span.mono { (name(&event.endpoint)) }
                    @if event.attempts > 1 { div.sub { (event.attempts) " attempts" } }
                }
            }
            td.fit { a href=(explain.link()) { "Explain" } }
        }
    }
}
