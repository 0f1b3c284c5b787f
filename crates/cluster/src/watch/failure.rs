//! Failures of requests, as far as the next step depends on them.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kube::core::Status;

use crate::causes::causes;

/// Why a list or watch failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub(super) enum Failure {
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// Nothing arrived for too long.
    #[error("no data for {} s", .0.as_secs())]
    Timeout(Duration),
    /// The response cannot be decoded.
    #[error("malformed response: {0}")]
    Malformed(String),
    /// The resource version is too old (410).
    #[error("the resource version is too old")]
    Gone,
    /// Permission is missing (403).
    #[error("{0}")]
    Denied(String),
    /// The server has no such kind (404).
    #[error("the API server has no such kind: {0}")]
    NotFound(String),
    /// A parameter is not supported, such as `sendInitialEvents` (400, 422).
    #[error("invalid request: {0}")]
    Invalid(String),
    /// Too many requests (429, or 503 with `Retry-After`).
    #[error("the API server is busy: {message}")]
    Busy {
        message: String,
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// The token or certificate is not accepted (401).
    #[error("authentication failed: {0}")]
    Unauthorized(String),
    /// Any other status.
    #[error("status {code}: {message}")]
    Status { code: u16, message: String },
}

impl Failure {
    /// For an unsuccessful response, or an ERROR event.
    pub(super) fn of_status(code: u16, status: Status, retry_after: Option<Duration>) -> Self {
        let message = status.message;
        let seconds = status
            .details
            .map_or(0, |details| details.retry_after_seconds);
        let seconds = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        let after = retry_after.or(seconds);
        // Behind some proxies only the reason of an ERROR event shows that the version is too old.
        match code {
            410 => Self::Gone,
            _ if status.reason == "Expired" || status.reason == "Gone" => Self::Gone,
            401 => Self::Unauthorized(message),
            403 => Self::Denied(message),
            404 => Self::NotFound(message),
            400 | 422 => Self::Invalid(message),
            429 => Self::Busy { message, after },
            503 if after.is_some() => Self::Busy { message, after },
            _ => Self::Status { code, message },
        }
    }

    /// For an unsuccessful response, by its head and body.
    pub(super) fn of_response(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let status = serde_json::from_slice::<Status>(body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
            let reason = code.canonical_reason().unwrap_or_default();
            let message = if text.trim().is_empty() {
                reason.to_owned()
            } else {
                text.trim().escape_debug().to_string()
            };
            Status {
                message,
                ..Status::default()
            }
        });
        let after = headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        Self::of_status(code.as_u16(), status, after)
    }

    /// For a request without a response.
    pub(super) fn of_client(error: &kube::Error) -> Self {
        Self::Connection(causes(error))
    }

    /// For the label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Timeout(_) => "silent",
            Self::Malformed(_) => "garbage",
            Self::Gone => "gone",
            Self::Denied(_) => "denied",
            Self::NotFound(_) => "unknown",
            Self::Invalid(_) => "invalid",
            Self::Busy { .. } => "busy",
            Self::Unauthorized(_) => "unauthorized",
            Self::Status { .. } => "answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: u16, body: &str, retry_after: Option<&'static str>) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", http::HeaderValue::from_static(value));
        }
        let code = StatusCode::from_u16(code).unwrap_or_default();
        Failure::of_response(code, &headers, body.as_bytes())
    }

    #[test]
    fn a_failure_follows_from_status_code_and_reason() {
        assert!(matches!(failure(410, "", None), Failure::Gone));
        assert!(matches!(failure(403, "{}", None), Failure::Denied(_)));
        assert!(matches!(
            failure(500, "<html>", None),
            Failure::Status { code: 500, .. }
        ));
        assert!(matches!(failure(422, "{}", None), Failure::Invalid(_)));
        let expired = r#"{"kind":"Status","reason":"Expired","code":500}"#;
        assert!(matches!(failure(500, expired, None), Failure::Gone));
    }

    #[test]
    fn retry_after_is_read() {
        let after = |failure| match failure {
            Failure::Busy { after, .. } => after,
            _ => None,
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(after(failure(429, "{}", Some("1"))), second);
        let body = r#"{"kind":"Status","details":{"retryAfterSeconds":1}}"#;
        assert_eq!(after(failure(429, body, None)), second);
        assert_eq!(after(failure(503, "{}", Some("1"))), second);
        assert_eq!(after(failure(429, "{}", Some("soon"))), None);
    }

    #[test]
    fn a_body_that_is_not_a_status_is_truncated_and_escaped() {
        let Failure::Status { message, .. } = failure(500, &"\u{1b}[31m".repeat(1000), None) else {
            unreachable!("a 500 is a plain status");
        };
        assert!(
            message.len() < 2000 && !message.contains('\u{1b}'),
            "{message}"
        );
    }
}
