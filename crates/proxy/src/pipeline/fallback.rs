//! Request fields that tell another backend what failed (behaviour.md 8).

use headgate_table::Origin;
use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const X_CODE: HeaderName = HeaderName::from_static("x-code");
const X_FORMAT: HeaderName = HeaderName::from_static("x-format");
const X_NAMESPACE: HeaderName = HeaderName::from_static("x-namespace");
const X_INGRESS_NAME: HeaderName = HeaderName::from_static("x-ingress-name");
const X_SERVICE_NAME: HeaderName = HeaderName::from_static("x-service-name");
const X_SERVICE_PORT: HeaderName = HeaderName::from_static("x-service-port");

/// Sets the fields that name the status, the object and the Service of `origin`; without one, they are removed.
pub(super) fn explain(headers: &mut HeaderMap, status: StatusCode, origin: Option<&Origin>) {
    headers.insert(X_CODE, HeaderValue::from(status.as_u16()));
    match headers.get(ACCEPT).cloned() {
        Some(accept) => headers.insert(X_FORMAT, accept),
        None => headers.remove(X_FORMAT),
    };
    for (name, value) in [
        (X_NAMESPACE, origin.map(|origin| &origin.namespace)),
        (X_INGRESS_NAME, origin.map(|origin| &origin.name)),
        (X_SERVICE_NAME, origin.map(|origin| &origin.service)),
        (X_SERVICE_PORT, origin.map(|origin| &origin.port)),
    ] {
        match value.map(|value| HeaderValue::from_str(value)) {
            Some(Ok(value)) if !value.is_empty() => headers.insert(name, value),
            _ => headers.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;

    const NAMES: [&str; 6] = [
        "x-code",
        "x-format",
        "x-namespace",
        "x-ingress-name",
        "x-service-name",
        "x-service-port",
    ];

    fn explained(status: StatusCode, known: bool) -> [Option<String>; 6] {
        let sample = Sample::new("GET", "/")
            .header("accept", "application/json")
            .header("x-code", "200")
            .header("x-namespace", "spoofed");
        let context = sample.context();
        let mut headers = context.headers.clone();
        explain(
            &mut headers,
            status,
            known.then_some(&*context.route.origin),
        );
        NAMES.map(|name| Some(headers.get(name)?.to_str().unwrap().to_owned()))
    }

    #[test]
    fn status_object_and_service_are_named() {
        let texts = |texts: [&str; 6]| {
            texts.map(|text| Some(text.to_owned()).filter(|text| !text.is_empty()))
        };
        assert_eq!(
            explained(StatusCode::SERVICE_UNAVAILABLE, true),
            texts(["503", "application/json", "shop", "web", "web", "80"])
        );
        assert_eq!(
            explained(StatusCode::FORBIDDEN, false),
            texts(["403", "application/json", "", "", "", ""])
        );
    }
}
