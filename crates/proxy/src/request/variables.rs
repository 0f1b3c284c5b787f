//! Templates for a request in progress.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use headgate_table::{FieldTemplate, Origin, Piece, Template, Variable};
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Method, Version};

use super::{Context, Scheme};
use crate::trace::RequestSpan;
use crate::values::{self, ConnectionFacts, Matched, Scope, Source};

impl Context<'_> {
    /// `template` with its variables filled in. The result contains bytes of the client: a caller
    /// that writes it into a head or URL must check or encode it.
    pub(crate) fn expand(&self, template: &Template, matched: Option<&Matched<'_>>) -> Vec<u8> {
        if let Some(text) = template.as_text() {
            return text.as_bytes().to_vec();
        }
        let mut out = Vec::with_capacity(64);
        for piece in template.pieces() {
            self.expand_piece(piece, matched, &mut out);
        }
        out
    }

    /// Appends the text of one piece.
    pub(crate) fn expand_piece(
        &self,
        piece: &Piece,
        matched: Option<&Matched<'_>>,
        out: &mut Vec<u8>,
    ) {
        self.scope().write_one(piece, (self, matched), out);
    }

    /// Where its templates find what is not a variable of the proxy.
    fn scope(&self) -> Scope<'_> {
        Scope {
            locals: self.locals.as_deref(),
            maps: Some(&self.settings.maps),
            undecided: Some(&self.undecided),
        }
    }

    /// The value of a header field; `None` if it is empty, or if what clients send into it is not allowed in a field.
    pub(crate) fn field(&self, field: &FieldTemplate) -> Option<HeaderValue> {
        match field {
            FieldTemplate::Fixed(value) => Some(value.clone()),
            FieldTemplate::Template(template) => {
                let value = self.expand(template, None);
                let value = Some(value).filter(|value| !value.is_empty())?;
                HeaderValue::from_maybe_shared(Bytes::from(value)).ok()
            }
        }
    }
}

impl Source for Context<'_> {
    fn client(&self) -> IpAddr {
        self.parsed.client.address
    }

    fn ports(&self) -> Option<(u16, u16)> {
        let connection = &self.parsed.connection;
        Some((connection.peer.port(), connection.port))
    }

    fn connection(&self) -> Option<Cow<'_, ConnectionFacts>> {
        self.parsed
            .downstream
            .map(|downstream| Cow::Owned(downstream.facts().of_host(self.host)))
    }

    fn https(&self) -> bool {
        self.parsed.connection.scheme == Scheme::Https
    }

    fn method(&self) -> &Method {
        &self.parsed.target.method
    }

    fn version(&self) -> Version {
        self.parsed.target.version
    }

    fn line_target(&self) -> Cow<'_, str> {
        Context::raw_target(self)
    }

    fn raw_target(&self) -> Cow<'_, str> {
        Context::raw_target(self)
    }

    fn query(&self) -> Option<&str> {
        Context::query(self)
    }

    fn path(&self) -> &[u8] {
        Context::path(self)
    }

    fn name(&self) -> &str {
        self.parsed.name
    }

    fn server_name(&self) -> &str {
        &self.host.name
    }

    fn host(&self) -> Option<&[u8]> {
        self.parsed.target.host.as_ref().map(HeaderValue::as_bytes)
    }

    fn forwarded_host(&self) -> Option<&[u8]> {
        self.parsed.client.host.as_ref().map(HeaderValue::as_bytes)
    }

    fn forwarded_scheme(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.parsed.client.scheme_value().as_bytes().to_vec())
    }

    fn forwarded_port(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.parsed.client.port_value().as_bytes().to_vec())
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        values::joined(&self.headers, name)
    }

    fn authorization(&self) -> Option<&[u8]> {
        self.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes)
    }

    fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        Context::cookie(self, name).map(|value| Cow::Borrowed(value.as_bytes()))
    }

    fn request_id(&self) -> Option<&[u8]> {
        Context::request_id(self).map(HeaderValue::as_bytes)
    }

    fn route(&self) -> Option<(&Origin, &str)> {
        Some((&self.route.origin, &self.route.path))
    }

    fn upstream_name(&self) -> &str {
        self.upstream.map_or("", |upstream| &upstream.log_name)
    }

    fn span(&self) -> Option<&RequestSpan> {
        self.span.as_deref()
    }

    /// There is none yet.
    fn of_response(&self, _: &Variable, _: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::{Balance, Pattern};

    #[test]
    fn every_variable_has_its_value() {
        let sample = Sample::new("POST", "/a%20b/c?x=1&Y=2&x=3")
            .header("x-user", "u1")
            .header("x-user", "u2")
            .header("cookie", "s=7")
            .header("content-type", "text/plain")
            .header("content-length", "12")
            .header("x-request-id", "id");
        let upstream = Sample::upstream(Balance::RoundRobin);
        let mut context = sample.context();
        context.upstream = Some(&upstream);
        for (source, expected) in [
            ("$remote_addr", "192.0.2.7"),
            ("$binary_remote_addr", "192.0.2.7"),
            ("$remote_port", "4711"),
            ("$host", "shop.example"),
            ("$http_host", "Shop.example:8080"),
            ("$best_http_host", "Shop.example:8080"),
            ("$request_uri", "/a%20b/c?x=1&Y=2&x=3"),
            (
                "$escaped_request_uri",
                "%2Fa%2520b%2Fc%3Fx%3D1%26Y%3D2%26x%3D3",
            ),
            ("$uri", "/a b/c"),
            ("$args", "x=1&Y=2&x=3"),
            ("$is_args", "?"),
            ("$request_method", "POST"),
            ("$scheme", "http"),
            ("$pass_access_scheme", "http"),
            ("$server_port", "8080"),
            ("$pass_server_port", "8080"),
            ("$server_name", "*.example"),
            ("$server_protocol", "HTTP/1.1"),
            ("$request_id", "id"),
            ("$content_length", "12"),
            ("$content_type", "text/plain"),
            (
                "$namespace/$ingress_name/$service_name:$service_port",
                "shop/web/web:80",
            ),
            ("$location_path", "/a"),
            ("$proxy_upstream_name", "shop-web-80"),
            ("$http_x_user", "u1, u2"),
            ("$cookie_s", "7"),
            ("$arg_x-$arg_y", "1-2"),
            (".$1.", ".."),
            ("$proxy_add_x_forwarded_for", "192.0.2.7"),
            ("$request", "POST /a%20b/c?x=1&Y=2&x=3 HTTP/1.1"),
            ("$https$http2$connection_upgrade$remote_user", ""),
            ("a${host}b", "ashop.exampleb"),
        ] {
            assert_eq!(
                context.evaluate(&Template::parse(source).unwrap()),
                expected,
                "{source}"
            );
        }
    }

    #[test]
    fn groups_come_from_the_match() {
        let sample = Sample::new("GET", "/api/x");
        let path = b"/api/x";
        let captures = Pattern::new("/(api)/(?P<rest>.*)")
            .unwrap()
            .captures(path)
            .unwrap();
        let matched = Matched { captures, path };
        let template = Template::with_groups("$2-$1-$rest-$9").unwrap();
        assert_eq!(
            sample.context().expand(&template, Some(&matched)),
            b"x-api-x-"
        );
    }
}
