//! gRPC: echoes every message of a call, so unary calls and all kinds of streams work with any service definition whose
//! requests and responses have the same type.

use std::future::ready;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Incoming;

use super::body::Body;

/// Request field that sets a status other than 0.
const REQUESTED_STATUS: &str = "x-grpc-status";
/// `INVALID_ARGUMENT`, for a requested status that is not a number.
const INVALID_ARGUMENT: u32 = 3;

/// Whether the request is a gRPC call: HTTP/2 with a content type of gRPC.
pub(super) fn is_call<B>(request: &Request<B>) -> bool {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    request.version() == Version::HTTP_2
        && content_type.is_some_and(|value| value.starts_with(b"application/grpc"))
}

/// Sends the messages back as they arrive, then `grpc-status`: that of the field `x-grpc-status`, else 0. Echoes a field
/// `x-name`.
pub(super) fn echo(request: Request<Incoming>) -> Response<Body> {
    let (head, messages) = request.into_parts();
    let trailers = trailers(head.headers.get(REQUESTED_STATUS));
    let body = messages.with_trailers(ready(Some(Ok(trailers))));
    // As a stream of frames it has no known length: gRPC servers send no Content-Length, even to a call that had one.
    let body = StreamBody::new(BodyStream::new(body)).boxed_unsync();
    let mut response = Response::new(body);
    for name in ["content-type", "x-name"] {
        if let Some(value) = head.headers.get(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn trailers(requested: Option<&HeaderValue>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    let status = requested.map_or(Some(0), |value| value.to_str().ok()?.parse().ok());
    if status != Some(0) {
        let message = HeaderValue::from_static("requested by x-grpc-status");
        trailers.insert("grpc-message", message);
    }
    trailers.insert("grpc-status", status.unwrap_or(INVALID_ARGUMENT).into());
    trailers
}
