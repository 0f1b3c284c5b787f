//! Responses with the fields that all of them have.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use maud::Markup;
use serde::Serialize;

use super::answer::Form;
use super::refusal::Refusal;
use crate::assets::Asset;
use crate::pages;

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Nothing but the console's own style, scripts, icon, streams and forms; no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const CROSS_ORIGIN_OPENER_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-opener-policy");
const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Of every response. The referrer stays for the own pages: without one, browsers send `Origin: null` with forms.
const FIELDS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (CROSS_ORIGIN_OPENER_POLICY, "same-origin"),
    (CROSS_ORIGIN_RESOURCE_POLICY, "same-origin"),
];

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

/// A response with status 200. It is not stored, unless the caller says otherwise.
pub(super) fn with_body(kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept, cookie"));
    for (name, value) in FIELDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn full(kind: &'static str, content: impl Into<Bytes>) -> Response<Body> {
    with_body(kind, Full::from(content.into()).boxed_unsync())
}

pub(super) fn html(page: Markup) -> Response<Body> {
    full(HTML, page.into_string())
}

pub(super) fn json(value: &impl Serialize) -> Response<Body> {
    json_text(serde_json::to_string_pretty(value))
}

/// A JSON text that was written, or an error.
pub(super) fn json_text(text: serde_json::Result<String>) -> Response<Body> {
    match text {
        Ok(text) => full(JSON, text + "\n"),
        Err(error) => {
            tracing::error!(%error, "cannot write the JSON of a page of the console");
            let mut response = full(JSON, "{\"error\": \"cannot write the JSON\"}\n");
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        }
    }
}

/// A file of the program. Its link has its version.
pub(super) fn asset(asset: &'static Asset) -> Response<Body> {
    let mut response = full(asset.kind, asset.content);
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response.headers_mut().insert(CACHE_CONTROL, for_ever);
    response
}

/// A refusal in the form that the client accepts.
pub(super) fn refused(refusal: &Refusal, form: Form) -> Response<Body> {
    let mut response = match form {
        Form::Page => html(pages::refused(refusal.status, &refusal.reason)),
        _ => json(&serde_json::json!({ "error": refusal.reason })),
    };
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    match refusal.status {
        StatusCode::METHOD_NOT_ALLOWED => {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        StatusCode::UNAUTHORIZED => {
            let scheme = HeaderValue::from_static("Bearer realm=\"Headgate console\"");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        _ => {}
    }
    response
}
