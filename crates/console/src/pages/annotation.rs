//! What an annotation does, and which values it takes.

use maud::{Markup, html};

use super::parts::{prose, tag};
use crate::address::Target;
use crate::model::{AnnotationPage, FindingsFilter, Search};

pub(super) fn content(page: &AnnotationPage) -> Markup {
    let findings = Target::Findings(FindingsFilter {
        search: Search {
            q: page.name.clone(),
            ..Search::default()
        },
        severity: None,
    });
    let risk = match page.risk.as_str() {
        "High" | "Critical" => "bad",
        "Medium" => "warning",
        _ => "",
    };
    html! {
        div.head { span.crumb { "Annotation" } h1 { bdi { (page.name) } } }
        div.stack {
            section.card {
                div.body {
                    p.verdict { (prose(&page.description)) }
                }
                div.body {
                    dl.pairs {
                        dt { "Value" } dd { (prose(&page.value)) }
                        dt { "Default" } dd { @if page.default.is_empty() { "none" } @else { code { bdi { (page.default) } } } }
                        dt { "ConfigMap key" } dd { @match &page.config_map_key { Some(key) => code { bdi { (key) } }, None => "none" } }
                        @if !page.aliases.is_empty() { dt { "Other names" } dd { (prose(&page.aliases.join(", "))) } }
                        dt { "Invalid value" } dd { (prose(&page.invalid_value)) }
                        dt { "Support" } dd { (prose(&page.support)) }
                        dt { "Risk" } dd { (tag(risk, &page.risk)) }
                        @if !page.difference.is_empty() { dt { "Difference from ingress-nginx" } dd { (prose(&page.difference)) } }
                    }
                }
            }
            p { a href=(findings.link()) { "Findings about it" } }
        }
    }
}
