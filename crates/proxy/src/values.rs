//! Values of variables in templates and log formats: the one place that says what a variable is.

mod connection;
mod locals;
mod user;

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::net::IpAddr;
use std::sync::LazyLock;

use headgate_table::{GeoVariable, Origin, Variable};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, UPGRADE};
use http::{HeaderMap, HeaderName, Method, Version};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

pub(crate) use self::connection::{ConnectionFacts, Proxied};
pub(crate) use self::locals::{Locals, Matched, Scope};
pub(crate) use self::user::of as basic_user;
use crate::trace::RequestSpan;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A request that variables are read of: one in progress, or the record of one. What is not known (yet) is `None` or empty.
pub(crate) trait Source {
    /// The client, after real-IP processing.
    fn client(&self) -> IpAddr;
    /// Ports of the client and of the proxy.
    fn ports(&self) -> Option<(u16, u16)>;
    fn connection(&self) -> Option<Cow<'_, ConnectionFacts>>;
    /// Whether the client's connection is TLS.
    fn https(&self) -> bool;
    fn method(&self) -> &Method;
    fn version(&self) -> Version;
    /// The request target as in the request line.
    fn line_target(&self) -> Cow<'_, str>;
    /// Path and query as sent.
    fn raw_target(&self) -> Cow<'_, str>;
    fn query(&self) -> Option<&str>;
    /// Decoded, normalised path.
    fn path(&self) -> &[u8];
    /// Canonical host.
    fn name(&self) -> &str;
    /// The host as configured.
    fn server_name(&self) -> &str;
    /// `Host` as sent.
    fn host(&self) -> Option<&[u8]>;
    /// The host that the client requested, also behind a trusted balancer.
    fn forwarded_host(&self) -> Option<&[u8]>;
    /// The scheme that the client used, as upstreams get it.
    fn forwarded_scheme(&self) -> Cow<'_, [u8]>;
    /// The port that the client connected to, as upstreams get it.
    fn forwarded_port(&self) -> Cow<'_, [u8]>;
    /// A field of the client; several lines are one value.
    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>>;
    /// `Authorization`
    fn authorization(&self) -> Option<&[u8]>;
    fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>>;
    fn request_id(&self) -> Option<&[u8]>;
    /// The objects and the path of the route.
    fn route(&self) -> Option<(&Origin, &str)>;
    /// Log name of the upstream.
    fn upstream_name(&self) -> &str;
    /// Its place in a trace, if its route is traced. Default: none.
    fn span(&self) -> Option<&RequestSpan> {
        None
    }
    /// Whether a database that is mounted has `variable`, for any address.
    fn knows_location(&self, variable: GeoVariable) -> bool {
        let connection = self.connection();
        let locations = connection
            .as_ref()
            .and_then(|connection| connection.locations.as_ref());
        locations.is_some_and(|locations| locations.has(variable))
    }
    /// Appends a variable of the response. Templates of requests are refused with these when they are parsed.
    fn of_response(&self, variable: &Variable, out: &mut Vec<u8>);
}

/// Appends the value of `variable` for a request; nothing if it has none.
pub(crate) fn write(variable: &Variable, request: &impl Source, out: &mut Vec<u8>) {
    match variable {
        Variable::RemoteAddr | Variable::BinaryRemoteAddr => show(out, request.client()),
        Variable::RemotePort => show_some(out, request.ports().map(|(client, _)| client)),
        Variable::ServerPort => show_some(out, request.ports().map(|(_, own)| own)),
        Variable::Header(name) if *name == HOST => some(out, request.host()),
        Variable::Header(name) => field(out, request, name),
        Variable::ContentLength => field(out, request, &CONTENT_LENGTH),
        Variable::ContentType => field(out, request, &CONTENT_TYPE),
        Variable::ConnectionUpgrade => {
            text(
                out,
                if request.header(&UPGRADE).is_some() {
                    "upgrade"
                } else {
                    ""
                },
            );
        }
        Variable::Cookie(name) => some(out, request.cookie(name).as_deref()),
        Variable::Arg(name) => text(out, argument(request.query(), name)),
        Variable::RemoteUser => {
            some(out, request.authorization().and_then(basic_user).as_deref());
        }
        Variable::ProxyAddForwardedFor => {
            let list = request.header(&X_FORWARDED_FOR);
            if let Some(list) = list.filter(|list| !list.is_empty()) {
                out.extend_from_slice(&list);
                out.extend_from_slice(b", ");
            }
            show(out, request.client());
        }
        Variable::Host => {
            let name = request.name();
            text(
                out,
                if name.is_empty() {
                    request.server_name()
                } else {
                    name
                },
            );
        }
        Variable::BestHttpHost => some(out, request.forwarded_host().or_else(|| request.host())),
        Variable::RequestLine => {
            let (target, version) = (request.line_target(), protocol(request.version()));
            show(out, format_args!("{} {target} {version}", request.method()));
        }
        Variable::RequestUri => text(out, &request.raw_target()),
        Variable::EscapedRequestUri => escaped(&request.raw_target(), out),
        Variable::Uri | Variable::FastCgiScriptName => out.extend_from_slice(request.path()),
        Variable::Args => text(out, request.query().unwrap_or_default()),
        Variable::IsArgs => {
            let any = request.query().is_some_and(|query| !query.is_empty());
            text(out, if any { "?" } else { "" });
        }
        Variable::RequestMethod => text(out, request.method().as_str()),
        Variable::RequestId => some(out, request.request_id()),
        Variable::ServerProtocol => text(out, protocol(request.version())),
        Variable::Http2 => text(out, http2(request.version(), request.https())),
        Variable::Scheme => text(out, if request.https() { "https" } else { "http" }),
        Variable::Https => text(out, if request.https() { "on" } else { "" }),
        Variable::PassAccessScheme => out.extend_from_slice(&request.forwarded_scheme()),
        Variable::PassServerPort => out.extend_from_slice(&request.forwarded_port()),
        Variable::ServerName => text(out, request.server_name()),
        Variable::Namespace => text(out, request.route().map_or("", |(of, _)| &of.namespace)),
        Variable::ObjectName => text(out, request.route().map_or("", |(of, _)| &of.name)),
        Variable::ServiceName => text(out, request.route().map_or("", |(of, _)| &of.service)),
        Variable::ServicePort => text(out, request.route().map_or("", |(of, _)| &of.port)),
        Variable::LocationPath => text(out, request.route().map_or("", |(_, path)| path)),
        Variable::ProxyUpstreamName => text(out, request.upstream_name()),
        Variable::Geo(location) => {
            let connection = request.connection();
            connection::location(*location, connection.as_deref(), request.client(), out);
        }
        Variable::Trace(variable) => {
            if let Some(span) = request.span() {
                span.write(*variable, out);
            }
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
        | Variable::Tls(_) => {
            if let Some(connection) = request.connection() {
                connection::write(variable, &connection, out);
            }
        }
        Variable::Msec => {
            let now = Timestamp::now();
            let milliseconds = now.subsec_millisecond();
            show(out, format_args!("{}.{milliseconds:03}", now.as_second()));
        }
        Variable::TimeIso8601 => show(out, Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00")),
        Variable::TimeLocal => show(out, Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000")),
        Variable::Hostname => text(out, &HOSTNAME),
        Variable::Pid => show(out, std::process::id()),
        Variable::Constant(constant) => text(out, constant),
        Variable::ProxyAlternativeUpstreamName
        | Variable::Status
        | Variable::RequestLength
        | Variable::RequestTime
        | Variable::SentHeader(_)
        | Variable::Upstream(_)
        | Variable::BodyBytesSent
        | Variable::BytesSent
        | Variable::RequestCompletion => request.of_response(variable, out),
    }
}

fn field(out: &mut Vec<u8>, request: &impl Source, name: &HeaderName) {
    some(out, request.header(name).as_deref());
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn some(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.extend_from_slice(value.unwrap_or_default());
}

fn show_some(out: &mut Vec<u8>, value: Option<impl Display>) {
    if let Some(value) = value {
        show(out, value);
    }
}

/// All lines of a field as one value: joined by commas, those of `Cookie` by semicolons.
pub(crate) fn joined<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Cow<'h, [u8]>> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?.as_bytes();
    let Some(second) = lines.next() else {
        return Some(Cow::Borrowed(first));
    };
    let separator: &[u8] = if *name == COOKIE { b"; " } else { b", " };
    let mut all = first.to_vec();
    for line in std::iter::once(second).chain(lines) {
        all.extend_from_slice(separator);
        all.extend_from_slice(line.as_bytes());
    }
    Some(Cow::Owned(all))
}

/// What a URL as a query parameter needs: everything but unreserved characters (RFC 3986 section 2.3).
pub(crate) const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `$escaped_request_uri` of the raw `target`.
fn escaped(target: &str, out: &mut Vec<u8>) {
    for part in percent_encode(target.as_bytes(), COMPONENT) {
        out.extend_from_slice(part.as_bytes());
    }
}

/// `$http2`.
fn http2(version: Version, https: bool) -> &'static str {
    match (version, https) {
        (Version::HTTP_2, true) => "h2",
        (Version::HTTP_2, false) => "h2c",
        _ => "",
    }
}

/// `$server_protocol`.
pub(crate) fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
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

pub(crate) fn show(out: &mut Vec<u8>, value: impl Display) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

/// Read once: it does not change while the process runs. In a pod it is the pod's name.
pub(crate) static HOSTNAME: LazyLock<String> = LazyLock::new(|| {
    let read = std::fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| String::new(), |name| name.trim().to_owned())
});
