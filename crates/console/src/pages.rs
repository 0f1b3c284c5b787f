//! The pages: from their data to HTML, in types, so that no text of an object becomes markup. One file a page.

mod annotation;
mod canaries;
mod certificates;
mod check;
mod explain;
mod findings;
mod hosts;
mod layout;
mod live;
mod login;
mod overview;
mod parts;
mod route;
mod routes;
mod traffic;

#[cfg(test)]
mod tests;

use http::StatusCode;
use maud::{Markup, PreEscaped, html};

use self::layout::Layout;
pub(crate) use self::layout::failure;
pub(crate) use self::live::row as tap_row;
pub(crate) use self::login::{login, reload};
use crate::address::Target;
use crate::assets::TAP;
use crate::content::Content;

/// A page as a document.
pub(crate) fn page(target: &Target, content: &Content) -> Markup {
    let layout = Layout {
        title: &title(target, content),
        current: Some(target),
        is_live: is_live(content),
        scripts: match content {
            Content::Live => &[&TAP],
            _ => &[],
        },
    };
    layout.page(&self::content(target, content))
}

/// A page in two parts, before and after its content, for one that takes long to make.
pub(crate) fn around(target: &Target) -> (String, String) {
    let marker = "<!--content-->";
    let layout = Layout {
        title: &title(target, &Content::Live),
        current: Some(target),
        is_live: false,
        scripts: &[],
    };
    let page = layout.page(&PreEscaped(marker.to_owned())).into_string();
    let (before, after) = page.split_once(marker).unwrap_or((&page, ""));
    (before.to_owned(), after.to_owned())
}

/// What a page shows within its frame; it is sent again when it has changed.
pub(crate) fn content(target: &Target, content: &Content) -> Markup {
    match (target, content) {
        (Target::Overview(range), Content::Overview(overview)) => {
            overview::content(*range, overview)
        }
        (Target::Routes(filter), Content::Routes(rows)) => routes::content(filter, rows),
        (_, Content::Route(page)) => route::content(page),
        (Target::Hosts(search), Content::Hosts(rows)) => hosts::list(search, rows),
        (_, Content::Host(page)) => hosts::content(page),
        (Target::Canaries(search), Content::Canaries(rows)) => canaries::content(search, rows),
        (Target::Findings(filter), Content::Findings(page)) => findings::content(filter, page),
        (Target::Certificates(search), Content::Certificates(page)) => {
            certificates::content(search, page)
        }
        (Target::Explain(form), Content::Explain(None)) => explain::form_alone(form),
        (Target::Explain(form), Content::Explain(Some(explained))) => {
            explain::content(form, explained)
        }
        (Target::Explain(form), Content::Wrong(reason)) => explain::wrong(form, reason),
        (Target::Live(filter), Content::Wrong(reason)) => live::content(filter, Some(reason)),
        (Target::Live(filter), _) => live::content(filter, None),
        (Target::Check(search), Content::Check(page)) => check::content(search, page),
        (_, Content::Annotation(page)) => annotation::content(page),
        (_, other) => failure(other.wrong().unwrap_or("there is nothing to show")),
    }
}

/// Instead of a page.
pub(crate) fn refused(status: StatusCode, reason: &str) -> Markup {
    let title = status.canonical_reason().unwrap_or("Error");
    let layout = Layout {
        title,
        current: None,
        is_live: false,
        scripts: &[],
    };
    layout.page(&html! {
        div.head { h1 { (status.as_str()) " " (title) } }
        (failure(reason))
    })
}

fn is_live(content: &Content) -> bool {
    matches!(
        content,
        Content::Overview(_)
            | Content::Routes(_)
            | Content::Route(_)
            | Content::Hosts(_)
            | Content::Host(_)
            | Content::Canaries(_)
            | Content::Live
    )
}

fn title(target: &Target, content: &Content) -> String {
    match (target, content) {
        (Target::Overview(_), _) => "Overview".to_owned(),
        (Target::Routes(_), _) => "Routes".to_owned(),
        (_, Content::Route(page)) => format!("{}{}", page.route.host, page.route.path),
        (Target::Route(_), _) => "Route".to_owned(),
        (Target::Hosts(_), _) => "Hosts".to_owned(),
        (Target::Host(name) | Target::Annotation(name), _) => name.clone(),
        (Target::Canaries(_), _) => "Canaries".to_owned(),
        (Target::Findings(_), _) => "Findings".to_owned(),
        (Target::Certificates(_), _) => "Certificates".to_owned(),
        (Target::Explain(form), _) if !form.url.is_empty() => format!("Explain {}", form.url),
        (Target::Explain(_), _) => "Explain".to_owned(),
        (Target::Live(_), _) => "Live requests".to_owned(),
        (Target::Check(_), _) => "Check".to_owned(),
    }
}
