//! Variables for log formats and templates of responses, from the record of the request.

use std::borrow::Cow;
use std::net::IpAddr;

use headgate_table::{Origin, Template, UpstreamVariable, Variable};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderName, HeaderValue, Method, Version};

use super::format;
use crate::record::Record;
use crate::telemetry::observation::{Observation, response_length};
use crate::trace::RequestSpan;
use crate::upstream::Attempt;
use crate::values::{ConnectionFacts, Scope, Source};

/// The text of `template` for the response to the request of `record`.
pub(crate) fn expand(record: &Record, template: &Template, scope: Scope<'_>) -> Vec<u8> {
    let seen = Observation::of(record, std::time::Instant::now());
    expand_seen(&seen, template, scope)
}

/// The text of `template` for a request that was observed.
pub(in crate::telemetry) fn expand_seen(
    seen: &Observation<'_>,
    template: &Template,
    scope: Scope<'_>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    scope.write(template, (seen, None), &mut out);
    out
}

impl Source for Observation<'_> {
    fn client(&self) -> IpAddr {
        self.client.to_canonical()
    }

    fn ports(&self) -> Option<(u16, u16)> {
        let connection = self.details?.connection.as_ref()?;
        Some((connection.peer.port(), connection.local.port()))
    }

    fn connection(&self) -> Option<Cow<'_, ConnectionFacts>> {
        self.details?.connection.as_ref().map(Cow::Borrowed)
    }

    fn https(&self) -> bool {
        let connection = self.details.and_then(|details| details.connection.as_ref());
        connection.is_some_and(|connection| connection.tls.is_some())
    }

    fn method(&self) -> &Method {
        self.method
    }

    fn version(&self) -> Version {
        self.version
    }

    fn line_target(&self) -> Cow<'_, str> {
        match self.target.scheme_str() {
            Some(_) if self.version <= Version::HTTP_11 => Cow::Owned(self.target.to_string()),
            _ => self.raw_target(),
        }
    }

    fn raw_target(&self) -> Cow<'_, str> {
        let target = self.target.path_and_query();
        Cow::Borrowed(target.map_or("/", |target| target.as_str()))
    }

    fn query(&self) -> Option<&str> {
        self.target.query()
    }

    fn path(&self) -> &[u8] {
        self.details.map_or(b"", |details| &details.path)
    }

    fn name(&self) -> &str {
        self.details.map_or("", |details| &details.name)
    }

    fn server_name(&self) -> &str {
        self.host.map_or("", |host| host)
    }

    fn host(&self) -> Option<&[u8]> {
        self.details?.host.as_ref().map(HeaderValue::as_bytes)
    }

    fn forwarded_host(&self) -> Option<&[u8]> {
        let host = self.details?.forwarded_host.as_ref();
        host.map(HeaderValue::as_bytes)
    }

    fn forwarded_scheme(&self) -> Cow<'_, [u8]> {
        let scheme = self.details.and_then(|details| details.scheme.as_ref());
        Cow::Borrowed(scheme.map_or(b"", |scheme| scheme.as_bytes()))
    }

    fn forwarded_port(&self) -> Cow<'_, [u8]> {
        let port = self.details.and_then(|details| details.port.as_ref());
        Cow::Borrowed(port.map_or(b"", |port| port.as_bytes()))
    }

    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>> {
        self.details?.request.find(name).map(Cow::Borrowed)
    }

    fn authorization(&self) -> Option<&[u8]> {
        let kept = || self.details?.request.find(&AUTHORIZATION);
        self.authorization.or_else(kept)
    }

    fn cookie(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let sent = self.details?.request.find(&COOKIE)?;
        Some(Cow::Borrowed(cookie(sent, name)))
    }

    fn request_id(&self) -> Option<&[u8]> {
        self.request_id
    }

    fn route(&self) -> Option<(&Origin, &str)> {
        self.route.map(|route| (&**route.origin, &**route.path))
    }

    fn upstream_name(&self) -> &str {
        format::upstream_name(self)
    }

    fn span(&self) -> Option<&RequestSpan> {
        self.span
    }

    fn of_response(&self, variable: &Variable, out: &mut Vec<u8>) {
        match variable {
            Variable::Status => format::number(out, u64::from(self.status)),
            Variable::RequestLength => format::number(out, self.request_length),
            Variable::RequestTime => format::seconds(out, self.duration),
            Variable::BodyBytesSent => format::number(out, self.body_bytes_sent),
            Variable::BytesSent => format::number(out, self.bytes_sent()),
            Variable::RequestCompletion if self.complete => out.extend_from_slice(b"OK"),
            Variable::SentHeader(name) => {
                let sent = self.details.and_then(|details| details.response.find(name));
                field(out, sent);
            }
            Variable::ProxyAlternativeUpstreamName => {
                field(out, self.alternative.map(|name| name.as_bytes()));
            }
            Variable::Upstream(variable) => of_upstream(variable, self, out),
            _ => {}
        }
    }
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
