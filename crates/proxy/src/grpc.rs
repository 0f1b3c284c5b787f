//! Responses of the proxy itself to calls of gRPC.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::body::Body;
use crate::respond::LocalResponse;

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// Of calls, and before the names of their codecs.
const MEDIA_TYPE: &[u8] = b"application/grpc";

/// Whether a request with these fields is a call.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let rest = kind.and_then(|kind| kind.strip_prefix(MEDIA_TYPE));
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The response to a call instead of a page: trailers only, which is a head without a body. `None` if `response` is no failure
/// of the request alone.
pub(crate) fn failure(response: &LocalResponse) -> Option<Response<Body>> {
    let status = match response {
        LocalResponse::Page(status) => *status,
        LocalResponse::Text(status, _) => *status,
        LocalResponse::Relayed(response) => response.status(),
        LocalResponse::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        LocalResponse::Unauthorized { .. } => StatusCode::UNAUTHORIZED,
        _ => return None,
    };
    let code = code(status)?;
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, HeaderValue::from_static(code));
    let reason = status.canonical_reason().unwrap_or("refused");
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(reason));
    Some(response)
}

/// The code for a status, by the mapping of gRPC. A deadline has a code of its own, and so has the lack of a backend: 500 is
/// what its requests get that are no calls.
fn code(status: StatusCode) -> Option<&'static str> {
    Some(match status.as_u16() {
        400 => "13",
        401 => "16",
        403 => "7",
        404 => "12",
        413 => "8",
        429 | 500 | 502 | 503 => "14",
        504 => "4",
        code if code >= 400 => "2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_known_by_their_media_type() {
        for (kind, is) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=x", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_call(&headers), is, "{kind}");
        }
        assert!(!is_call(&HeaderMap::new()));
    }

    #[test]
    fn failures_have_codes() {
        for (status, code) in [
            (404, "12"),
            (500, "14"),
            (503, "14"),
            (504, "4"),
            (418, "2"),
        ] {
            let status = StatusCode::from_u16(status).unwrap_or_default();
            let response = failure(&LocalResponse::Page(status));
            let response = response.unwrap_or_else(|| Response::new(Body::empty()));
            assert_eq!(response.status(), StatusCode::OK);
            let found = response.headers().get(GRPC_STATUS);
            assert_eq!(found.map(HeaderValue::as_bytes), Some(code.as_bytes()));
        }
        assert!(failure(&LocalResponse::Page(StatusCode::OK)).is_none());
        assert!(failure(&LocalResponse::Close).is_none());
    }
}
