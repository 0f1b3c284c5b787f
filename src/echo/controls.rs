//! Query parameters that control the response.
//!
//! | parameter | response |
//! |---|---|
//! | `status=NNN` | this status, 200 to 599 |
//! | `bytes=N` | a body of N bytes, at most 1 GiB, in place of the JSON |
//! | `header=Name:Value` | this header field; repeatable; replaces a field of that name |
//! | `delay=MS` | sent after this many milliseconds, at most 60 seconds |
//!
//! Names and values are percent-decoded (a `+` is a plus). Other parameters, and values that are not valid for a control,
//! such as `status=open`, have no effect and are echoed like any query.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::percent_decode_str;

const MAX_BYTES: u64 = 1 << 30;
const MAX_DELAY: Duration = Duration::from_secs(60);

/// The controls of one request.
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Status in place of 200.
    pub(super) status: Option<StatusCode>,
    /// Length of the body in place of the JSON, in bytes.
    pub(super) bytes: Option<u64>,
    /// Fields to add to the response.
    pub(super) headers: HeaderMap,
    /// Time to wait before responding.
    pub(super) delay: Duration,
}

impl Controls {
    /// Parses a query without its `?`. Of a repeated `status`, `bytes` or `delay`, the last counts.
    pub(super) fn parse(query: &str) -> Self {
        let mut controls = Self::default();
        for pair in query.split('&') {
            if let Some((key, value)) = pair.split_once('=') {
                controls.apply(&decode(key), &decode(value));
            }
        }
        controls
    }

    fn apply(&mut self, key: &str, value: &str) {
        match key {
            "status" => self.status = status(value).or(self.status),
            "bytes" => self.bytes = number(value).map(|n| n.min(MAX_BYTES)).or(self.bytes),
            "delay" => {
                if let Some(millis) = number(value) {
                    self.delay = Duration::from_millis(millis).min(MAX_DELAY);
                }
            }
            "header" => {
                if let Some((name, value)) = header(value) {
                    self.headers.append(name, value);
                }
            }
            _ => {}
        }
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    percent_decode_str(text).decode_utf8_lossy()
}

fn number(value: &str) -> Option<u64> {
    value.parse().ok()
}

/// A final status: an interim one would leave the request without a response.
fn status(value: &str) -> Option<StatusCode> {
    let code = value
        .parse()
        .ok()
        .filter(|code| (200..=599).contains(code))?;
    StatusCode::from_u16(code).ok()
}

/// The framing of the response belongs to the server and cannot be set.
fn header(value: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = value.split_once(':')?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
        return None;
    }
    Some((name, HeaderValue::from_str(value.trim()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_every_control() {
        let controls =
            Controls::parse("status=503&bytes=10&delay=250&header=X-A%3A%20b&header=x-a:c+d&q=1");
        assert_eq!(controls.status, Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(controls.bytes, Some(10));
        assert_eq!(controls.delay, Duration::from_millis(250));
        let values: Vec<_> = controls.headers.get_all("x-a").iter().collect();
        assert_eq!(values, ["b", "c+d"]);
    }

    #[test]
    fn limits_the_cost_of_a_request() {
        let controls = Controls::parse("bytes=18446744073709551615&delay=86400000");
        assert_eq!(controls.bytes, Some(MAX_BYTES));
        assert_eq!(controls.delay, MAX_DELAY);
    }

    #[test]
    fn other_parameters_have_no_effect() {
        for query in [
            "",
            "status",
            "status=open",
            "status=101",
            "status=600",
            "bytes=-1",
            "delay=soon",
            "header=X-A",
            "header=X%20A:b",
            "header=X-A:a%0D%0Ab",
            "header=Content-Length:5",
            "header=Transfer-Encoding:chunked",
        ] {
            let controls = Controls::parse(query);
            assert_eq!(controls.status, None, "{query}");
            assert_eq!(controls.bytes, None, "{query}");
            assert_eq!(controls.delay, Duration::ZERO, "{query}");
            assert!(controls.headers.is_empty(), "{query}");
        }
    }
}
