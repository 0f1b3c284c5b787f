//! Step 2: requests that no host serves, by their `User-Agent` and `Referer` (behaviour.md 5.1).

use std::borrow::Cow;

use headgate_table::{BlockedTexts, Settings};
use http::header::{REFERER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::respond::LocalResponse;

/// Whether a request with these fields may be served.
///
/// # Errors
/// 403 for one that is blocked.
pub(super) fn check(settings: &Settings, headers: &HeaderMap) -> Result<(), LocalResponse> {
    let Some(blocked) = &settings.blocked else {
        return Ok(());
    };
    if contains(&blocked.user_agents, headers, &USER_AGENT)
        || contains(&blocked.referers, headers, &REFERER)
    {
        return Err(LocalResponse::Page(StatusCode::FORBIDDEN));
    }
    Ok(())
}

fn contains(texts: &BlockedTexts, headers: &HeaderMap, name: &HeaderName) -> bool {
    !texts.is_empty() && texts.contains(&joined(headers, name))
}

/// The lines of a field as one text, as `$http_NAME` has it; empty without any.
fn joined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Cow<'h, [u8]> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let first = Cow::Borrowed(lines.next().unwrap_or_default());
    lines.fold(first, |joined, line| {
        Cow::Owned([&*joined, line].join(&b", "[..]))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use std::sync::Arc;

    use headgate_table::{BlockList, Pattern};

    use super::*;

    fn is_blocked(settings: &Settings, lines: &[(HeaderName, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_static(value));
        }
        check(settings, &headers).is_err()
    }

    #[test]
    fn every_line_of_the_two_fields_counts() {
        let mut blocked = BlockList::default();
        blocked.user_agents.add_text("curl");
        let spam = Pattern::new("spam").unwrap();
        blocked.referers.add_pattern("~spam", spam);
        let settings = Settings {
            blocked: Some(Arc::new(blocked)),
            ..Settings::default()
        };
        for (lines, expected) in [
            (&[][..], false),
            (&[(USER_AGENT, "Curl")], true),
            (&[(USER_AGENT, "spam")], false),
            (&[(REFERER, "curl")], false),
            (&[(REFERER, "http://a/"), (REFERER, "http://spam/")], true),
            (&[(USER_AGENT, "curl"), (USER_AGENT, "curl")], false),
        ] {
            assert_eq!(is_blocked(&settings, lines), expected, "{lines:?}");
        }
        assert!(!is_blocked(&Settings::default(), &[(USER_AGENT, "curl")]));
    }
}
