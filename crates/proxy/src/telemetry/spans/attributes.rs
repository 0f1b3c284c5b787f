//! Attributes of spans, by the semantic conventions for HTTP.

use std::borrow::Cow;

use http::{Method, Uri, Version};

use super::otlp::Value;
use super::span::cut;
use crate::telemetry::observation::Observation;
use crate::trace::AttemptSpan;
use crate::upstream::Attempt;

/// Longest text, bytes.
const LONGEST: usize = 1 << 10;

/// Parameters of a query whose values are secret by the conventions.
const SECRET: [&str; 4] = ["AWSAccessKeyId", "Signature", "sig", "X-Goog-Signature"];

/// Names and values.
pub(super) type Attributes = Vec<(&'static str, Value)>;

/// The name of a method that the conventions know.
pub(super) fn method_name(method: &Method) -> Option<&'static str> {
    const KNOWN: [&str; 9] = [
        "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE",
    ];
    KNOWN.into_iter().find(|known| method.as_str() == *known)
}

/// Those of the span of a request.
pub(super) fn of_request(seen: &Observation<'_>) -> Attributes {
    let mut list = List::default();
    list.method(seen.method);
    list.text("url.path", seen.target.path());
    let query = seen.target.query().filter(|query| !query.is_empty());
    list.some("url.query", query.map(without_secrets));
    list.some("network.protocol.version", version(seen.version));
    list.number("http.response.status_code", seen.status.into());
    list.text("client.address", seen.client.to_canonical().to_string());
    let agent = seen.user_agent.map(String::from_utf8_lossy);
    list.some("user_agent.original", agent);
    if let Some(details) = seen.details {
        let scheme = details.scheme.as_ref();
        let scheme = scheme.and_then(|scheme| scheme.to_str().ok());
        list.some("url.scheme", scheme);
        let port = details.port.as_ref();
        let port = port.and_then(|port| port.to_str().ok()?.parse::<u16>().ok());
        list.some_number("server.port", port.map(i64::from));
        let name = Some(&*details.name).filter(|name| !name.is_empty());
        list.some("server.address", name);
        if let Some(connection) = &details.connection {
            let peer = connection.peer;
            list.text("network.peer.address", peer.ip().to_canonical().to_string());
            list.number("network.peer.port", peer.port().into());
        }
    }
    if let Some(route) = seen.route {
        list.text("http.route", &**route.path);
        list.text("k8s.namespace.name", &*route.origin.namespace);
        list.text("k8s.ingress.name", &*route.origin.name);
    }
    match seen.reason {
        Some(fault) => list.text("error.type", fault.reason),
        None if seen.status >= 500 => list.text("error.type", seen.status.to_string()),
        None => {}
    }
    list.0
}

/// Those of the span of an attempt.
pub(super) fn of_attempt(attempt: &Attempt, span: &AttemptSpan) -> Attributes {
    let mut list = List::default();
    list.method(&span.method);
    let endpoint = attempt.endpoint;
    let address = endpoint.ip().to_canonical().to_string();
    list.text("url.full", full(attempt, span));
    list.text("server.address", &*address);
    list.number("server.port", endpoint.port().into());
    list.text("network.peer.address", address);
    list.number("network.peer.port", endpoint.port().into());
    list.text(
        "network.protocol.version",
        if span.http2 { "2" } else { "1.1" },
    );
    if span.resends > 0 {
        list.number("http.request.resend_count", span.resends.into());
    }
    // A failure has a status here that no endpoint sent.
    let status = attempt.status.filter(|_| attempt.fault.is_none());
    list.some_number(
        "http.response.status_code",
        status.map(|status| status.as_u16().into()),
    );
    match (&attempt.fault, status) {
        (Some(fault), _) => list.text("error.type", fault.reason),
        (None, Some(status)) if status.as_u16() >= 400 => {
            list.text("error.type", status.as_str());
        }
        // The request ended before there was a response.
        (None, None) => list.text("error.type", "cancelled"),
        (None, Some(_)) => {}
    }
    list.0
}

fn full(attempt: &Attempt, span: &AttemptSpan) -> String {
    let scheme = if span.tls { "https" } else { "http" };
    let path = path(&span.target);
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let separator = if query.is_empty() { "" } else { "?" };
    let query = without_secrets(query);
    format!("{scheme}://{}{path}{separator}{query}", attempt.endpoint)
}

fn path(target: &Uri) -> &str {
    target.path_and_query().map_or("/", |path| path.as_str())
}

fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        _ => None,
    }
}

/// The query with `REDACTED` for values that are secret.
fn without_secrets(query: &str) -> Cow<'_, str> {
    let is_secret = |pair: &str| {
        let name = pair.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| SECRET.contains(&name))
    };
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(pair) => format!("{name}=REDACTED"),
        _ => pair.to_owned(),
    });
    Cow::Owned(pairs.collect::<Vec<_>>().join("&"))
}

#[derive(Default)]
struct List(Attributes);

impl List {
    fn text<'t>(&mut self, name: &'static str, text: impl Into<Cow<'t, str>>) {
        self.0.push((name, Value::Text(cut(text.into(), LONGEST))));
    }

    fn some<'t>(&mut self, name: &'static str, text: Option<impl Into<Cow<'t, str>>>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &'static str, number: i64) {
        self.0.push((name, Value::Number(number)));
    }

    fn some_number(&mut self, name: &'static str, number: Option<i64>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    fn method(&mut self, method: &Method) {
        match method_name(method) {
            Some(name) => self.text("http.request.method", name),
            None => {
                self.text("http.request.method", "_OTHER");
                self.text("http.request.method_original", method.as_str());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_are_left_out() {
        for (query, expected) in [
            ("a=1&b", "a=1&b"),
            ("a=1&sig=xyz&b=2", "a=1&sig=REDACTED&b=2"),
            (
                "X-Goog-Signature=1&Signature=2",
                "X-Goog-Signature=REDACTED&Signature=REDACTED",
            ),
            ("sig", "sig"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(query), expected);
        }
    }

    #[test]
    fn unknown_methods_are_not_in_names() {
        assert_eq!(method_name(&Method::GET), Some("GET"));
        assert_eq!(
            Method::from_bytes(b"PURGE")
                .ok()
                .as_ref()
                .and_then(method_name),
            None
        );
    }
}
