//! Values of variables in templates.

use bytes::Bytes;
use headgate_table::{Captures, FieldTemplate, Piece, Template, Variable};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, UPGRADE};
use http::{HeaderName, HeaderValue};

use super::Context;
use crate::downstream::Downstream;
use crate::values::{self, argument, basic_user, http2, protocol, show};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A match of the route's pattern, for `$1` and named groups.
pub(crate) struct Matched<'p> {
    pub(crate) captures: Captures,
    /// The path that was matched.
    pub(crate) path: &'p [u8],
}

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
        let group = match piece {
            Piece::Text(text) => return out.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => return self.write(variable, out),
            Piece::Capture(number) => {
                matched.and_then(|matched| matched.captures.group(*number, matched.path))
            }
            Piece::Group(name) => {
                matched.and_then(|matched| matched.captures.named(name, matched.path))
            }
        };
        out.extend_from_slice(group.unwrap_or_default());
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

    fn write(&self, variable: &Variable, out: &mut Vec<u8>) {
        let parsed = &self.parsed;
        let text: &[u8] = match variable {
            Variable::RemoteAddr | Variable::BinaryRemoteAddr => {
                return show(out, parsed.client.address);
            }
            Variable::RemotePort => return show(out, parsed.connection.peer.port()),
            Variable::ServerPort => return show(out, parsed.connection.port),
            Variable::PassServerPort => return show(out, parsed.client.port),
            Variable::ProxyAddForwardedFor => return self.write_forwarded_for(out),
            Variable::ContentLength => return self.write_header(&CONTENT_LENGTH, out),
            Variable::ContentType => return self.write_header(&CONTENT_TYPE, out),
            Variable::Header(name) if *name != HOST => return self.write_header(name, out),
            Variable::RemoteUser => return self.write_user(out),
            Variable::RequestUri => return out.extend_from_slice(self.raw_target().as_bytes()),
            Variable::RequestLine => {
                let (target, version) = (self.raw_target(), protocol(parsed.target.version));
                return show(
                    out,
                    format_args!("{} {target} {version}", parsed.target.method),
                );
            }
            Variable::Header(_) => bytes_of(parsed.target.host.as_ref()),
            Variable::BestHttpHost => bytes_of(parsed.client.host.as_ref()),
            Variable::RequestId => bytes_of(self.request_id()),
            Variable::Host if parsed.name.is_empty() => self.host.name.as_bytes(),
            Variable::Host => parsed.name.as_bytes(),
            Variable::Uri => parsed.path,
            Variable::Args => parsed.target.query().unwrap_or_default().as_bytes(),
            Variable::IsArgs if parsed.target.query().is_some_and(|query| !query.is_empty()) => {
                b"?"
            }
            Variable::IsArgs => b"",
            Variable::RequestMethod => parsed.target.method.as_str().as_bytes(),
            Variable::Scheme => parsed.connection.scheme.as_str().as_bytes(),
            Variable::Https if self.https() => b"on",
            Variable::Https => b"",
            Variable::PassAccessScheme => parsed.client.scheme.as_str().as_bytes(),
            Variable::ServerName => self.host.name.as_bytes(),
            Variable::ServerProtocol => protocol(parsed.target.version).as_bytes(),
            Variable::Http2 => http2(parsed.target.version, self.https()).as_bytes(),
            Variable::ConnectionUpgrade if self.headers.contains_key(UPGRADE) => b"upgrade",
            Variable::ConnectionUpgrade => b"",
            Variable::Cookie(name) => self.cookie(name).unwrap_or_default().as_bytes(),
            Variable::Arg(name) => argument(parsed.target.query(), name).as_bytes(),
            Variable::Namespace => self.route.origin.namespace.as_bytes(),
            Variable::ObjectName => self.route.origin.name.as_bytes(),
            Variable::ServiceName => self.route.origin.service.as_bytes(),
            Variable::ServicePort => self.route.origin.port.as_bytes(),
            Variable::LocationPath => self.route.path.as_bytes(),
            Variable::ProxyUpstreamName => {
                let name = self.upstream.map_or("", |upstream| &upstream.log_name);
                name.as_bytes()
            }
            Variable::Geo(location) => {
                let client = parsed.client.address;
                let connection = parsed.downstream.map(Downstream::facts);
                return values::location(*location, connection.as_ref(), client, out);
            }
            Variable::PeerAddr
            | Variable::PeerPort
            | Variable::ProxyProtocolAddr
            | Variable::ProxyProtocolPort
            | Variable::ProxyProtocolServerAddr
            | Variable::ProxyProtocolServerPort
            | Variable::ServerAddr
            | Variable::Connection
            | Variable::ConnectionRequests
            | Variable::Msec
            | Variable::TimeIso8601
            | Variable::TimeLocal
            | Variable::Hostname
            | Variable::Pid
            | Variable::Tls(_)
            | Variable::Constant(_) => {
                let connection = parsed.downstream.map(Downstream::facts);
                return values::write(variable, connection.as_ref(), out);
            }
            // Of a later phase: templates of requests are refused with them when they are parsed.
            Variable::ProxyAlternativeUpstreamName
            | Variable::Status
            | Variable::RequestLength
            | Variable::RequestTime
            | Variable::SentHeader(_)
            | Variable::Upstream(_)
            | Variable::BodyBytesSent
            | Variable::BytesSent
            | Variable::RequestCompletion => b"",
        };
        out.extend_from_slice(text);
    }

    fn write_forwarded_for(&self, out: &mut Vec<u8>) {
        self.write_header(&X_FORWARDED_FOR, out);
        if !out.is_empty() && self.headers.contains_key(&X_FORWARDED_FOR) {
            out.extend_from_slice(b", ");
        }
        show(out, self.parsed.client.address);
    }

    /// The user of Basic credentials, verified or not.
    fn write_user(&self, out: &mut Vec<u8>) {
        let credentials = self.headers.get(AUTHORIZATION);
        let user = credentials.and_then(|value| basic_user(value.as_bytes()));
        out.extend_from_slice(&user.unwrap_or_default());
    }

    /// Several lines of one name are one value, joined by commas.
    fn write_header(&self, name: &HeaderName, out: &mut Vec<u8>) {
        for (at, line) in self.headers.get_all(name).iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(line.as_bytes());
        }
    }
}

fn bytes_of(value: Option<&HeaderValue>) -> &[u8] {
    value.map_or(&[], |value| value.as_bytes())
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
