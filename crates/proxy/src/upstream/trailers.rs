//! Trailer fields that are not forwarded.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http_body::Frame;

/// Fields that frame, route, authenticate or control caching: they are meaningful only before the body, and a receiver
/// that merges them into the head gets a different message (RFC 9110 section 6.5.1).
static FORBIDDEN: [HeaderName; 26] = [
    header::AGE,
    header::AUTHORIZATION,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::EXPECT,
    header::EXPIRES,
    header::FORWARDED,
    header::HOST,
    header::LOCATION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    header::RETRY_AFTER,
    header::SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::VARY,
    header::WARNING,
    header::WWW_AUTHENTICATE,
];

/// Prefixes of fields that upstreams trust the proxy for.
const FORBIDDEN_PREFIXES: [&str; 4] = ["x-forwarded-", "x-original-", "x-real-", "ssl-client-"];

/// `frame`, without forbidden fields when it is the trailers.
pub(super) fn without_forbidden(mut frame: Frame<Bytes>) -> Frame<Bytes> {
    if let Some(trailers) = frame.trailers_mut() {
        for name in &FORBIDDEN {
            trailers.remove(name);
        }
        let spoofable = |name: &&HeaderName| {
            FORBIDDEN_PREFIXES
                .iter()
                .any(|prefix| name.as_str().starts_with(prefix))
        };
        let spoofable: Vec<HeaderName> = trailers.keys().filter(spoofable).cloned().collect();
        for name in spoofable {
            trailers.remove(name);
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use http::{HeaderMap, HeaderValue};

    #[test]
    fn only_harmless_trailers_pass() {
        let mut trailers = HeaderMap::new();
        for name in [
            "host",
            "authorization",
            "x-forwarded-for",
            "content-length",
            "grpc-status",
            "x-checksum",
        ] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let frame = without_forbidden(Frame::trailers(trailers));
        let mut left: Vec<_> = frame
            .trailers_ref()
            .unwrap()
            .keys()
            .map(HeaderName::as_str)
            .collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }
}
