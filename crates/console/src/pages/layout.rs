//! The frame of all pages.

use maud::{DOCTYPE, Markup, html};

use super::parts::icon;
use crate::address::{Range, Target};
use crate::assets::{Asset, ICON, LIVE, PAGE, STYLE};
use crate::model::{ExplainForm, FindingsFilter, RouteFilter, Search, TapFilter};

/// A document around the content of a page.
pub(super) struct Layout<'a> {
    pub(super) title: &'a str,
    /// The page; `None` for one that is in no list.
    pub(super) current: Option<&'a Target>,
    /// It changes by itself.
    pub(super) is_live: bool,
    /// Those that other pages do not need.
    pub(super) scripts: &'a [&'a Asset],
}

impl Layout<'_> {
    pub(super) fn page(&self, content: &Markup) -> Markup {
        document(
            self.title,
            &html! {
                a.skip href="#main" { "Skip to the content" }
                div.frame {
                    div.side {
                        a.brand href="/" { (logo()) span { "Headgate" } }
                        nav aria-label="Pages" {
                            ul {
                                @for (name, symbol, target) in pages() {
                                    @let current = self.current.is_some_and(|one| section(one) == section(&target));
                                    li {
                                        a href=(target.link()) aria-current=[current.then_some("page")] { (icon(symbol)) (name) }
                                    }
                                }
                            }
                        }
                        @if self.is_live {
                            div.foot {
                                span #live-state .tag role="status" { "not live" }
                                button #live-pause .small type="button" hidden { "Pause" }
                            }
                        }
                    }
                    main #main tabindex="-1" { (content) }
                }
            },
            self.is_live
                .then_some(&LIVE)
                .into_iter()
                .chain(self.scripts.iter().copied()),
        )
    }
}

/// A document without a frame.
pub(super) fn document<'a>(
    title: &str,
    body: &Markup,
    scripts: impl Iterator<Item = &'a Asset>,
) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Headgate" }
                link rel="icon" href=(ICON.link()) type=(ICON.kind);
                link rel="stylesheet" href=(STYLE.link());
                script type="module" src=(PAGE.link()) {}
                @for script in scripts {
                    script type="module" src=(script.link()) {}
                }
            }
            body { (body) }
        }
    }
}

/// Why there is nothing.
pub(crate) fn failure(reason: &str) -> Markup {
    html! {
        div.stack {
            p.notice.error role="alert" { (sentence(reason)) "." }
            p { a href="/" { "Go to the overview" } }
        }
    }
}

fn sentence(reason: &str) -> String {
    let mut chars = reason.trim_end_matches('.').chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

fn pages() -> [(&'static str, &'static str, Target); 8] {
    [
        ("Overview", "overview", Target::Overview(Range::Recent)),
        (
            "Hosts and routes",
            "routes",
            Target::Routes(RouteFilter::default()),
        ),
        ("Canaries", "canaries", Target::Canaries(Search::default())),
        (
            "Findings",
            "findings",
            Target::Findings(FindingsFilter::default()),
        ),
        (
            "Certificates",
            "certificates",
            Target::Certificates(Search::default()),
        ),
        (
            "Explain",
            "explain",
            Target::Explain(ExplainForm::default()),
        ),
        ("Live requests", "live", Target::Live(TapFilter::default())),
        ("Check", "check", Target::Check(Search::default())),
    ]
}

/// The number of the page in the list that another page belongs to.
fn section(target: &Target) -> usize {
    match target {
        Target::Overview(_) => 0,
        Target::Routes(_) | Target::Route(_) | Target::Hosts(_) | Target::Host(_) => 1,
        Target::Canaries(_) => 2,
        Target::Findings(_) | Target::Annotation(_) => 3,
        Target::Certificates(_) => 4,
        Target::Explain(_) => 5,
        Target::Live(_) => 6,
        Target::Check(_) => 7,
    }
}

/// A gate in a channel.
pub(super) fn logo() -> Markup {
    html! {
        svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" {
            path d="M3 2v16M17 2v16M3 6h14M6.5 6v6M10 6v6M13.5 6v6M3 16c1.2 1 2.3 1 3.5 0s2.3-1 3.5 0 2.3 1 3.5 0 2.3-1 3.5 0" {}
        }
    }
}
