//! The head of the upstream request, edited in place from that of the client (behaviour.md 3.1).
//!
//! Fields that identify the client are built from the canonical request. A client's fields of these names are dropped, in
//! every spelling, unless forwarded headers are trusted.

use std::io::Write;
use std::net::IpAddr;

use headgate_table::{BackendProtocol, ConnectionHeader, FieldEdits, FieldTemplate};
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TE, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use smallvec::SmallVec;

use super::{clients, edits, hop_by_hop, spoofable_headers};
use crate::ipv4_text::Ipv4Text;
use crate::request::{Context, listed};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-scheme");
const X_FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-original-forwarded-for");
const X_ORIGINAL_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-original-forwarded-host");

/// Number of fields to reserve space for.
const ADDED: usize = 12;

/// What else the head depends on.
#[derive(Debug, Default)]
pub(super) struct Extra<'r> {
    /// `X-Forwarded-Prefix`
    pub(super) prefix: Option<HeaderValue>,
    /// Length of the body if known, for `Content-Length`.
    pub(super) body_length: Option<u64>,
    pub(super) edits: Option<&'r FieldEdits>,
}

/// The fields of the upstream request.
pub(super) struct UpstreamHead {
    pub(super) headers: HeaderMap,
    /// It requests an upgrade: the fields include `Connection` and `Upgrade`.
    pub(super) upgrade: bool,
}

/// Builds the fields of the upstream request from those that `context` hands over.
pub(super) fn upstream_head(context: &mut Context<'_>, extra: Extra<'_>) -> UpstreamHead {
    let settings = context.settings;
    let forwarding = &context.route.policy.forwarding;
    let fields = ProxyFields::of(context);
    let mut headers = context.hand_over_headers();
    let upgrade = requested_upgrade(context, &headers);
    let trailers = context.protocol().is_grpc() && hop_by_hop::has_token(&headers, &TE, "trailers");

    hop_by_hop::remove(&mut headers);
    spoofable_headers::remove(&mut headers, settings);
    if is_password_of_route(context) {
        headers.remove(AUTHORIZATION);
    }
    canonical_framing(&mut headers, extra.body_length);
    join_cookies(&mut headers);

    // This fails only above a number of fields that is refused before.
    let _ = headers.try_reserve(ADDED);
    fields.insert(context, &mut headers);
    clients::describe(context, &mut headers);
    if let Some(prefix) = extra.prefix {
        headers.insert(X_FORWARDED_PREFIX, prefix);
    }
    if let Some(edits) = extra.edits {
        edits::apply(&mut headers, edits);
    }
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    let requested = upgrade.is_some();
    connection(&mut headers, forwarding.connection_header, upgrade);
    UpstreamHead {
        headers,
        upgrade: requested,
    }
}

/// Whether `Authorization` is for the route itself, and no endpoint may see it.
pub(super) fn is_password_of_route(context: &Context<'_>) -> bool {
    let authentication = &context.route.policy.authentication;
    let authentication = authentication.as_ref();
    authentication.is_some_and(|authentication| authentication.credentials.is_some())
}

/// Fields that the proxy sets, as far as they depend on the client's fields, which are edited afterwards.
struct ProxyFields {
    forwarded_for: Option<HeaderValue>,
    original_forwarded_for: Option<HeaderValue>,
    original_forwarded_host: Option<HeaderValue>,
    /// `upstream-vhost`
    host: Option<HeaderValue>,
    configured: SmallVec<[(HeaderName, Vec<u8>); 2]>,
}

impl ProxyFields {
    fn of(context: &Context<'_>) -> Self {
        let trust = &context.settings.forwarded;
        let configured = context.settings.request_headers.iter();
        let configured =
            configured.map(|(name, template)| (name.clone(), context.expand(template, None)));
        let script = context.route.policy.script.as_ref();
        let script = script.into_iter().flat_map(|script| &script.request_fields);
        let script = script.map(|(name, value)| (name.clone(), text(context, value)));
        Self {
            forwarded_for: full_forwarded_for(context),
            original_forwarded_for: listed(&context.headers, &trust.for_header),
            original_forwarded_host: listed(&context.headers, &trust.host_header),
            host: context
                .route
                .policy
                .forwarding
                .host
                .as_ref()
                .and_then(|host| context.field(host)),
            configured: configured.chain(script).collect(),
        }
    }

    fn insert(self, context: &Context<'_>, headers: &mut HeaderMap) {
        let client = &context.parsed.client;
        let requested = client
            .host
            .clone()
            .or_else(|| HeaderValue::from_str(&context.host.name).ok());
        set(headers, HOST, self.host.or_else(|| requested.clone()));
        set(headers, X_REQUEST_ID, context.request_id().cloned());
        let address = address(client.address);
        // The list ends with the previous hop, which is the peer and not the client behind it.
        set(
            headers,
            X_FORWARDED_FOR,
            self.forwarded_for.or_else(|| address.clone()),
        );
        set(headers, X_REAL_IP, address);
        set(headers, X_FORWARDED_HOST, requested);
        let scheme = client.scheme_value();
        for (name, value) in [
            (X_FORWARDED_PORT, client.port_value()),
            (X_FORWARDED_PROTO, scheme.clone()),
            (X_FORWARDED_SCHEME, scheme.clone()),
            (X_SCHEME, scheme),
        ] {
            set(headers, name, Some(value).filter(|value| !value.is_empty()));
        }
        if context.settings.add_original_uri {
            set(
                headers,
                X_ORIGINAL_URI,
                HeaderValue::from_str(&context.raw_target()).ok(),
            );
        }
        // A hop before this one does not set these, even if it is trusted.
        for (name, value) in [
            (X_ORIGINAL_FORWARDED_FOR, self.original_forwarded_for),
            (X_ORIGINAL_FORWARDED_HOST, self.original_forwarded_host),
        ] {
            set(headers, name, value);
        }
        for (name, _) in &self.configured {
            spoofable_headers::remove_spellings(headers, name);
        }
        for (name, value) in self.configured {
            configure(headers, name, value);
        }
    }
}

/// The text of a configured field.
fn text(context: &Context<'_>, value: &FieldTemplate) -> Vec<u8> {
    match value {
        FieldTemplate::Fixed(value) => value.as_bytes().to_vec(),
        FieldTemplate::Template(template) => context.expand(template, None),
    }
}

/// Sets a configured field; an empty value removes it.
fn configure(headers: &mut HeaderMap, name: HeaderName, value: Vec<u8>) {
    if edits::is_reserved(&name) {
        return;
    }
    let value = if value.is_empty() {
        None
    } else {
        HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()
    };
    set(headers, name, value);
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => headers.insert(name, value),
        None => headers.remove(name),
    };
}

/// The value of `X-Forwarded-For` if settings keep the received list; otherwise it is the client.
pub(super) fn full_forwarded_for(context: &Context<'_>) -> Option<HeaderValue> {
    let trust = &context.settings.forwarded;
    if !(trust.use_forwarded_headers && trust.append) {
        return None;
    }
    // Whichever field names the client (`forwarded-for-header`), this one is continued.
    match listed(&context.headers, &X_FORWARDED_FOR) {
        Some(list) => appended(&list, context),
        None => address(context.parsed.connection.peer.ip().to_canonical()),
    }
}

/// The received list with the peer appended.
fn appended(list: &HeaderValue, context: &Context<'_>) -> Option<HeaderValue> {
    let peer = context.parsed.connection.peer.ip().to_canonical();
    let mut text = list.as_bytes().to_vec();
    write!(text, ", {peer}").ok()?;
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).ok()
}

pub(super) fn address(address: IpAddr) -> Option<HeaderValue> {
    if let IpAddr::V4(v4) = address {
        return HeaderValue::from_bytes(Ipv4Text::of(v4).as_bytes()).ok();
    }
    // The longest one has 39 characters.
    let mut text = [0_u8; 48];
    let mut rest = text.as_mut_slice();
    write!(rest, "{address}").ok()?;
    let left = rest.len();
    text.get(..text.len() - left)
        .and_then(|text| HeaderValue::from_bytes(text).ok())
}

/// `Content-Length` once, in canonical digits. `Expect` is not forwarded, because the proxy itself sends the 100.
fn canonical_framing(headers: &mut HeaderMap, body_length: Option<u64>) {
    headers.remove(EXPECT);
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return };
    let canonical =
        lengths.next().is_none() && (first.len() == 1 || first.as_bytes().first() != Some(&b'0'));
    if !canonical {
        set(headers, CONTENT_LENGTH, body_length.map(HeaderValue::from));
    }
}

/// One `Cookie` line for HTTP/1.1 (RFC 9113 section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else {
        return;
    };
    let mut joined = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b"; ");
        joined.extend_from_slice(line.as_bytes());
    }
    set(
        headers,
        COOKIE,
        HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok(),
    );
}

/// Upgrades need HTTP/1.1 on both sides, and are impossible if `Connection` is configured.
fn requested_upgrade(context: &Context<'_>, headers: &HeaderMap) -> Option<HeaderValue> {
    let forwarding = &context.route.policy.forwarding;
    let target = context.parsed.target;
    let possible = target.version == Version::HTTP_11
        && forwarding.connection_header.is_none()
        && !context.protocol().is_grpc()
        && context.protocol() != BackendProtocol::FastCgi;
    if possible {
        hop_by_hop::upgrade(&target.method, headers)
    } else {
        None
    }
}

fn connection(
    headers: &mut HeaderMap,
    fixed: Option<ConnectionHeader>,
    upgrade: Option<HeaderValue>,
) {
    let value = match (fixed, &upgrade) {
        (Some(ConnectionHeader::Close), _) => "close",
        (Some(ConnectionHeader::KeepAlive), _) => "keep-alive",
        (None, Some(_)) => "upgrade",
        (None, None) => return,
    };
    headers.insert(CONNECTION, HeaderValue::from_static(value));
    if let Some(protocols) = upgrade {
        headers.insert(UPGRADE, protocols);
    }
}

#[cfg(test)]
mod tests;
