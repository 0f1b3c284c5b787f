//! What can go wrong with a request, as far as the next step depends on it.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use kube::core::Status;

use crate::causes::causes;

/// Why a list or watch ended otherwise than it should.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub(super) enum Failure {
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Bytes did not come for too long.
    #[error("nothing came for {} s", .0.as_secs())]
    Silent(Duration),
    /// The response is not what the request asked for.
    #[error("the answer makes no sense: {0}")]
    Garbage(String),
    /// The version to go on from is no longer known (410).
    #[error("the version is no longer known")]
    Gone,
    /// We may not (403).
    #[error("{0}")]
    Denied(String),
    /// The server has no such kind (404).
    #[error("the API server does not know the kind: {0}")]
    Unknown(String),
    /// The server does not offer lists by watching.
    #[error("the API server refuses the request: {0}")]
    Invalid(String),
    /// Too many requests, with `Retry-After` if there was one.
    #[error("the API server is busy: {message}")]
    Busy {
        /// `Retry-After`.
        message: String,
        /// `Retry-After`.
        after: Option<Duration>,
    },
    /// The token or certificate is not accepted (401).
    #[error("not accepted as who we are: {0}")]
    Unauthorized(String),
    /// Any other answer.
    #[error("answer {code}: {message}")]
    Answer {
        /// The status.
        code: u16,
        /// `Retry-After`.
        message: String,
    },
}

impl Failure {
    /// Of an answer that is no success, or of an ERROR event.
    pub(super) fn of_status(code: u16, status: Status, retry_after: Option<Duration>) -> Self {
        let message = status.message;
        let seconds = status
            .details
            .map_or(0, |details| details.retry_after_seconds);
        let seconds = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)));
        let after = retry_after.or(seconds);
        // An ERROR event of a version that is too old says so by its reason in some proxies' answers.
        match code {
            410 => Self::Gone,
            _ if status.reason == "Expired" || status.reason == "Gone" => Self::Gone,
            401 => Self::Unauthorized(message),
            403 => Self::Denied(message),
            404 => Self::Unknown(message),
            400 | 422 => Self::Invalid(message),
            429 => Self::Busy { message, after },
            503 if after.is_some() => Self::Busy { message, after },
            _ => Self::Answer { code, message },
        }
    }

    /// Of an answer's head and what its body says.
    pub(super) fn of_answer(code: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
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

    /// Of a request that got no answer.
    pub(super) fn of_client(error: &kube::Error) -> Self {
        Self::Connection(causes(error))
    }

    /// For the label `reason`.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Connection(_) => "connection",
            Self::Silent(_) => "silent",
            Self::Garbage(_) => "garbage",
            Self::Gone => "gone",
            Self::Denied(_) => "denied",
            Self::Unknown(_) => "unknown",
            Self::Invalid(_) => "invalid",
            Self::Busy { .. } => "busy",
            Self::Unauthorized(_) => "unauthorized",
            Self::Answer { .. } => "answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16, body: &str, retry_after: Option<&'static str>) -> Failure {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert("retry-after", http::HeaderValue::from_static(value));
        }
        let code = StatusCode::from_u16(code).unwrap_or_default();
        Failure::of_answer(code, &headers, body.as_bytes())
    }

    #[test]
    fn answers_are_told_apart() {
        assert!(matches!(answer(410, "", None), Failure::Gone));
        assert!(matches!(answer(403, "{}", None), Failure::Denied(_)));
        assert!(matches!(
            answer(500, "<html>", None),
            Failure::Answer { code: 500, .. }
        ));
        assert!(matches!(answer(422, "{}", None), Failure::Invalid(_)));
        let expired = r#"{"kind":"Status","reason":"Expired","code":500}"#;
        assert!(matches!(answer(500, expired, None), Failure::Gone));
    }

    #[test]
    fn the_time_to_stay_away_is_read() {
        let after = |failure| match failure {
            Failure::Busy { after, .. } => after,
            _ => None,
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(after(answer(429, "{}", Some("1"))), second);
        let body = r#"{"kind":"Status","details":{"retryAfterSeconds":1}}"#;
        assert_eq!(after(answer(429, body, None)), second);
        assert_eq!(after(answer(503, "{}", Some("1"))), second);
        assert_eq!(after(answer(429, "{}", Some("soon"))), None);
    }

    #[test]
    fn what_is_no_status_is_shown_cut_and_escaped() {
        let Failure::Answer { message, .. } = answer(500, &"\u{1b}[31m".repeat(1000), None) else {
            unreachable!("a 500 is none of the others");
        };
        assert!(
            message.len() < 2000 && !message.contains('\u{1b}'),
            "{message}"
        );
    }
}
