//! Asks the authorization service of a route whether a request is allowed (gateway-api.md 3.11).

use bytes::{Bytes, BytesMut};
use headgate_table::{Authorization, Forwarding};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, DATE, HOST, SERVER, TRAILER,
    TRANSFER_ENCODING,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;

use super::exchange::Exchange;
use super::external_auth::Granted;
use super::hop_by_hop;
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::trace::RequestSpan;
use crate::upstream::{Attempts, Call, CallError, CallOptions, Fault, Payload, UpstreamBody};

/// Longest body of a refusal that is passed on to the client, bytes.
const LONGEST_BODY: usize = 64 << 10;

/// Fields that are about a response, not about the request that it allows.
const OF_RESPONSE: [HeaderName; 7] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    TRANSFER_ENCODING,
    DATE,
    SERVER,
];

/// Whether a request is allowed. What the service adds to it is left in `exchange`.
///
/// # Errors
/// The response otherwise: that of the service, or 500 if it has none.
pub(super) async fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    service: &Authorization,
) -> Result<(), LocalResponse> {
    let response = match ask(exchange, context, service).await {
        Ok(response) => response,
        Err(error) => {
            exchange.record.reason = Some(Fault {
                reason: "auth-service-failed",
                detail: error.to_string().into(),
            });
            return Err(LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    if response.status() == StatusCode::OK {
        exchange.granted = granted(service, response.headers()).map(Box::new);
        return Ok(());
    }
    let refusal = Err(LocalResponse::Relayed(Box::new(response)));
    exchange.because("auth-service", refusal)
}

/// The response of the service, with its body only if it is one for the client.
async fn ask(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    service: &Authorization,
) -> Result<Response<Bytes>, CallError> {
    let upstreams = &exchange.downstream.worker.upstreams;
    let upstream = exchange.table.target(&service.target);
    let upstream = upstream.ok_or(CallError::NoEndpoints)?;
    let options = CallOptions {
        response_head_limit: context.route.policy.forwarding.response_head_limit,
        span: context.span.as_deref().and_then(RequestSpan::exported),
        ..CallOptions::of(&Forwarding::default(), upstream, false)
    };
    let call = Call {
        target: upstreams.target(upstream, options.connect_timeout).await?,
        head: head(context, service)?,
        body: Payload::empty(),
        options,
        pool: &exchange.settings().pool,
        input: context,
    };
    let mut attempts = Attempts::default();
    let reply = upstreams.call(call, &mut attempts).await?;
    let (mut head, body) = reply.response.into_parts();
    hop_by_hop::remove(&mut head.headers);
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER] {
        head.headers.remove(name);
    }
    let body = short(body).await.ok_or(CallError::InvalidResponse)?;
    Ok(Response::from_parts(head, body))
}

/// The request about a request, which has no body.
fn head(context: &Context<'_>, service: &Authorization) -> Result<Parts, CallError> {
    let target = context.parsed.target;
    let mut headers = HeaderMap::new();
    let own = [AUTHORIZATION];
    for name in own.iter().chain(service.request_fields.iter()) {
        for value in context.headers.get_all(name) {
            headers.append(name.clone(), value.clone());
        }
    }
    hop_by_hop::remove(&mut headers);
    let host = target.host.clone();
    let host = host.unwrap_or_else(|| HeaderValue::from_static(""));
    headers.insert(HOST, host);
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    if let Some(span) = &context.span {
        span.inject(&mut headers);
    }
    let path = format!("{}{}", service.path, context.raw_target());
    // Text of the client that cannot be part of a path fails the request.
    let path = PathAndQuery::try_from(path).map_err(|_| CallError::InvalidResponse)?;
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = target.method.clone();
    head.uri = Uri::from(path);
    head.headers = headers;
    Ok(head)
}

/// The fields for the endpoint. One that is listed and that the response lacks is removed, so that a client cannot send it.
fn granted(service: &Authorization, response: &HeaderMap) -> Option<Granted> {
    let names: Vec<HeaderName> = match &service.response_fields {
        Some(names) => names.to_vec(),
        None => {
            let about = |name: &&HeaderName| !OF_RESPONSE.contains(name);
            response.keys().filter(about).cloned().collect()
        }
    };
    let fields = names.into_iter().map(|name| {
        let value = response.get(&name).cloned();
        (name, value)
    });
    let fields: Granted = fields.collect();
    (!fields.is_empty()).then_some(fields)
}

/// The content of a body; `None` if it is too long or ends early.
async fn short(mut body: UpstreamBody) -> Option<Bytes> {
    let mut content = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.ok()?.data_ref() {
            content.extend_from_slice(data);
        }
        if content.len() > LONGEST_BODY {
            return None;
        }
    }
    Some(content.freeze())
}
