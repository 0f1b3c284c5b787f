//! The report of `headgate check` about the objects that are served.

use maud::{Markup, html};

use super::parts::{code_name, findings, name, pager, prose, search_field, tag};
use crate::address::Target;
use crate::chart::{Part, bar};
use crate::format::count;
use crate::model::{
    CheckNames, CheckPage, CheckSummary, CheckVerdict, CheckedIngress, FindingRow, Search,
};

/// Keys and titles of the lists of names, in their order.
const SECTIONS: [(&str, &str); 6] = [
    ("annotations", "Annotations"),
    ("settings", "ConfigMap keys"),
    ("classSettings", "Keys of the IngressClass"),
    ("flags", "Flags"),
    ("values", "Chart values"),
    ("gatewayApi", "Gateway API"),
];
/// Verdicts, the gravest first: key, words, class of the mark, colour of the bar.
const VERDICTS: [(&str, &str, &str, u8); 4] = [
    ("notSupported", "not supported", "bad", 5),
    ("differs", "differs", "warning", 4),
    ("noEffect", "no effect", "", 2),
    ("honoured", "honoured", "good", 3),
];

pub(super) fn content(search: &Search, page: &CheckPage) -> Markup {
    html! {
        div.head {
            h1 { "Check" }
            p { "what happens to every Ingress, annotation, key and flag" }
        }
        div.stack {
            section.card { div.body { p.verdict { (prose(&page.headline)) } (checked(page)) } }
            @if let Some(reason) = &page.closed { p.notice.error { "Every route responds with 503: " (prose(reason)) } }
            @for note in &page.notes { p.notice { (prose(note)) } }
            dl.figures { (figures(&page.summary)) }
            @for (key, title) in SECTIONS {
                @if let Some(names) = page.names.get(key).filter(|names| !names.verdicts.is_empty()) { (section(title, names)) }
            }
            @if page.summary.ingresses > 0 { (ingresses(search, page)) }
            (others("Other objects", &page.findings))
            (others("Of other classes", &page.other_class))
        }
    }
}

/// A part of the Ingresses, the gravest first.
fn ingresses(search: &Search, page: &CheckPage) -> Markup {
    let rows = &page.ingresses;
    let (grave, quiet): (Vec<_>, Vec<_>) = rows.items.iter().partition(|one| is_remarkable(one));
    html! {
        form.bar method="get" action="/check" role="search" {
            (search_field(&search.q, "namespace, name or annotation"))
            button.first { "Search" }
        }
        section.card {
            header { h2 { "Ingresses" } }
            @for one in grave { (ingress(one)) }
            @if !quiet.is_empty() {
                details {
                    summary { (count(quiet.len() as u64)) " with nothing to say" }
                    ul.names.padded { @for one in quiet { li { (name(&format!("{}/{}", one.namespace, one.name))) } } }
                }
            }
            (pager(rows, "Ingress", search, |search| Target::Check(search).link()))
        }
    }
}

fn checked(page: &CheckPage) -> Markup {
    html! {
        p.note {
            "Checked: " (prose(&page.source))
            @if let Some(controller) = &page.controller { "; " (prose(controller)) }
            @if let Some(settings) = &page.config_map { "; ConfigMap " (prose(settings)) }
        }
    }
}

fn figures(summary: &CheckSummary) -> Markup {
    let rows = [
        ("Ingresses", summary.ingresses, ""),
        ("Behave the same", summary.same, "is-good"),
        ("Behave differently", summary.different, "is-warning"),
        ("Not supported in full", summary.unsupported, "is-bad"),
        ("Of other classes", summary.other_class, ""),
        ("Errors", summary.errors, "is-bad"),
        ("Warnings", summary.warnings, "is-warning"),
    ];
    html! {
        @for (title, number, class) in rows {
            div { dt { (title) } dd class=[(number > 0 && !class.is_empty()).then_some(class)] { (count(number as u64)) } }
        }
    }
}

fn section(title: &str, names: &CheckNames) -> Markup {
    let all: usize = names.totals.values().sum();
    let total = |key: &str| names.totals.get(key).copied().unwrap_or_default();
    let parts: Vec<Part> = VERDICTS
        .iter()
        .map(|(key, _, _, colour)| Part(*colour, total(key) as f64 / all.max(1) as f64))
        .collect();
    let (grave, honoured): (Vec<_>, Vec<_>) = names
        .verdicts
        .iter()
        .partition(|one| one.verdict != "honoured" || !one.reason.is_empty());
    html! {
        section.card {
            header {
                h2 { (title) }
                div.tags { @for (key, words, class, _) in VERDICTS { @if total(key) > 0 { (tag(class, &format!("{} {words}", total(key)))) } } }
            }
            div.body { (bar(&parts)) }
            @if !grave.is_empty() { (table(title, &grave)) }
            @if !honoured.is_empty() {
                details { summary { (count(honoured.len() as u64)) " honoured" } (table(title, &honoured)) }
            }
        }
    }
}

fn table(title: &str, rows: &[&CheckVerdict]) -> Markup {
    let has_numbers = rows.iter().any(|row| row.ingresses.is_some());
    html! {
        div.scroll tabindex="0" role="region" aria-label=(title) {
            table {
                thead { tr { th { "Name" } th.fit { "Verdict" } th { "Why" } @if has_numbers { th.n { "Ingresses" } } } }
                tbody {
                    @for row in rows {
                        tr {
                            td { (code_name(&row.name)) }
                            td.fit { (verdict(&row.verdict)) }
                            td.what { (prose(&row.reason)) }
                            @if has_numbers { td.n { @if let Some(number) = row.ingresses { (count(number as u64)) } } }
                        }
                    }
                }
            }
        }
    }
}

fn verdict(key: &str) -> Markup {
    let known = VERDICTS.iter().find(|(one, ..)| *one == key);
    known.map_or_else(|| tag("", key), |(_, words, class, _)| tag(class, words))
}

fn is_remarkable(ingress: &CheckedIngress) -> bool {
    let is_grave = |finding: &FindingRow| finding.severity != "info";
    !ingress.same || ingress.refused || ingress.findings.iter().any(is_grave)
}

fn ingress(ingress: &CheckedIngress) -> Markup {
    let notable: Vec<_> = ingress
        .annotations
        .iter()
        .filter(|one| !one.reason.is_empty())
        .collect();
    let (class, state) = match ingress {
        one if one.refused => ("bad", "refused"),
        one if one.same => ("good", "behaves the same"),
        _ => ("warning", "behaves differently"),
    };
    html! {
        details open {
            summary { (name(&format!("{}/{}", ingress.namespace, ingress.name))) " " (tag(class, state)) }
            @if !notable.is_empty() {
                ul.verdicts {
                    @for one in notable {
                        li {
                            (verdict(&one.verdict)) " "
                            a href=(Target::Annotation(one.name.clone()).link()) { code { bdi { (one.name) } } }
                            ": " (prose(&one.reason))
                        }
                    }
                }
            }
            @if !ingress.findings.is_empty() { (findings(&ingress.findings)) }
        }
    }
}

fn others(title: &str, rows: &[FindingRow]) -> Markup {
    html! {
        @if !rows.is_empty() {
            section.card { header { h2 { (title) } } (findings(rows)) }
        }
    }
}
