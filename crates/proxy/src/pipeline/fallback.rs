//! Request fields for a fallback: what is unavailable (behaviour.md 8).

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::request::Context;

const X_CODE: HeaderName = HeaderName::from_static("x-code");
const X_FORMAT: HeaderName = HeaderName::from_static("x-format");
const X_NAMESPACE: HeaderName = HeaderName::from_static("x-namespace");
const X_INGRESS_NAME: HeaderName = HeaderName::from_static("x-ingress-name");
const X_SERVICE_NAME: HeaderName = HeaderName::from_static("x-service-name");
const X_SERVICE_PORT: HeaderName = HeaderName::from_static("x-service-port");

/// Adds fields that name the status, the object and the Service.
pub(super) fn explain(headers: &mut HeaderMap, context: &Context<'_>) {
    headers.insert(X_CODE, HeaderValue::from_static("503"));
    match headers.get(ACCEPT).cloned() {
        Some(accept) => headers.insert(X_FORMAT, accept),
        None => headers.remove(X_FORMAT),
    };
    let origin = &context.route.origin;
    for (name, value) in [
        (X_NAMESPACE, &origin.namespace),
        (X_INGRESS_NAME, &origin.name),
        (X_SERVICE_NAME, &origin.service),
        (X_SERVICE_PORT, &origin.port),
    ] {
        match HeaderValue::from_str(value) {
            Ok(value) if !value.is_empty() => headers.insert(name, value),
            _ => headers.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;

    #[test]
    fn status_object_and_service_are_named() {
        let sample = Sample::new("GET", "/")
            .header("accept", "application/json")
            .header("x-code", "200");
        let context = sample.context();
        let mut headers = context.headers.clone();
        explain(&mut headers, &context);
        for (name, expected) in [
            ("x-code", "503"),
            ("x-format", "application/json"),
            ("x-namespace", "shop"),
            ("x-ingress-name", "web"),
            ("x-service-name", "web"),
            ("x-service-port", "80"),
        ] {
            assert_eq!(headers.get(name).unwrap(), expected, "{name}");
        }
    }
}
