//! Bounds on the head of an HTTP/2 request. The bounds of HTTP/1 are held by the scanner, in bytes as received.

use headgate_table::ClientLimits;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request};

use super::scan::Fault;

/// What is wrong with a head. The library bounds its total already, after the protocol's own way of counting.
pub(super) fn fault<B>(request: &Request<B>, limits: &ClientLimits) -> Option<Fault> {
    let target = request.uri().path_and_query().map(PathAndQuery::as_str);
    if target.is_some_and(|target| target.len() > limits.request_line) {
        return Some(Fault::LineTooLong);
    }
    // RFC 9113 section 8.3.1; the library makes do without a path before the query.
    if target.is_some_and(|target| target.starts_with('?')) {
        return Some(Fault::Malformed);
    }
    // Counts every value, so that crumbs of a cookie are fields as the client sent them.
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

    fn judged(target: &str, fields: &[(&str, &str)]) -> Option<Fault> {
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
        assert_eq!(judged("/2345678901234567?", &[]), Some(Fault::LineTooLong));
        assert_eq!(judged("/234567890123456", &[("x", "12345678901")]), None);
        assert_eq!(
            judged("/", &[("x", "123456789012")]),
            Some(Fault::HeadTooLarge)
        );
        assert_eq!(
            judged(
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
        assert_eq!(judged("/", &crumbs), Some(Fault::HeadTooLarge));
    }

    #[test]
    fn a_query_needs_a_path() {
        assert_eq!(judged("?x", &[]), Some(Fault::Malformed));
        assert_eq!(judged("/?x", &[]), None);
    }

    #[test]
    fn padding() {
        for value in [" x", "x ", "\tx", "x\t", " "] {
            assert_eq!(
                judged("/", &[("x", value)]),
                Some(Fault::Malformed),
                "{value:?}"
            );
        }
        assert_eq!(judged("/", &[("x", "a b"), ("y", "")]), None);
    }
}
