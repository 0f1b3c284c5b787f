//! Values of variables in templates.

use std::fmt::Display;
use std::io::Write;

use headgate_table::{Captures, Piece, Template, Variable};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{HeaderName, Version};

use super::Context;

/// A match of the route's pattern, for `$1` and named groups.
pub(crate) struct Matched<'p> {
    pub(crate) captures: Captures,
    /// The path that was matched.
    pub(crate) path: &'p [u8],
}

impl Context<'_> {
    /// `template` with its variables filled in; unknown ones are empty. The result contains bytes of the client: a caller
    /// that writes it into a head or URL must check or encode it.
    pub(crate) fn expand(&self, template: &Template, matched: Option<&Matched<'_>>) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Capture(number) => {
                    let group =
                        matched.and_then(|matched| matched.captures.group(*number, matched.path));
                    out.extend_from_slice(group.unwrap_or_default());
                }
                Piece::Variable(Variable::Named(name)) => {
                    let group =
                        matched.and_then(|matched| matched.captures.named(name, matched.path));
                    out.extend_from_slice(group.unwrap_or_default());
                }
                Piece::Variable(variable) => self.write(variable, &mut out),
            }
        }
        out
    }

    fn write(&self, variable: &Variable, out: &mut Vec<u8>) {
        let parsed = &self.parsed;
        let origin = &self.route.origin;
        match variable {
            Variable::RemoteAddr | Variable::BinaryRemoteAddr => show(out, parsed.client.address),
            Variable::RemotePort => show(out, parsed.connection.peer.port()),
            Variable::Host if parsed.name.is_empty() => {
                out.extend_from_slice(self.host.name.as_bytes())
            }
            Variable::Host => out.extend_from_slice(parsed.name.as_bytes()),
            Variable::BestHttpHost => out.extend_from_slice(
                parsed
                    .client
                    .host
                    .as_ref()
                    .map_or(&[], |host| host.as_bytes()),
            ),
            Variable::RequestUri => out.extend_from_slice(self.raw_target().as_bytes()),
            Variable::Uri => out.extend_from_slice(parsed.path),
            Variable::Args => {
                out.extend_from_slice(parsed.target.query().unwrap_or_default().as_bytes())
            }
            Variable::IsArgs if parsed.target.query().is_some_and(|query| !query.is_empty()) => {
                out.push(b'?')
            }
            Variable::RequestMethod => {
                out.extend_from_slice(parsed.target.method.as_str().as_bytes())
            }
            Variable::Scheme => out.extend_from_slice(parsed.connection.scheme.as_str().as_bytes()),
            Variable::PassAccessScheme => {
                out.extend_from_slice(parsed.client.scheme.as_str().as_bytes())
            }
            Variable::ServerPort => show(out, parsed.connection.port),
            Variable::PassServerPort => show(out, parsed.client.port),
            Variable::ServerName => out.extend_from_slice(self.host.name.as_bytes()),
            Variable::ServerProtocol => {
                out.extend_from_slice(protocol(parsed.target.version).as_bytes())
            }
            Variable::RequestId => {
                out.extend_from_slice(self.request_id().map_or(&[], |id| id.as_bytes()))
            }
            Variable::ContentLength => self.write_header(&CONTENT_LENGTH, out),
            Variable::ContentType => self.write_header(&CONTENT_TYPE, out),
            Variable::Namespace => out.extend_from_slice(origin.namespace.as_bytes()),
            Variable::ObjectName => out.extend_from_slice(origin.name.as_bytes()),
            Variable::ServiceName => out.extend_from_slice(origin.service.as_bytes()),
            Variable::ServicePort => out.extend_from_slice(origin.port.as_bytes()),
            Variable::LocationPath => out.extend_from_slice(self.route.path.as_bytes()),
            Variable::ProxyUpstreamName => {
                out.extend_from_slice(
                    self.upstream
                        .map_or("", |upstream| &upstream.log_name)
                        .as_bytes(),
                );
            }
            Variable::Header(name) if *name == HOST => {
                out.extend_from_slice(
                    parsed
                        .target
                        .host
                        .as_ref()
                        .map_or(&[], |host| host.as_bytes()),
                );
            }
            Variable::Header(name) => self.write_header(name, out),
            Variable::Cookie(name) => {
                out.extend_from_slice(self.cookie(name).unwrap_or_default().as_bytes())
            }
            Variable::Arg(name) => {
                out.extend_from_slice(argument(parsed.target.query(), name).as_bytes())
            }
            // `expand` writes groups; without a query there is no question mark.
            Variable::Named(_) | Variable::IsArgs => {}
        }
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

/// Value of a query argument as sent; names are compared ignoring case, as in nginx.
fn argument<'q>(query: Option<&'q str>, name: &str) -> &'q str {
    let pairs = query
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let mut values = pairs
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value);
    values.next().unwrap_or_default()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

fn show(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
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
            ("$nonsense.$1.", ".."),
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
        let template = Template::parse("$2-$1-$rest-$9").unwrap();
        assert_eq!(
            sample.context().expand(&template, Some(&matched)),
            b"x-api-x-"
        );
    }
}
