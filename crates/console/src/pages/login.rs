//! The form for the token.

use maud::{DOCTYPE, Markup, html};

use super::layout::{document, logo};
use crate::address::Range;
use crate::address::Target;

/// The form; `next` is the page that follows.
pub(crate) fn login(next: &str, is_wrong: bool) -> Markup {
    document(
        "Log in",
        &html! {
            main.login {
                a.brand href=(Target::Overview(Range::Recent).link()) { (logo()) span { "Headgate" } }
                form.card method="post" action="/login" {
                    h1 { "Log in" }
                    @if is_wrong { p.notice.error role="alert" { "This is not the token." } }
                    input type="hidden" name="next" value=(next);
                    label {
                        "Token"
                        input type="password" name="token" required autocomplete="current-password" autofocus;
                    }
                    button.first { "Log in" }
                    p.note { "The token of the console is in its Secret. The session lasts for 12 hours." }
                }
            }
        },
        std::iter::empty(),
    )
}

/// Loads the same page again, this time from a page of this site.
pub(crate) fn reload() -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content="0"; title { "Headgate" } }
            body {}
        }
    }
}
