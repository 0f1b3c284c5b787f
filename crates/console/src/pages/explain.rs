//! What would happen to a request: the decision as a tree, and the losers with their reasons.

use maud::{Markup, html};

use super::parts::{findings, icon, label, name, origins, prose, status, tag};
use crate::format::count;
use crate::model::{
    ExplainForm, Explained, ExplainedBackend, ExplainedLoser, ExplainedOutcome, ExplainedStep,
};

/// The methods to choose from; another may be in a link.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// While the form is empty.
pub(super) fn form_alone(form: &ExplainForm) -> Markup {
    html! {
        (head(false))
        div.stack { (self::form(form)) }
    }
}

/// What is wrong with the form.
pub(super) fn wrong(form: &ExplainForm, reason: &str) -> Markup {
    html! {
        (head(false))
        div.stack {
            (self::form(form))
            p.notice.error role="alert" { "This request cannot be explained: " bdi { (reason) } }
        }
    }
}

/// The explanation of a request.
pub(super) fn content(form: &ExplainForm, explained: &Explained) -> Markup {
    html! {
        (head(true))
        div.stack {
            (self::form(form))
            div.cols.wide-left {
                section.card {
                    header { h2 { "Decision" } span.more { "table generation " (count(explained.generation)) } }
                    div.body { (decision(explained)) }
                }
                div.stack {
                    (losers(&explained.losers))
                    @if !explained.findings.is_empty() {
                        section.card { header { h2 { "Findings about these objects" } } (findings(&explained.findings)) }
                    }
                }
            }
        }
    }
}

fn head(can_be_shared: bool) -> Markup {
    html! {
        div.head {
            h1 { "Explain" }
            p { "what would happen to a request now, and why; nothing is sent" }
            @if can_be_shared { button.small type="button" data-copy hidden { "Copy the link" } }
        }
    }
}

fn form(form: &ExplainForm) -> Markup {
    let method = if form.method.is_empty() {
        "GET"
    } else {
        &form.method
    };
    let is_other = !METHODS.contains(&method);
    let headers = form.header.join("\n");
    html! {
        form.card method="get" action="/explain" {
            div.body.fields {
                label {
                    "Method"
                    select name="method" {
                        @for one in METHODS { option selected[one == method] { (one) } }
                        @if is_other { option selected { (method) } }
                    }
                }
                label {
                    "URL"
                    input name="url" value=(form.url) required placeholder="https://shop.example/cart" autocomplete="off" spellcheck="false";
                }
                label.from-client {
                    "Client address"
                    input name="from" value=(form.from) placeholder="127.0.0.1" autocomplete="off" spellcheck="false";
                }
                label.all {
                    "Header fields, one a line"
                    textarea name="header" rows="2" placeholder="X-Canary: always" spellcheck="false" { (headers) }
                }
                div.all.end {
                    button.first { "Explain" }
                    span.note { "The link of the result holds everything above. Leave passwords out." }
                }
            }
        }
    }
}

fn decision(explained: &Explained) -> Markup {
    html! {
        ol.steps {
            (request(explained))
            (place(explained))
            @for step in &explained.steps { (self::step(step)) }
            (outcome(explained))
        }
    }
}

fn node(class: &str, symbol: &str, content: &Markup) -> Markup {
    html! {
        li {
            span.mark.(class) { (icon(symbol)) }
            div { (content) }
        }
    }
}

fn request(explained: &Explained) -> Markup {
    let request = &explained.request;
    node(
        "",
        "in",
        &html! {
            div.title { h3 { "Request" } span.sub { "from " bdi { (request.client) } } }
            p { @if let Some(method) = &request.method { bdi { (method) } " " } code.break { bdi { (request.url) } } }
            @if !request.path.is_empty() { p.sub { "path that is compared: " code.break { bdi { (request.path) } } } }
            @for header in &request.headers { p.sub { code.break { bdi { (header) } } } }
        },
    )
}

fn place(explained: &Explained) -> Markup {
    html! {
        @if let Some(listener) = &explained.listener {
            (node("info", "passes", &html! {
                div.title { h3 { "Listener" } span { bdi { (listener.scheme) } " on " span.mono { bdi { (listener.address) } } } }
                @if let Some(object) = &listener.object {
                    p.sub { bdi { (listener.name.as_deref().unwrap_or_default()) } " of " bdi { (object) } }
                }
            }))
        }
        @if let Some(host) = &explained.host {
            (node("info", "passes", &html! {
                div.title { h3 { "Host" } (name(&host.name)) @if host.regex { (label("regex mode")) } }
                p { (prose(&host.because)) }
                p.sub { "requested: " bdi { (host.requested) } }
                @if let Some(certificate) = &host.certificate { p.sub { "certificate: " bdi { (certificate) } } }
            }))
        }
        @if let Some(entry) = &explained.entry {
            (node("info", "passes", &html! {
                div.title { h3 { "Entry" } bdi { (entry.key) " of " (entry.object) } }
                p.sub { "Service " bdi { (entry.service) } }
            }))
        }
        @if let Some(route) = &explained.route {
            (node("info", "passes", &html! {
                div.title { h3 { "Rule" } code.break { bdi { (route.path) } } (label(super::routes::kind(&route.path_type))) }
                p.sub { bdi { (route.object) } @if let Some(service) = &route.service { ", Service " bdi { (service) } } }
            }))
        }
    }
}

/// The steps of a route in the order in which they are decided.
pub(super) fn steps(steps: &[ExplainedStep]) -> Markup {
    html! {
        ol.steps { @for step in steps { (self::step(step)) } }
    }
}

fn step(step: &ExplainedStep) -> Markup {
    let class = match step.result.as_str() {
        "passes" => "good",
        "depends" => "warning",
        _ => "bad",
    };
    node(
        class,
        &step.result,
        &html! {
            div.title { h3 { bdi { (step.name) } } span.sub { bdi { (step.result) } } }
            @if !step.detail.is_empty() { p { (prose(&step.detail)) } }
            (origins(&step.from))
        },
    )
}

fn outcome(explained: &Explained) -> Markup {
    let (class, words) = match &explained.outcome {
        ExplainedOutcome::NotReceived { because } => {
            ("bad", html! { "Not received: " (prose(because)) })
        }
        ExplainedOutcome::Forwarded { target } => (
            "good",
            html! { "Forwarded as " code.break { bdi { (target) } } },
        ),
        ExplainedOutcome::Response {
            status: code,
            location,
        } => (
            if *code < 400 { "info" } else { "bad" },
            html! {
                "Responds with " (status(*code))
                @if let Some(location) = location { " to " code.break { bdi { (location) } } }
            },
        ),
        ExplainedOutcome::Closed => (
            "bad",
            html! { "The connection is closed without a response" },
        ),
        ExplainedOutcome::PassedThrough => ("good", html! { "Passed through undecrypted" }),
        ExplainedOutcome::Streamed => ("good", html! { "Forwarded as it is" }),
    };
    node(
        class,
        "out",
        &html! {
            p.verdict { (words) }
            @if !explained.backends.is_empty() {
                ul.backends { @for one in &explained.backends { (backend(one)) } }
            }
        },
    )
}

fn backend(backend: &ExplainedBackend) -> Markup {
    html! {
        li {
            div.title { (name(&backend.name)) (tag(if backend.role == "canary" { "info" } else { "" }, &backend.role)) }
            p { (prose(&backend.because)) }
            p.sub {
                @if backend.endpoints.is_empty() {
                    "no endpoints"
                } @else {
                    @for (at, endpoint) in backend.endpoints.iter().enumerate() {
                        @if at > 0 { ", " }
                        span.mono { bdi { (endpoint) } }
                    }
                    ": " bdi { (backend.balance) }
                }
            }
            @for trouble in &backend.troubles { p.is-warning { (prose(trouble)) } }
            (origins(&backend.from))
        }
    }
}

fn losers(losers: &[ExplainedLoser]) -> Markup {
    html! {
        section.card {
            header { h2 { "What did not get it" } p { "and why" } }
            @if losers.is_empty() {
                p.empty { "Nothing else could have served it." }
            } @else {
                div.scroll tabindex="0" role="region" aria-label="What did not get the request" {
                    table {
                        thead { tr { th { "Candidate" } th { "Why not" } } }
                        tbody {
                            @for loser in losers {
                                tr {
                                    td {
                                        (name(&loser.name))
                                        div.sub { bdi { (loser.kind) } @if !loser.object.is_empty() { " of " bdi { (loser.object) } } }
                                    }
                                    td.what { (prose(&loser.because)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
