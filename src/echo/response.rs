//! From a request to its response.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::{Body as _, Incoming};
use tokio::time::sleep;

use super::body::{Body, empty, filler, full};
use super::controls::Controls;
use super::received::{BodyError, Content, to_json};
use super::{Shared, grpc, upgrade};

/// Response field with the name of the backend; set on every response.
const NAME_FIELD: &str = "x-echo-name";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// Responds to one request from `peer`.
pub(super) async fn respond(
    request: Request<Incoming>,
    peer: SocketAddr,
    shared: &Shared,
) -> Response<Body> {
    let is_head = request.method() == Method::HEAD;
    let mut response = if request.uri().path() == "/healthz" {
        text(StatusCode::OK, "ok\n")
    } else if grpc::is_call(&request) {
        grpc::echo(request)
    } else if let Some(protocol) = upgrade::requested(&request) {
        upgrade::accept(protocol, request, shared.stop.clone())
    } else {
        describe(request, peer, &shared.name).await
    };
    if let Ok(name) = HeaderValue::from_str(&shared.name) {
        response.headers_mut().insert(NAME_FIELD, name);
    }
    if is_head {
        drop_body(&mut response);
    }
    response
}

/// The usual response: the request as JSON, or what the query requests.
async fn describe(request: Request<Incoming>, peer: SocketAddr, name: &str) -> Response<Body> {
    let controls = Controls::parse(request.uri().query().unwrap_or_default());
    let (head, body) = request.into_parts();
    let content = match Content::read(body).await {
        Ok(content) => content,
        Err(error @ BodyError::TooLarge) => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, format!("{error}\n"));
        }
        Err(error @ BodyError::Broken(_)) => {
            return text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
    };
    sleep(controls.delay).await;
    let response = match controls.bytes {
        Some(length) => with_type(BINARY, filler(length)),
        None => match to_json(name, peer, &head, &content) {
            Ok(json) => with_type(JSON, full(json)),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        },
    };
    apply(controls, response)
}

fn apply(controls: Controls, mut response: Response<Body>) -> Response<Body> {
    replace(response.headers_mut(), controls.headers);
    if let Some(status) = controls.status {
        *response.status_mut() = status;
    }
    if !may_have_body(response.status()) {
        *response.body_mut() = empty();
        response.headers_mut().remove(CONTENT_TYPE);
    }
    response
}

/// Sets all `fields` in `headers`, replacing those of the same names.
fn replace(headers: &mut HeaderMap, fields: HeaderMap) {
    for name in fields.keys() {
        headers.remove(name);
    }
    for name in fields.keys() {
        for value in fields.get_all(name) {
            headers.append(name, value.clone());
        }
    }
}

/// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5.
fn may_have_body(status: StatusCode) -> bool {
    !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// Keeps the head of a response to HEAD as it would be for GET (RFC 9110 section 9.3.2).
fn drop_body(response: &mut Response<Body>) {
    let length = response.body().size_hint().exact();
    if let Some(length) = length.filter(|_| may_have_body(response.status())) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    *response.body_mut() = empty();
}

fn with_type(content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = with_type(TEXT, full(text));
    *response.status_mut() = status;
    response
}
