//! A request with its route, as steps and templates read it.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use headgate_table::{
    BackendProtocol, Balance, Host, Route, RuleInput, Settings, Template, Upstream,
};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cookies::Cookies;
use super::{ClientInfo, ConnectionInfo, RequestTarget, Scheme};
use crate::downstream::{Downstream, TlsFacts};
use crate::trace::RequestSpan;
use crate::values::Locals;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The canonical form of a request, independent of its route.
#[derive(Clone)]
pub(crate) struct Parsed<'r> {
    /// Request line and host as sent.
    pub(crate) target: &'r RequestTarget,
    /// Canonical host; empty when none was sent.
    pub(crate) name: &'r str,
    /// Decoded, normalised path.
    pub(crate) path: &'r [u8],
    pub(crate) connection: ConnectionInfo,
    /// The result of the TLS handshake, with the client's certificate.
    pub(crate) tls: Option<&'r TlsFacts>,
    pub(crate) client: ClientInfo,
    /// The connection; `None` only in tests.
    pub(crate) downstream: Option<&'r Downstream>,
}

/// A request and its route.
pub(crate) struct Context<'r> {
    /// The request.
    pub(crate) parsed: Parsed<'r>,
    /// Settings of the data plane.
    pub(crate) settings: &'r Settings,
    /// The host that serves it.
    pub(crate) host: &'r Host,
    /// Its route.
    pub(crate) route: &'r Route,
    /// The upstream that serves it, once chosen.
    pub(crate) upstream: Option<&'r Upstream>,
    /// The endpoint of the session that it belongs to.
    pub(crate) session_endpoint: Option<SocketAddr>,
    /// Its place in a trace, if the route is traced.
    pub(crate) span: Option<Rc<RequestSpan>>,
    /// The client's header fields; see [`Context::hand_over_headers`].
    pub(crate) headers: HeaderMap,
    /// What a script sets; `None` without one.
    pub(crate) locals: Option<Box<Locals>>,
    /// A value could not be found out since this was reset; see [`crate::values::Scope`].
    pub(crate) undecided: Cell<bool>,
    cookies: Cookies,
    user_agent: Option<HeaderValue>,
    request_id: OnceCell<Option<HeaderValue>>,
}

impl<'r> Context<'r> {
    /// The request `parsed` with its header fields, on `route` of `host`.
    pub(crate) fn new(
        parsed: Parsed<'r>,
        headers: HeaderMap,
        settings: &'r Settings,
        host: &'r Host,
        route: &'r Route,
    ) -> Self {
        let cookies = Cookies::of(&headers);
        let user_agent = headers.get(USER_AGENT).cloned();
        let request_id = OnceCell::new();
        Self {
            parsed,
            settings,
            host,
            route,
            upstream: None,
            session_endpoint: None,
            span: None,
            headers,
            locals: None,
            undecided: Cell::new(false),
            cookies,
            user_agent,
            request_id,
        }
    }

    /// The client, after real-IP processing.
    pub(crate) fn client(&self) -> IpAddr {
        self.parsed.client.address
    }

    /// The decoded path, as rewritten.
    pub(crate) fn path(&self) -> &[u8] {
        let rewritten = self
            .locals
            .as_ref()
            .and_then(|locals| locals.path.as_deref());
        rewritten.unwrap_or(self.parsed.path)
    }

    /// The query, as rewritten.
    pub(crate) fn query(&self) -> Option<&str> {
        let rewritten = self
            .locals
            .as_ref()
            .and_then(|locals| locals.query.as_deref());
        match rewritten {
            Some(query) => Some(query).filter(|query| !query.is_empty()),
            None => self.parsed.target.query(),
        }
    }

    /// What a script sets.
    pub(crate) fn locals_mut(&mut self) -> &mut Locals {
        self.locals.get_or_insert_default()
    }

    /// Reads the fields again that are kept beside the header fields, after these were edited.
    pub(crate) fn headers_edited(&mut self) {
        self.cookies = Cookies::of(&self.headers);
        self.user_agent = self.headers.get(USER_AGENT).cloned();
    }

    /// Whether the client's connection is TLS.
    pub(crate) fn https(&self) -> bool {
        self.parsed.connection.scheme == Scheme::Https
    }

    /// The first cookie of that name.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.find(name)
    }

    /// `User-Agent`; empty when there is none.
    pub(crate) fn user_agent(&self) -> &str {
        self.user_agent
            .as_ref()
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The text of `template` for this request. Invalid UTF-8 is replaced.
    pub(crate) fn evaluate(&self, template: &Template) -> String {
        let value = self.expand(template, None);
        String::from_utf8(value)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Path and query as sent.
    pub(crate) fn raw_target(&self) -> Cow<'r, str> {
        self.parsed.target.raw_target()
    }

    /// `X-Request-ID` for the upstream: the client's, or one generated at the first call if settings say so.
    pub(crate) fn request_id(&self) -> Option<&HeaderValue> {
        self.request_id
            .get_or_init(|| {
                client_request_id(&self.headers).or_else(|| generated_id(self.settings))
            })
            .as_ref()
    }

    /// Protocol of the chosen upstream.
    pub(crate) fn protocol(&self) -> BackendProtocol {
        self.upstream
            .map(|upstream| upstream.protocol)
            .unwrap_or_default()
    }

    /// Moves the header fields out, to become the upstream head. They are copied if the hash key of the upstream, or a parameter
    /// for FastCGI, may need them afterwards.
    pub(crate) fn hand_over_headers(&mut self) -> HeaderMap {
        self.request_id();
        let needed = self
            .upstream
            .is_some_and(|upstream| match &upstream.balance {
                Balance::Hash { key, .. } => !key.reads().request.is_empty(),
                Balance::RoundRobin | Balance::Ewma | Balance::LeastConn => false,
            });
        let is_fastcgi = self.protocol() == BackendProtocol::FastCgi;
        if needed || is_fastcgi && self.route.policy.forwarding.fastcgi.is_some() {
            self.headers.clone()
        } else {
            std::mem::take(&mut self.headers)
        }
    }
}

impl RuleInput for Context<'_> {
    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        self.headers.get(name).map(HeaderValue::as_bytes)
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.find(name)
    }
}

/// `X-Request-ID` of the client.
pub(crate) fn client_request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(&X_REQUEST_ID)
        .filter(|id| !id.is_empty())
        .cloned()
}

/// A random id, if settings say so.
pub(crate) fn generated_id(settings: &Settings) -> Option<HeaderValue> {
    settings
        .generate_request_id
        .then(|| random_id(fastrand::u128(..)))
        .flatten()
}

/// 32 hexadecimal digits.
fn random_id(number: u128) -> Option<HeaderValue> {
    let digit = |value: u8| match value {
        0..10 => b'0' + value,
        _ => b'a' - 10 + value,
    };
    let mut text = [[0; 2]; 16];
    for (digits, byte) in text.iter_mut().zip(number.to_be_bytes()) {
        *digits = [digit(byte >> 4), digit(byte & 0xf)];
    }
    HeaderValue::from_bytes(text.as_flattened()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;

    #[test]
    fn request_ids_are_passed_on_or_generated() {
        let sample = Sample::new("GET", "/").header("x-request-id", "abc");
        assert_eq!(sample.context().request_id().unwrap(), "abc");

        let sample = Sample::new("GET", "/");
        let context = sample.context();
        let generated = context.request_id().unwrap().clone();
        assert_eq!(generated.len(), 32);
        assert!(generated.as_bytes().iter().all(u8::is_ascii_hexdigit));
        assert_eq!(context.request_id(), Some(&generated), "one id per request");

        let sample =
            Sample::new("GET", "/").settings(|settings| settings.generate_request_id = false);
        assert_eq!(sample.context().request_id(), None);
    }

    #[test]
    fn ids_are_hexadecimal() {
        assert_eq!(
            random_id(0xabc).unwrap(),
            "00000000000000000000000000000abc"
        );
        assert_eq!(random_id(u128::MAX).unwrap(), "f".repeat(32).as_str());
    }

    #[test]
    fn headers_are_kept_only_when_a_hash_key_reads_them() {
        for (key, kept) in [
            ("$http_x_user", true),
            ("$remote_addr$content_type", true),
            ("$request_uri", false),
        ] {
            let sample = Sample::new("GET", "/").header("x-user", "u");
            let upstream = Sample::upstream(Balance::Hash {
                key: Template::parse(key).unwrap(),
                subset: None,
            });
            let mut context = sample.context();
            context.upstream = Some(&upstream);
            let handed = context.hand_over_headers();
            assert_eq!(handed.get("x-user").unwrap(), "u");
            assert_eq!(context.headers.contains_key("x-user"), kept, "{key}");
        }
    }
}
