//! Asks the authorization service of a route whether a request is allowed (gateway-api.md 3.11). Whatever fails, the request
//! is not.

mod call;
mod messages;
mod subrequest;

use bytes::{Bytes, BytesMut};
use headgate_table::{Authorization, AuthorizationProtocol, Forwarding};
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use super::exchange::Exchange;
use super::field_changes::FieldChanges;
use super::{hop_by_hop, spoofable_headers, upstream_head};
use crate::incoming::Incoming;
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::trace::RequestSpan;
use crate::upstream::{
    Attempts, BodyRules, Call, CallError, CallOptions, Fault, Payload, RequestBodyError,
    UpstreamBody, read_body,
};

/// Longest body of a response that is read, bytes: that of a refusal is passed on to the client.
const LONGEST_BODY: usize = 64 << 10;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a service says of a request.
enum Verdict {
    Allowed {
        /// Of the request for the endpoint.
        request: FieldChanges,
        /// Of the response to the client.
        response: FieldChanges,
    },
    /// The response to the client.
    Refused(Response<Bytes>),
}

/// Why a service has not said anything of a request.
#[derive(Debug, thiserror::Error)]
enum NoVerdict {
    #[error("{0}")]
    Call(#[from] CallError),
    #[error("invalid response: {0}")]
    Invalid(&'static str),
    /// Status of gRPC.
    #[error("the call ended with status {0}")]
    Status(String),
}

/// The response of a service.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

/// Whether a request with this body is allowed. What the service adds to it, and its body as far as it was read, are left in
/// `exchange`.
///
/// # Errors
/// The response otherwise: that of the service, or 500 if it has none; 413 for a body that is too long for it.
pub(super) async fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    service: &Authorization,
    body: &mut Incoming,
) -> Result<(), LocalResponse> {
    if let Some(limit) = service.body_limit {
        let read = receive(exchange, context, body, limit.get().into()).await;
        exchange.received = read.map_err(|error| exchange.failed(error.into()))?;
    }
    let (request, response) = match ask(exchange, context, service).await {
        Ok(Verdict::Allowed { request, response }) => (request, response),
        Ok(Verdict::Refused(response)) => {
            let refusal = Err(LocalResponse::Relayed(Box::new(response)));
            return exchange.because("auth-service", refusal);
        }
        Err(error) => {
            exchange.record.reason = Some(Fault {
                reason: "auth-service-failed",
                detail: error.to_string().into(),
            });
            return Err(LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR));
        }
    };
    exchange.granted = (!request.0.is_empty()).then(|| Box::new(request));
    if !response.0.is_empty() {
        exchange.edits.add_changes(response);
    }
    Ok(())
}

/// The whole body of the request, of `limit` bytes at most; `None` if it has none.
async fn receive(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    body: &mut Incoming,
    limit: u64,
) -> Result<Option<Bytes>, RequestBodyError> {
    if body.is_end_stream() {
        return Ok(None);
    }
    let client = &exchange.settings().client;
    let of_route = context.route.policy.forwarding.body_limit;
    let rules = BodyRules {
        limit: Some(of_route.map_or(limit, |own| own.min(limit))),
        timeout: client.body_timeout,
        min_rate: client.body_min_rate,
        buffered: true,
        memory: usize::try_from(limit).unwrap_or(usize::MAX),
    };
    // An announced length is counted with the head.
    let announced = body.size_hint().exact().is_some();
    let read = read_body(body, rules).await?;
    if !announced {
        exchange.record.request_length += read.len() as u64;
    }
    Ok(Some(read))
}

async fn ask(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    service: &Authorization,
) -> Result<Verdict, NoVerdict> {
    let body = exchange.received.clone().unwrap_or_default();
    match &service.protocol {
        AuthorizationProtocol::Http {
            path,
            request_fields,
            response_fields,
        } => {
            let head = subrequest::head(context, path, request_fields)?;
            let reply = send(exchange, context, service, (head, body)).await?;
            Ok(subrequest::verdict(reply, response_fields.as_deref()))
        }
        AuthorizationProtocol::Grpc {
            authority,
            request_fields,
        } => {
            let sent = call::request(exchange, context, request_fields.as_deref(), &body);
            let head = call::head(context, authority);
            let reply = send(exchange, context, service, (head, sent)).await?;
            call::verdict(reply)
        }
    }
}

/// Sends a request about a request, and reads the response to its end.
async fn send(
    exchange: &Exchange<'_>,
    context: &Context<'_>,
    service: &Authorization,
    (head, body): (Parts, Bytes),
) -> Result<Reply, CallError> {
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
        head,
        body: match body.is_empty() {
            true => Payload::empty(),
            false => Payload::bytes(body),
        },
        options,
        pool: &exchange.settings().pool,
        input: context,
    };
    let mut attempts = Attempts::default();
    let reply = upstreams.call(call, &mut attempts).await?;
    let (head, body) = reply.response.into_parts();
    let (body, trailers) = short(body).await.ok_or(CallError::InvalidResponse)?;
    Ok(Reply {
        status: head.status,
        headers: head.headers,
        body,
        trailers,
    })
}

/// The fields of the client, without those that are for the proxy and those that only the proxy may set; these are its own.
fn fields(context: &Context<'_>) -> HeaderMap {
    let mut headers = context.headers.clone();
    hop_by_hop::remove(&mut headers);
    spoofable_headers::remove(&mut headers, context.settings);
    let client = upstream_head::full_forwarded_for(context);
    let client = client.or_else(|| upstream_head::address(context.client()));
    let scheme = context.parsed.client.scheme_value();
    for (name, value) in [
        (X_FORWARDED_FOR, client),
        (X_FORWARDED_PROTO, Some(scheme)),
        (X_REQUEST_ID, context.request_id().cloned()),
    ] {
        match value {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
    headers
}

/// Whether framing, routing or the connection depends on a field, so that no service may change it.
fn is_reserved(name: &HeaderName) -> bool {
    [
        HOST,
        CONTENT_LENGTH,
        TRANSFER_ENCODING,
        TRAILER,
        CONNECTION,
        UPGRADE,
        TE,
    ]
    .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// The content of a body, and its trailers; `None` if it is too long or ends early.
async fn short(mut body: UpstreamBody) -> Option<(Bytes, HeaderMap)> {
    let (mut content, mut trailers) = (BytesMut::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        match frame.ok()?.into_data() {
            Ok(data) => content.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().ok()?),
        }
        if content.len() > LONGEST_BODY {
            return None;
        }
    }
    Some((content.freeze(), trailers))
}
