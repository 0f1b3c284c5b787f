//! Parts that several pages have.

use maud::{Markup, html};

use crate::address::Target;
use crate::format::{Link, count, counted};
use crate::model::{FindingRow, Page, Search};

/// A name from an object or a request: text on one line, whose direction affects nothing around it.
pub(super) fn name(text: &str) -> Markup {
    html! { span.name title=(text) { bdi { (text) } } }
}

/// The same in the font of code.
pub(super) fn code_name(text: &str) -> Markup {
    html! { span.name.mono title=(text) { bdi { (text) } } }
}

/// The same as a link.
pub(super) fn linked_name(text: &str, link: &Link) -> Markup {
    html! { a.name href=(link) title=(text) { bdi { (text) } } }
}

/// Longer text from an object, which may have several lines.
pub(super) fn prose(text: &str) -> Markup {
    html! { bdi { (text) } }
}

/// A mark with a word; its class is `good`, `warning`, `bad`, `info` or empty.
pub(super) fn tag(class: &str, word: &str) -> Markup {
    html! { span.tag.(class) { bdi { (word) } } }
}

/// A mark that is only a word.
pub(super) fn label(word: &str) -> Markup {
    html! { span.tag.plain { bdi { (word) } } }
}

/// The severity of a finding.
pub(super) fn severity(severity: &str) -> Markup {
    tag(
        match severity {
            "error" => "bad",
            "warning" => "warning",
            _ => "info",
        },
        severity,
    )
}

/// An HTTP status.
pub(super) fn status(status: u16) -> Markup {
    let class = match status {
        100..400 => "good",
        400..500 => "warning",
        _ => "bad",
    };
    tag(class, &status.to_string())
}

/// An object such as `Ingress shop/web`: the kind, and the name.
pub(super) fn object(kind: &str, namespace: &str, object: &str) -> Markup {
    html! {
        @if kind.is_empty() {
            span.sub { "built-in" }
        } @else {
            span.sub { bdi { (kind) } } " " (name(&format!("{namespace}/{object}")))
        }
    }
}

/// Where a configuration comes from, such as `canary-weight of Ingress shop/web`; the annotation leads to its page.
pub(super) fn origins(from: &[String]) -> Markup {
    html! {
        @if !from.is_empty() {
            ul.from {
                @for one in from { li { (origin(one)) } }
            }
        }
    }
}

fn origin(from: &str) -> Markup {
    let Some((key, object)) = from.split_once(" of ") else {
        return html! { "from " bdi { (from) } };
    };
    html! {
        "from "
        @if object.starts_with("Ingress ") {
            a href=(Target::Annotation(key.to_owned()).link()) { code { bdi { (key) } } }
        } @else {
            code { bdi { (key) } }
        }
        " of " bdi { (object) }
    }
}

/// Findings below each other.
pub(super) fn findings(findings: &[FindingRow]) -> Markup {
    html! {
        ul.findings { @for one in findings { (finding(one)) } }
    }
}

fn finding(finding: &FindingRow) -> Markup {
    html! {
        li {
            div { (severity(&finding.severity)) }
            div {
                (name(&finding.object))
                @match &finding.annotation {
                    Some(annotation) => {
                        div title=(finding.field) { (code_name(annotation)) }
                    }
                    None => div { (code_name(&finding.field)) },
                }
            }
            div.what {
                (prose(&finding.message))
                @if let Some(annotation) = &finding.annotation {
                    div {
                        a href=(Target::Annotation(annotation.clone()).link()) { "What " bdi { (annotation) } " takes" }
                    }
                }
            }
        }
    }
}

/// The part of a list that is shown, and links to the others.
pub(super) fn pager<T>(
    page: &Page<T>,
    noun: &str,
    search: &Search,
    link: impl Fn(Search) -> Link,
) -> Markup {
    let (first, last) = (page.offset + 1, page.offset + page.items.len());
    let at = |offset| {
        link(Search {
            offset,
            ..search.clone()
        })
    };
    let previous = page.offset.saturating_sub(page.limit);
    let is_last = last >= page.total;
    html! {
        div.pager {
            @if page.items.is_empty() {
                span { "None of " (counted(page.total, noun)) }
            } @else {
                span { (count(first as u64)) "–" (count(last as u64)) " of " (counted(page.total, noun)) }
            }
            @if page.offset > 0 || !is_last {
                nav aria-label="Parts of the list" {
                    @if page.offset > 0 {
                        a.button href=(at(previous)) rel="prev" { "Previous" }
                    } @else {
                        span.button.off aria-disabled="true" { "Previous" }
                    }
                    @if is_last {
                        span.button.off aria-disabled="true" { "Next" }
                    } @else {
                        a.button href=(at(page.offset + page.limit)) rel="next" { "Next" }
                    }
                }
            }
        }
    }
}

/// The field for words to look for.
pub(super) fn search_field(q: &str, hint: &str) -> Markup {
    html! {
        label.grow {
            "Search"
            input type="search" name="q" value=(q) placeholder=(hint) autocomplete="off" spellcheck="false";
        }
    }
}

/// A field for text.
pub(super) fn field(title: &str, name: &str, value: &str, hint: &str) -> Markup {
    html! {
        label {
            (title)
            input name=(name) value=(value) placeholder=(hint) autocomplete="off" spellcheck="false";
        }
    }
}

/// A symbol of 16 pixels, for the eye only.
pub(super) fn icon(symbol: &str) -> Markup {
    let path = match symbol {
        "overview" => "M2 9h4v5H2zM10 2h4v12h-4zM6 6h4v8H6z",
        "routes" => "M2 3h5M2 8h12M2 13h5M10 3h4M10 13h4M7 3c3 0 0 5 3 5M7 13c3 0 0-5 3-5",
        "canaries" => "M2 8h4c3 0 3-4 6-4h2M6 8c3 0 3 4 6 4h2M12 2l2 2-2 2M12 10l2 2-2 2",
        "findings" => "M8 2l6.5 11.5h-13zM8 6.5v3M8 11.6v.1",
        "certificates" => "M4 7V5a4 4 0 0 1 8 0v2M3 7h10v7H3zM8 10v1.6",
        "explain" => {
            "M3 2.5v8.5a2 2 0 0 0 2 2h3M3 6h5M11 6a1.6 1.6 0 1 0 .1 0M11 13a1.6 1.6 0 1 0 .1 0"
        }
        "live" => "M1.5 8h3l2-5 3.5 10 2-5h2.5",
        "check" => "M3 2.5h10v11H3zM5.5 8l2 2 3.5-4",
        "passes" => "M3.5 8.5l3 3 6-7",
        "responds" => "M12 4v4a2 2 0 0 1-2 2H4M7 7l-3 3 3 3",
        "depends" => "M6 6a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1V10M8 12.4v.1",
        "in" => "M2 8h8M7 5l3 3-3 3M13 3v10",
        "out" => "M3 3v10M6 8h8M11 5l3 3-3 3",
        _ => "M4 8h8",
    };
    html! {
        svg width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" {
            path d=(path) {}
        }
    }
}
