//! Asks by a call of gRPC, as Envoy does: `envoy.service.auth.v3.Authorization/Check`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, COOKIE, HOST, TE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version};
use prost::Message as _;

use super::messages::{
    ADD_IF_ABSENT, APPEND, Address, Allowed, AttributeContext, CheckRequest, CheckResponse, Denied,
    HeaderValueOption, HttpRequest, HttpResponse, OVERWRITE, OVERWRITE_IF_EXISTS, Peer, Request,
    SocketAddress, Timestamp, TlsSession,
};
use super::{Exchange, FieldChanges, NoVerdict, Reply, Verdict, fields, is_reserved};
use crate::grpc;
use crate::pipeline::field_changes::Change;
use crate::request::Context;

const METHOD: &str = "/envoy.service.auth.v3.Authorization/Check";
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The head of the call.
pub(super) fn head(context: &Context<'_>, authority: &HeaderValue) -> Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    head.method = Method::POST;
    head.uri = Uri::from_static(METHOD);
    let headers = &mut head.headers;
    headers.insert(HOST, authority.clone());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(span) = &context.span {
        span.inject(headers);
    }
    head
}

/// The call's message about a request with this body. `names`: the fields of it that the service gets; `None`: all.
pub(super) fn request(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    names: Option<&[HeaderName]>,
    body: &Bytes,
) -> Bytes {
    let parsed = &context.parsed;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    let source = SocketAddr::new(context.client(), source_port(context));
    let server_name = exchange.downstream.server_name();
    let message = CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(peer(source)),
            destination: Some(peer(exchange.downstream.local)),
            request: Some(Request {
                time: Some(Timestamp {
                    seconds: i64::try_from(now.as_secs()).unwrap_or_default(),
                    nanos: now.subsec_nanos().cast_signed(),
                }),
                http: Some(http_request(exchange, context, names, body)),
            }),
            tls_session: parsed.tls.map(|_| TlsSession {
                sni: server_name.unwrap_or_default().to_owned(),
            }),
        }),
    };
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX + length);
    framed.put_u8(0);
    // The request's head and body are bounded far below.
    framed.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    framed.put(&*message.encode_to_vec());
    framed.freeze()
}

fn http_request(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    names: Option<&[HeaderName]>,
    body: &Bytes,
) -> HttpRequest {
    let parsed = &context.parsed;
    let (method, path) = (parsed.target.method.as_str(), context.raw_target());
    let host = parsed.target.host.as_ref().map(text).unwrap_or_default();
    let scheme = text(&parsed.client.scheme_value());
    let mut headers = headers(&fields(context), names);
    if names.is_none() {
        for (name, value) in [
            (":method", method),
            (":path", &path),
            (":authority", &host),
            (":scheme", &scheme),
        ] {
            headers.insert(name.to_owned(), value.to_owned());
        }
    }
    let (body, raw_body) = match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), Bytes::new()),
        Err(_) => (String::new(), body.clone()),
    };
    HttpRequest {
        id: context.request_id().map(text).unwrap_or_default(),
        method: method.to_owned(),
        headers,
        path: path.into_owned(),
        host,
        scheme,
        size: size(exchange, context),
        protocol: match exchange.record.version {
            Version::HTTP_2 => "HTTP/2".to_owned(),
            other => format!("{other:?}"),
        },
        body,
        raw_body,
    }
}

/// The length of the request's body, as far as it is known; -1 otherwise.
fn size(exchange: &Exchange<'_>, context: &Context<'_>) -> i64 {
    let read = exchange.received.as_ref().map(|body| body.len() as u64);
    let announced = || {
        let value = context.headers.get(http::header::CONTENT_LENGTH)?;
        value.to_str().ok()?.parse().ok()
    };
    let length: Option<u64> = read.or_else(announced);
    length
        .and_then(|length| i64::try_from(length).ok())
        .unwrap_or(-1)
}

/// The port of the client; 0 if only its address is known.
fn source_port(context: &Context<'_>) -> u16 {
    let peer = context.parsed.connection.peer;
    match peer.ip().to_canonical() == context.client() {
        true => peer.port(),
        false => 0,
    }
}

fn peer(address: SocketAddr) -> Peer {
    Peer {
        address: Some(Address {
            socket_address: Some(SocketAddress {
                address: address.ip().to_canonical().to_string(),
                port_value: Some(address.port().into()),
            }),
        }),
    }
}

/// The fields, each with all its values.
fn headers(all: &HeaderMap, names: Option<&[HeaderName]>) -> BTreeMap<String, String> {
    let is_sent = |name: &&HeaderName| names.is_none_or(|names| names.contains(name));
    let sent = all.keys().filter(is_sent);
    let sent = sent.map(|name| {
        let values: Vec<String> = all.get_all(name).iter().map(text).collect();
        let separator = if *name == COOKIE { "; " } else { "," };
        (name.as_str().to_owned(), values.join(separator))
    });
    sent.collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// What the response to the call says.
pub(super) fn verdict(reply: Reply) -> Result<Verdict, NoVerdict> {
    if reply.status != StatusCode::OK || !grpc::is_call(&reply.headers) {
        return Err(NoVerdict::Invalid("it is none of gRPC"));
    }
    // A response without a message has the status in its head.
    let status = reply.trailers.get(GRPC_STATUS);
    let status = status.or_else(|| reply.headers.get(GRPC_STATUS));
    match status.map(HeaderValue::as_bytes) {
        Some(b"0") => {}
        Some(other) => {
            let status = String::from_utf8_lossy(other).into_owned();
            return Err(NoVerdict::Status(status));
        }
        None => return Err(NoVerdict::Invalid("it has no status")),
    }
    let message = message(&reply.body)?;
    let response = CheckResponse::decode(message);
    let response = response.map_err(|_| NoVerdict::Invalid("it is no CheckResponse"))?;
    let code = response.status.map(|status| status.code);
    match (code, response.http_response) {
        (_, Some(HttpResponse::Denied(denied))) => Ok(refused(denied)),
        (Some(0) | None, Some(HttpResponse::Ok(response))) => allowed(&response),
        (Some(0), None) => allowed(&Allowed::default()),
        // Envoy allows it, but so does each message of another service then.
        (None, None) => Err(NoVerdict::Invalid("it is empty")),
        (Some(_), _) => Ok(refused(Denied::default())),
    }
}

/// The only message of a body.
fn message(body: &Bytes) -> Result<Bytes, NoVerdict> {
    let invalid = NoVerdict::Invalid("it has not one message, without compression");
    let Some((&[0, a, b, c, d], rest)) = body.split_first_chunk::<PREFIX>() else {
        return Err(invalid);
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d]));
    match length == Ok(rest.len()) {
        true => Ok(body.slice(PREFIX..)),
        false => Err(invalid),
    }
}

/// What is allowed with changes that cannot all be made is not allowed.
fn allowed(response: &Allowed) -> Result<Verdict, NoVerdict> {
    let parameters =
        response.query_parameters_to_set.len() + response.query_parameters_to_remove.len();
    if parameters > 0 {
        return Err(NoVerdict::Invalid("it changes query parameters"));
    }
    let mut request = FieldChanges::default();
    for option in &response.headers {
        let append = option.append.as_ref().is_some_and(|append| append.value);
        let action = match (append, option.append_action) {
            (true, _) => APPEND,
            // Here the default is not to append: what the client has sent must not stay.
            (false, APPEND) => OVERWRITE,
            (false, action) => action,
        };
        request.0.push(change(option, action)?);
    }
    for name in &response.headers_to_remove {
        let name = HeaderName::from_bytes(name.as_bytes()).ok();
        // As in Envoy, names that cannot be removed are ignored.
        if let Some(name) = name.filter(|name| !is_reserved(name)) {
            request.0.push((name, Change::Remove));
        }
    }
    let mut to_client = FieldChanges::default();
    for option in &response.response_headers_to_add {
        to_client.0.push(change(option, action(option))?);
    }
    Ok(Verdict::Allowed {
        request,
        response: to_client,
    })
}

/// The action of an option whose default is to append.
fn action(option: &HeaderValueOption) -> i32 {
    match option.append.as_ref().map(|append| append.value) {
        Some(true) => APPEND,
        Some(false) => OVERWRITE,
        None => option.append_action,
    }
}

fn change(option: &HeaderValueOption, action: i32) -> Result<(HeaderName, Change), NoVerdict> {
    let invalid = NoVerdict::Invalid("it changes a field that has no such name or value");
    let Some(field) = &option.header else {
        return Err(invalid);
    };
    let name = HeaderName::from_bytes(field.key.as_bytes()).ok();
    let value = match field.raw_value.is_empty() {
        true => HeaderValue::from_str(&field.value),
        false => HeaderValue::from_bytes(&field.raw_value),
    };
    let (Some(name), Ok(value)) = (name.filter(|name| !is_reserved(name)), value) else {
        return Err(invalid);
    };
    let change = match action {
        APPEND => Change::Append(value),
        ADD_IF_ABSENT => Change::SetIfAbsent(value),
        OVERWRITE => Change::Set(value),
        OVERWRITE_IF_EXISTS => Change::SetIfPresent(value),
        _ => return Err(invalid),
    };
    Ok((name, change))
}

/// The response to the client: 403 unless the service says otherwise. Fields that it cannot have are left out.
fn refused(denied: Denied) -> Verdict {
    let code = denied.status.map(|status| status.code);
    let status = code.and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok());
    let is_final = |status: &StatusCode| (200..600).contains(&status.as_u16());
    let status = status.filter(is_final).unwrap_or(StatusCode::FORBIDDEN);
    let changes = denied.headers.iter();
    let changes = changes.filter_map(|option| change(option, action(option)).ok());
    let mut response = Response::new(Bytes::from(denied.body));
    *response.status_mut() = status;
    FieldChanges(changes.collect()).apply(response.headers_mut());
    Verdict::Refused(response)
}
