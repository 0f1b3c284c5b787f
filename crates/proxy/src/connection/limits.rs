//! Bounds on the head of an HTTP/2 request. Those of HTTP/1 are enforced where it is read, in bytes as received.

use headgate_table::ClientLimits;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request};

use super::fault::Fault;

/// The fault of a head. The library bounds its total already, counted as in RFC 9113 section 6.5.2.
pub(super) fn fault<B>(request: &Request<B>, limits: &ClientLimits) -> Option<Fault> {
    let target = request.uri().path_and_query().map(PathAndQuery::as_str);
    if target.is_some_and(|target| target.len() > limits.request_line) {
        return Some(Fault::LineTooLong);
    }
    // RFC 9113 section 8.3.1; the library accepts a query without a path.
    if target.is_some_and(|target| target.starts_with('?')) {
        return Some(Fault::Malformed);
    }
    // Counts every value, so that a cookie in several fields counts as the client sent it.
    if request.headers().len() > limits.header_count {
        return Some(Fault::HeadTooLarge);
    }
    for (name, value) in request.headers() {
        if name.as_str().len() + value.len() > limits.header_field {
            return Some(Fault::HeadTooLarge);
        }
        if padded(value) {
            return Some(Fault::Malformed);
        }
    }
    None
}

/// Blanks at either end make a field malformed (RFC 9113 section 8.2.1); the library lets them through.
fn padded(value: &HeaderValue) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    blank(value.as_bytes().first()) || blank(value.as_bytes().last())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn checked(target: &str, fields: &[(&str, &str)]) -> Option<Fault> {
        let limits = ClientLimits {
            request_line: 16,
            header_field: 12,
            header_count: 3,
            ..ClientLimits::default()
        };
        let mut request = Request::builder().uri(format!("https://a.example{target}"));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        fault(&request.body(()).unwrap(), &limits)
    }

    #[test]
    fn bounds() {
        assert_eq!(checked("/2345678901234567?", &[]), Some(Fault::LineTooLong));
        assert_eq!(checked("/234567890123456", &[("x", "12345678901")]), None);
        assert_eq!(
            checked("/", &[("x", "123456789012")]),
            Some(Fault::HeadTooLarge)
        );
        assert_eq!(
            checked(
                "/",
                &[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]
            ),
            None
        );
        let crumbs = [
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("cookie", "c=3"),
            ("x", ""),
        ];
        assert_eq!(checked("/", &crumbs), Some(Fault::HeadTooLarge));
    }

    #[test]
    fn a_query_needs_a_path() {
        assert_eq!(checked("?x", &[]), Some(Fault::Malformed));
        assert_eq!(checked("/?x", &[]), None);
    }

    #[test]
    fn padding() {
        for value in [" x", "x ", "\tx", "x\t", " "] {
            assert_eq!(
                checked("/", &[("x", value)]),
                Some(Fault::Malformed),
                "{value:?}"
            );
        }
        assert_eq!(checked("/", &[("x", "a b"), ("y", "")]), None);
    }
}
