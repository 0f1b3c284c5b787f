//! Properties of a request that the conditions of a route match, beside host and path.

use std::borrow::Cow;

use headgate_table::ConditionInput;
use http::request::Parts;
use http::{HeaderName, Method};
use percent_encoding::percent_decode_str;

/// The head of a request.
pub(crate) struct ConditionView<'r>(pub(crate) &'r Parts);

impl ConditionInput for ConditionView<'_> {
    fn method(&self) -> &Method {
        &self.0.method
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        let mut values = self.0.headers.get_all(name).iter();
        let first = values.next()?.as_bytes();
        let Some(second) = values.next() else {
            return Some(Cow::Borrowed(first));
        };
        let mut joined = first.to_vec();
        for value in std::iter::once(second).chain(values) {
            joined.extend_from_slice(b", ");
            joined.extend_from_slice(value.as_bytes());
        }
        Some(Cow::Owned(joined))
    }

    fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.0.uri.query()?;
        let mut pairs = query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let (_, value) = pairs.find(|(key, _)| decoded(key) == name)?;
        Some(decoded(value))
    }
}

/// Decodes percent-encoding; invalid UTF-8 becomes U+FFFD.
fn decoded(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use headgate_table::{Conditions, Pattern, TextMatch};
    use http::Request;

    use super::*;

    #[test]
    fn method_headers_and_query_must_all_hold() {
        let request = Request::get("/?debug=on&n%61me=J%c3%b6rg&flag")
            .header("x-user", "a")
            .header("x-user", "b")
            .body(())
            .unwrap();
        let (head, ()) = request.into_parts();
        let exact = |text: &str| TextMatch::Exact(text.into());
        let matching = Conditions {
            method: Some(Method::GET),
            headers: [(HeaderName::from_static("x-user"), exact("a, b"))].into(),
            query: [
                ("name".into(), exact("Jörg")),
                ("flag".into(), exact("")),
                (
                    "debug".into(),
                    TextMatch::Pattern(Pattern::new("^o").unwrap()),
                ),
            ]
            .into(),
        };
        let view = ConditionView(&head);
        assert!(matching.hold(&view));
        assert!(Conditions::default().hold(&view));
        for wrong in [
            Conditions {
                method: Some(Method::PUT),
                ..matching.clone()
            },
            Conditions {
                headers: [(HeaderName::from_static("x-user"), exact("a"))].into(),
                ..matching.clone()
            },
            Conditions {
                query: [("none".into(), exact(""))].into(),
                ..matching
            },
        ] {
            assert!(!wrong.hold(&view), "{wrong:?}");
        }
    }
}
