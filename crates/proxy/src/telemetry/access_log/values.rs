//! Values of variables for log formats and templates of responses, from the record of the request.

use headgate_table::{Piece, Template, UpstreamVariable, Variable};
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, SET_COOKIE, UPGRADE,
};
use http::{HeaderName, Version};

use super::format;
use crate::record::Record;

use crate::telemetry::observation::{Observation, response_length};
use crate::upstream::Attempt;
use crate::values::{self, argument, basic_user, http2, protocol, show};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Bytes of the head of a response, about.
const HEAD: u64 = 200;

/// The text of `template` for the response to the request of `record`.
pub(crate) fn expand(record: &Record, template: &Template) -> Vec<u8> {
    let seen = Observation::of(record, std::time::Instant::now());
    let mut out = Vec::with_capacity(64);
    for piece in template.pieces() {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => write(variable, &seen, &mut out),
            Piece::Capture(_) | Piece::Group(_) => {}
        }
    }
    out
}

/// Appends the value of `variable`; nothing if it has none.
pub(super) fn write(variable: &Variable, seen: &Observation<'_>, out: &mut Vec<u8>) {
    match variable {
        Variable::Header(_)
        | Variable::Cookie(_)
        | Variable::Arg(_)
        | Variable::ContentLength
        | Variable::ContentType
        | Variable::ConnectionUpgrade
        | Variable::RemoteUser
        | Variable::ProxyAddForwardedFor
        | Variable::Host
        | Variable::BestHttpHost
        | Variable::RequestLine
        | Variable::RequestUri
        | Variable::Uri
        | Variable::Args
        | Variable::IsArgs
        | Variable::RequestMethod
        | Variable::RequestId
        | Variable::ServerProtocol
        | Variable::Http2
        | Variable::Scheme
        | Variable::Https
        | Variable::PassAccessScheme
        | Variable::PassServerPort => of_request(variable, seen, out),
        Variable::ServerName
        | Variable::Namespace
        | Variable::ObjectName
        | Variable::ServiceName
        | Variable::ServicePort
        | Variable::LocationPath
        | Variable::ProxyUpstreamName
        | Variable::ProxyAlternativeUpstreamName => of_route(variable, seen, out),
        Variable::RemoteAddr | Variable::BinaryRemoteAddr => {
            format::address(out, seen.client.to_canonical());
        }
        Variable::Status => format::number(out, u64::from(seen.status)),
        Variable::RequestLength => format::number(out, seen.request_length),
        Variable::RequestTime => format::seconds(out, seen.duration),
        Variable::BodyBytesSent => format::number(out, seen.body_bytes_sent),
        Variable::BytesSent => format::number(out, seen.body_bytes_sent.saturating_add(HEAD)),
        Variable::RequestCompletion if seen.complete => out.extend_from_slice(b"OK"),
        Variable::RequestCompletion => {}
        Variable::SentHeader(name) => {
            field(
                out,
                seen.details.and_then(|details| details.response.find(name)),
            );
        }
        Variable::Upstream(variable) => of_upstream(variable, seen, out),
        Variable::Geo(location) => {
            let connection = seen.details.and_then(|details| details.connection.as_ref());
            values::location(*location, connection, seen.client.to_canonical(), out);
        }
        Variable::RemotePort
        | Variable::PeerAddr
        | Variable::PeerPort
        | Variable::ProxyProtocolAddr
        | Variable::ProxyProtocolPort
        | Variable::ProxyProtocolServerAddr
        | Variable::ProxyProtocolServerPort
        | Variable::ServerAddr
        | Variable::ServerPort
        | Variable::Connection
        | Variable::ConnectionRequests
        | Variable::Msec
        | Variable::TimeIso8601
        | Variable::TimeLocal
        | Variable::Hostname
        | Variable::Pid
        | Variable::Tls(_)
        | Variable::Constant(_) => {
            let connection = seen.details.and_then(|details| details.connection.as_ref());
            values::write(variable, connection, out);
        }
    }
}

fn of_request(variable: &Variable, seen: &Observation<'_>, out: &mut Vec<u8>) {
    let details = seen.details;
    let sent = |name: &HeaderName| details.and_then(|details| details.request.find(name));
    let path = seen
        .target
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let query = seen.target.query();
    let https = details
        .and_then(|details| details.connection.as_ref())
        .is_some_and(|connection| connection.tls.is_some());
    let host = details.and_then(|details| details.host.as_ref());
    let text: &[u8] = match variable {
        Variable::Header(name) if *name == HOST => host.map_or(b"", |host| host.as_bytes()),
        Variable::Header(name) => sent(name).unwrap_or_default(),
        Variable::Cookie(name) => cookie(sent(&COOKIE).unwrap_or_default(), name),
        Variable::Arg(name) => argument(query, name).as_bytes(),
        Variable::ContentLength => sent(&CONTENT_LENGTH).unwrap_or_default(),
        Variable::ContentType => sent(&CONTENT_TYPE).unwrap_or_default(),
        Variable::ConnectionUpgrade => sent(&UPGRADE).map_or(b"", |_| b"upgrade"),
        Variable::RemoteUser => {
            let credentials = seen.authorization.or_else(|| sent(&AUTHORIZATION));
            return field(out, credentials.and_then(basic_user).as_deref());
        }
        Variable::ProxyAddForwardedFor => {
            if let Some(list) = sent(&X_FORWARDED_FOR) {
                out.extend_from_slice(list);
                out.extend_from_slice(b", ");
            }
            return format::address(out, seen.client.to_canonical());
        }
        Variable::Host => {
            let name = details.map(|details| &*details.name).unwrap_or_default();
            let configured = seen.host.map_or("", |host| host);
            if name.is_empty() { configured } else { name }.as_bytes()
        }
        Variable::BestHttpHost => {
            let forwarded = details.and_then(|details| details.forwarded_host.as_ref());
            forwarded.or(host).map_or(b"", |host| host.as_bytes())
        }
        Variable::RequestLine => {
            let protocol = protocol(seen.version);
            let target = match seen.target.scheme_str() {
                Some(_) if seen.version <= Version::HTTP_11 => seen.target.to_string(),
                _ => path.to_owned(),
            };
            return show(out, format_args!("{} {target} {protocol}", seen.method));
        }
        Variable::RequestUri => path.as_bytes(),
        Variable::Uri => details.map_or(b"", |details| &details.path),
        Variable::Args => query.unwrap_or_default().as_bytes(),
        Variable::IsArgs if query.is_some_and(|query| !query.is_empty()) => b"?",
        Variable::RequestMethod => seen.method.as_str().as_bytes(),
        Variable::RequestId => seen.request_id.unwrap_or_default(),
        Variable::ServerProtocol => protocol(seen.version).as_bytes(),
        Variable::Http2 => http2(seen.version, https).as_bytes(),
        Variable::Scheme => if https { "https" } else { "http" }.as_bytes(),
        Variable::Https if https => b"on",
        Variable::PassAccessScheme => details.map_or("", |details| details.scheme).as_bytes(),
        Variable::PassServerPort => {
            if let Some(port) = details.and_then(|details| details.port) {
                show(out, port);
            }
            return;
        }
        _ => b"",
    };
    out.extend_from_slice(text);
}

fn of_route(variable: &Variable, seen: &Observation<'_>, out: &mut Vec<u8>) {
    let origin = seen.route.map(|route| route.origin);
    let of_origin =
        |name: fn(&headgate_table::Origin) -> &str| origin.map_or("", |origin| name(origin));
    let text = match variable {
        Variable::ServerName => seen.host.map_or("", |host| host),
        Variable::Namespace => of_origin(|origin| &origin.namespace),
        Variable::ObjectName => of_origin(|origin| &origin.name),
        Variable::ServiceName => of_origin(|origin| &origin.service),
        Variable::ServicePort => of_origin(|origin| &origin.port),
        Variable::LocationPath => seen.route.map_or("", |route| route.path),
        Variable::ProxyUpstreamName => format::upstream_name(seen),
        Variable::ProxyAlternativeUpstreamName => seen.alternative.map_or("", |name| name),
        _ => "",
    };
    out.extend_from_slice(text.as_bytes());
}

fn of_upstream(variable: &UpstreamVariable, seen: &Observation<'_>, out: &mut Vec<u8>) {
    let sent = |name: &HeaderName| seen.details.and_then(|details| details.upstream.find(name));
    match variable {
        UpstreamVariable::Header(name) => return field(out, sent(name)),
        UpstreamVariable::Cookie(name) => {
            return out.extend_from_slice(cookie(sent(&SET_COOKIE).unwrap_or_default(), name));
        }
        _ => {}
    }
    if seen.attempts.is_empty() {
        return;
    }
    format::list(out, seen, |out, index, attempt: &Attempt| match variable {
        UpstreamVariable::Addr => format::socket(out, attempt.endpoint),
        UpstreamVariable::Status => match attempt.status {
            Some(status) => format::number(out, u64::from(status.as_u16())),
            None => out.push(b'-'),
        },
        UpstreamVariable::ConnectTime => time(out, attempt.connect),
        UpstreamVariable::HeaderTime => time(out, attempt.header),
        UpstreamVariable::ResponseTime => time(out, seen.response_time(index)),
        UpstreamVariable::ResponseLength => format::number(out, response_length(attempt)),
        UpstreamVariable::Header(_) | UpstreamVariable::Cookie(_) => {}
    });
}

fn time(out: &mut Vec<u8>, time: Option<std::time::Duration>) {
    match time {
        Some(time) => format::seconds(out, time),
        None => out.push(b'-'),
    }
}

fn field(out: &mut Vec<u8>, value: Option<&[u8]>) {
    out.extend_from_slice(value.unwrap_or_default());
}

/// The value of a cookie in `Cookie`, or in joined lines of `Set-Cookie`; names are compared ignoring case, as in nginx.
fn cookie<'v>(fields: &'v [u8], name: &str) -> &'v [u8] {
    let pairs = fields.split(|byte| matches!(byte, b';' | b','));
    let mut values = pairs.filter_map(|pair| {
        let at = memchr::memchr(b'=', pair)?;
        let (key, value) = (pair.get(..at)?, pair.get(at + 1..)?);
        key.trim_ascii()
            .eq_ignore_ascii_case(name.as_bytes())
            .then(|| value.trim_ascii())
    });
    values.next().unwrap_or_default()
}
