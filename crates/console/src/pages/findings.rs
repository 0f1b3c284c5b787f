//! What is wrong with objects.

use maud::{Markup, html};

use super::parts::{findings, pager, search_field};
use crate::address::{SEVERITIES, Target};
use crate::format::count;
use crate::model::{FindingsFilter, FindingsPage, Search};

pub(super) fn content(filter: &FindingsFilter, page: &FindingsPage) -> Markup {
    let rows = &page.findings;
    html! {
        div.head { h1 { "Findings" } p { "what is wrong with objects, what happens now, and what would be right" } }
        div.stack {
            (severities(filter, page))
            form.bar method="get" action="/findings" role="search" {
                (search_field(&filter.search.q, "object, field or message"))
                @if let Some(severity) = &filter.severity { input type="hidden" name="severity" value=(severity); }
                button.first { "Search" }
            }
            section.card {
                @if rows.items.is_empty() {
                    p.empty { "There is no such finding." }
                } @else {
                    (findings(&rows.items))
                }
                (pager(rows, "finding", &filter.search, |search| {
                    Target::Findings(FindingsFilter { search, ..filter.clone() }).link()
                }))
            }
        }
    }
}

fn severities(filter: &FindingsFilter, page: &FindingsPage) -> Markup {
    let counts = &page.counts;
    let all = counts.errors + counts.warnings + counts.infos;
    let numbers = [all, counts.errors, counts.warnings, counts.infos];
    let titles = ["All", "Errors", "Warnings", "Notes"];
    let current = filter.severity.as_deref().unwrap_or_default();
    let link = |severity: &str| {
        let severity = (!severity.is_empty()).then(|| severity.to_owned());
        let search = Search {
            offset: 0,
            ..filter.search.clone()
        };
        Target::Findings(FindingsFilter { search, severity }).link()
    };
    html! {
        nav.filters aria-label="Severity" {
            @for ((severity, title), number) in SEVERITIES.iter().zip(titles).zip(numbers) {
                a href=(link(severity)) aria-current=[(*severity == current).then_some("page")] { (title) " " (count(number as u64)) }
            }
        }
    }
}
