//! What the response to an export means.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message as _;

use super::collector::ExportError;
use super::otlp::ExportResponse;
use crate::upstream::UpstreamBody;

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// Longest response, bytes.
const LONGEST: usize = 64 << 10;
/// Longest text of a collector in the log, bytes.
const LONGEST_TEXT: usize = 200;

/// Content and trailers of a response.
pub(super) async fn read(mut body: UpstreamBody) -> Result<(Bytes, HeaderMap), ExportError> {
    let mut content = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ExportError::temporary(error.to_string()))?;
        match frame.into_data() {
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
        if content.len() > LONGEST {
            return Err(ExportError::temporary("the response is too long"));
        }
    }
    Ok((content.freeze(), trailers))
}

pub(super) fn of_http(
    status: StatusCode,
    headers: &HeaderMap,
    content: &[u8],
) -> Result<u64, ExportError> {
    if status.is_success() {
        return Ok(rejected(content));
    }
    let seconds = headers.get(RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    Err(ExportError {
        message: format!("status {status}"),
        is_temporary: matches!(status.as_u16(), 429 | 502 | 503 | 504),
        after: seconds.map(Duration::from_secs),
    })
}

pub(super) fn of_grpc(
    status: StatusCode,
    headers: &HeaderMap,
    trailers: &HeaderMap,
    content: &[u8],
) -> Result<u64, ExportError> {
    // A response without a message has its status in the head.
    let field = |name: &HeaderName| trailers.get(name).or_else(|| headers.get(name));
    let text = |name| field(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let code = text(&GRPC_STATUS).and_then(|code| code.parse::<u32>().ok());
    match code {
        Some(0) => Ok(rejected(content.get(5..).unwrap_or_default())),
        Some(code) => {
            let message: String = text(&GRPC_MESSAGE)
                .unwrap_or_default()
                .chars()
                .take(LONGEST_TEXT)
                .collect();
            Err(ExportError {
                message: format!("gRPC status {code} {message}")
                    .trim_end()
                    .to_owned(),
                // Those that the specification of OTLP lists; an exhausted resource only if the collector says when to retry.
                is_temporary: matches!(code, 1 | 4 | 10 | 11 | 14 | 15)
                    || code == 8 && trailers.contains_key(&GRPC_STATUS_DETAILS),
                after: None,
            })
        }
        None => Err(ExportError {
            message: format!("status {status} without a status of gRPC"),
            is_temporary: !matches!(status.as_u16(), 400 | 401 | 403 | 404),
            after: None,
        }),
    }
}

/// How many spans a collector that took the others rejects for good. It says why, which is logged.
fn rejected(content: &[u8]) -> u64 {
    let response = ExportResponse::decode(content);
    let partial = response.ok().and_then(|response| response.partial_success);
    let Some(partial) = partial else {
        return 0;
    };
    if !partial.error_message.is_empty() {
        let reason: String = partial.error_message.chars().take(LONGEST_TEXT).collect();
        let spans = partial.rejected_spans;
        tracing::warn!(spans, %reason, "the collector rejects spans");
    }
    u64::try_from(partial.rejected_spans).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::collector::frame;
    use super::super::otlp::PartialSuccess;
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        fields.collect()
    }

    #[test]
    fn responses_over_http() {
        let of = |status: StatusCode, fields: &[(&'static str, &'static str)]| {
            of_http(status, &headers(fields), b"")
                .map_err(|error| (error.is_temporary, error.after))
        };
        assert_eq!(of(StatusCode::OK, &[]), Ok(0));
        assert_eq!(of(StatusCode::BAD_REQUEST, &[]), Err((false, None)));
        assert_eq!(of(StatusCode::SERVICE_UNAVAILABLE, &[]), Err((true, None)));
        assert_eq!(
            of(StatusCode::TOO_MANY_REQUESTS, &[("retry-after", "3")]),
            Err((true, Some(Duration::from_secs(3))))
        );
    }

    #[test]
    fn responses_over_grpc() {
        let of = |head: &[(&'static str, &'static str)],
                  trailers: &[(&'static str, &'static str)]| {
            of_grpc(StatusCode::OK, &headers(head), &headers(trailers), b"")
                .map_err(|error| error.is_temporary)
        };
        assert_eq!(of(&[], &[("grpc-status", "0")]), Ok(0));
        assert_eq!(of(&[("grpc-status", "14")], &[]), Err(true));
        assert_eq!(of(&[("grpc-status", "16")], &[]), Err(false));
        assert_eq!(of(&[], &[]), Err(true));
    }

    #[test]
    fn rejected_spans_are_read_behind_the_frame() {
        let response = ExportResponse {
            partial_success: Some(PartialSuccess {
                rejected_spans: 3,
                error_message: "too old".into(),
            }),
        };
        let message = response.encode_to_vec();
        assert_eq!(rejected(&message), 3);
        let framed = frame(&message, false);
        let trailers = headers(&[("grpc-status", "0")]);
        assert_eq!(
            of_grpc(StatusCode::OK, &HeaderMap::new(), &trailers, &framed),
            Ok(3)
        );
        assert_eq!(rejected(b"\xff"), 0);
    }
}
