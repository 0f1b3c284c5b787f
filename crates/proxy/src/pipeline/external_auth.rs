//! Asks the authentication service of a route whether a request may pass (behaviour.md 1.7).

use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::{AuthCache, ExternalAuth, Forwarding, SignIn, Template};
use http::header::{
    AGE, CACHE_CONTROL, CONTENT_LENGTH, EXPECT, EXPIRES, HOST, SET_COOKIE, VARY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt as _;
use percent_encoding::percent_encode;

use super::exchange::Exchange;
use super::field_changes::{Change, FieldChanges};
use super::upstream_head::{address, full_forwarded_for};
use super::{clients, hop_by_hop, redirect, spoofable_headers};
use crate::auth_cache::{Key, Lookup, Pending, Verdict};
use crate::record::Record;
use crate::request::Context;
use crate::respond::LocalResponse;
use crate::trace::RequestSpan;
use crate::upstream::{Attempts, Call, CallError, CallOptions, Fault, Payload, UpstreamBody};
use crate::values::COMPONENT;

const X_ORIGINAL_URL: HeaderName = HeaderName::from_static("x-original-url");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const X_ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const X_SENT_FROM: HeaderName = HeaderName::from_static("x-sent-from");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");
const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");
/// Services recognise the sender by it.
const SENDER: HeaderValue = HeaderValue::from_static("nginx-ingress-controller");

/// Why a request that the service does not let pass is refused.
const REFUSED: &str = "auth-service";

/// A body up to this length is read, so that the connection can be kept.
const LONGEST_BODY: usize = 64 << 10;

/// Whether a request may pass. What the service adds to the request and to the response is left in `exchange`.
///
/// # Errors
/// The response otherwise: that of the service for 401 and 403, the sign-in page, or 500 if the service has no valid response.
pub(super) async fn check(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    service: &ExternalAuth,
) -> Result<(), LocalResponse> {
    let subrequest = Subrequest {
        exchange,
        context,
        service,
    };
    let verdict = match &service.cache {
        None => subrequest
            .send()
            .await
            .map(|(verdict, _)| Arc::new(verdict)),
        Some(cache) => subrequest.cached(cache).await,
    };
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(failure) => return Err(failed(exchange, failure.reason, &failure.detail)),
    };
    if !verdict.cookies.is_empty() {
        exchange
            .edits
            .add_cookies(verdict.cookies.clone(), service.always_set_cookie);
    }
    match verdict.status {
        status if status.is_success() => {
            exchange.granted = granted(service, &verdict);
            Ok(())
        }
        StatusCode::UNAUTHORIZED => {
            let response = match verdict.challenge.clone() {
                Some(challenge) => LocalResponse::Unauthorized { challenge },
                None => LocalResponse::Page(StatusCode::UNAUTHORIZED),
            };
            let refusal = or_sign_in(response, service, exchange, context);
            exchange.because(REFUSED, Err(refusal))
        }
        StatusCode::FORBIDDEN => {
            let refusal = Err(LocalResponse::Page(StatusCode::FORBIDDEN));
            exchange.because(REFUSED, refusal)
        }
        status => Err(failed(exchange, "status", status.as_str())),
    }
}

/// The response to a request about which the service has no valid response.
fn failed(exchange: &mut Exchange<'_>, what: &str, detail: &str) -> LocalResponse {
    exchange.record.reason = Some(Fault {
        reason: "auth-service-failed",
        detail: format!("{what}: {detail}").into(),
    });
    LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The redirect to the sign-in page instead of a 401 response, whichever check it is from. It has neither HSTS nor the route's
/// own fields, as it comes from another location of nginx.
pub(super) fn or_sign_in(
    response: LocalResponse,
    service: &ExternalAuth,
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
) -> LocalResponse {
    let Some(sign_in) = &service.sign_in else {
        return response;
    };
    exchange.edits.remove_route();
    redirect::to_location(StatusCode::FOUND, location(sign_in, context))
}

/// The fields for the backend: a field that the response lacks is removed, so that a client cannot send it.
fn granted(service: &ExternalAuth, verdict: &Verdict) -> Option<Box<FieldChanges>> {
    if service.response_fields.is_empty() {
        return None;
    }
    let fields = service.response_fields.iter().map(|name| {
        let field = verdict.fields.iter().find(|(known, _)| known == name);
        let value = field.map(|(_, value)| value.clone());
        (name.clone(), value.map_or(Change::Remove, Change::Set))
    });
    Some(Box::new(FieldChanges(fields.collect())))
}

/// The sign-in page, with the URL of the request.
fn location(sign_in: &SignIn, context: &Context<'_>) -> String {
    let mut location = context.evaluate(&sign_in.url);
    if let Some(parameter) = &sign_in.parameter {
        let host = context.parsed.target.host.as_ref();
        let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
        location.push_str(parameter);
        let scheme = context.parsed.client.scheme_value();
        location.push_str(&String::from_utf8_lossy(scheme.as_bytes()));
        location.push_str("://");
        location.push_str(host);
        location.extend(percent_encode(context.raw_target().as_bytes(), COMPONENT));
    }
    location
}

/// A request to the service about a request.
struct Subrequest<'s, 't> {
    exchange: &'s Exchange<'t>,
    context: &'s Context<'s>,
    service: &'s ExternalAuth,
}

impl Subrequest<'_, '_> {
    /// A kept response, or that of a request which all that have the same key share. An empty key, such as that of an absent
    /// cookie, says nothing about the client: nothing is kept or shared under it.
    async fn cached(&self, rules: &AuthCache) -> Result<Arc<Verdict>, Box<Fault>> {
        let cache = &self.exchange.downstream.worker.shared.auth_cache;
        let text = self.context.expand(&rules.key, None);
        if text.is_empty() {
            return Ok(Arc::new(self.send().await?.0));
        }
        let key = self.key(&text);
        let now = self.exchange.record.start;
        let pending: Pending<'_> = match cache.lookup(key, now) {
            Lookup::Known(verdict) => return Ok(verdict),
            Lookup::Send(pending) => pending,
            Lookup::Wait(mut waiting) => {
                // It ends with the sender, which never sends.
                let _ = waiting.changed().await;
                match cache.lookup(key, Instant::now()) {
                    Lookup::Known(verdict) => return Ok(verdict),
                    Lookup::Send(pending) => pending,
                    // The former response was not one to keep, so another would not be shared either.
                    Lookup::Wait(_) => return Ok(Arc::new(self.send().await?.0)),
                }
            }
        };
        let (verdict, lifetime) = self.send().await?;
        let verdict = Arc::new(verdict);
        let lifetime = lifetime.or_else(|| rules.lifetime(verdict.status));
        if let Some(lifetime) = lifetime.filter(|lifetime| !lifetime.is_zero()) {
            pending.keep(verdict.clone(), Instant::now(), lifetime);
        }
        Ok(verdict)
    }

    /// Responses are kept apart for each host, path and service.
    fn key(&self, text: &[u8]) -> Key {
        let Context { host, route, .. } = self.context;
        let kind: &[u8] = match route.kind {
            headgate_table::PathKind::Exact => b"exact",
            headgate_table::PathKind::Prefix => b"prefix",
            headgate_table::PathKind::Expression => b"expression",
        };
        let origin = &route.origin;
        self.exchange.downstream.worker.shared.auth_cache.key(&[
            host.name.as_bytes(),
            route.path.as_bytes(),
            kind,
            origin.namespace.as_bytes(),
            origin.name.as_bytes(),
            self.service.target.key().as_str().as_bytes(),
            self.service.path.source().as_bytes(),
            text,
        ])
    }

    /// Sends the request. Also returns how long the response itself says that it may be kept; zero: not at all.
    async fn send(&self) -> Result<(Verdict, Option<Duration>), Box<Fault>> {
        let exchange = self.exchange;
        let upstreams = &exchange.downstream.worker.upstreams;
        let upstream = exchange.table.target(&self.service.target);
        let upstream = upstream.ok_or(CallError::NoEndpoints).map_err(fault)?;
        let span = self.context.span.as_deref();
        let span = span.and_then(RequestSpan::exported);
        let options = CallOptions {
            response_head_limit: self.context.route.policy.forwarding.response_head_limit,
            span,
            ..CallOptions::of(&Forwarding::default(), upstream, false)
        };
        let head = self.head().map_err(fault)?;
        let record = exchange.settings().access_log.subrequests.then(|| Record {
            request_id: self.context.request_id().cloned(),
            route: exchange.record.route.clone(),
            host: exchange.record.host.clone(),
            upstream: Some(upstream.log_name.clone()),
            ..Record::new(&head, self.context.client())
        });
        let call = Call {
            target: upstreams
                .target(upstream, options.connect_timeout)
                .await
                .map_err(fault)?,
            head,
            body: Payload::empty(),
            options,
            pool: &exchange.settings().pool,
            input: self.context,
        };
        let mut attempts = Attempts::default();
        let reply = upstreams.call(call, &mut attempts).await;
        let reply = reply.map_err(|error| {
            let last = attempts.last().and_then(|attempt| attempt.fault.clone());
            last.unwrap_or_else(|| fault(error))
        });
        if span.is_some() {
            let mut subrequests = exchange.record.subrequests.borrow_mut();
            subrequests.push(attempts.clone());
        }
        if let Some(mut record) = record {
            record.attempts = attempts;
            record.status = reply.as_ref().ok().map(|reply| reply.response.status());
            exchange.downstream.worker.telemetry.log_subrequest(&record);
        }
        let reply = reply?;
        let (head, body) = reply.response.into_parts();
        let response = Response::from_parts(head, ());
        let lifetime = lifetime(response.headers());
        let verdict = verdict(self.service, &response);
        drain(body).await;
        Ok((verdict, lifetime))
    }

    /// The fields of the client with those of the proxy, and no body.
    fn head(&self) -> Result<Parts, CallError> {
        let context = self.context;
        let mut headers = context.headers.clone();
        hop_by_hop::remove(&mut headers);
        spoofable_headers::remove(&mut headers, context.settings);
        for name in [CONTENT_LENGTH, EXPECT, X_FORWARDED_PROTO] {
            headers.remove(name);
        }
        let parsed = &context.parsed;
        let target = &parsed.target;
        headers.insert(HOST, self.service.host.clone());
        let host = target.host.as_ref().map_or(&[][..], HeaderValue::as_bytes);
        let raw = context.raw_target();
        let url = [
            parsed.connection.scheme.as_str().as_bytes(),
            b"://",
            host,
            raw.as_bytes(),
        ];
        set(&mut headers, X_ORIGINAL_URL, &url.concat());
        set(
            &mut headers,
            X_ORIGINAL_METHOD,
            target.method.as_str().as_bytes(),
        );
        headers.insert(X_SENT_FROM, SENDER);
        let client = address(context.client());
        let list = full_forwarded_for(context);
        put(
            &mut headers,
            X_FORWARDED_FOR,
            list.or_else(|| client.clone()),
        );
        put(&mut headers, X_REAL_IP, client);
        put(&mut headers, X_REQUEST_ID, context.request_id().cloned());
        let redirect = self.service.redirect.as_ref();
        let redirect = redirect.map(|redirect| context.expand(redirect, None));
        let redirect = redirect.unwrap_or_else(|| raw.as_bytes().to_vec());
        set(&mut headers, X_AUTH_REQUEST_REDIRECT, &redirect);
        if self.service.method.is_some() {
            set(&mut headers, X_ORIGINAL_URI, raw.as_bytes());
            set(
                &mut headers,
                X_SCHEME,
                parsed.client.scheme_value().as_bytes(),
            );
        }
        clients::describe(context, &mut headers);
        self.configured(&mut headers);
        if let Some(span) = &context.span {
            span.inject(&mut headers);
        }
        let path = self.path(&self.service.path)?;
        let (mut head, ()) = Request::new(()).into_parts();
        head.method = self.service.method.clone().unwrap_or(Method::GET);
        head.uri = Uri::from(path);
        head.headers = headers;
        Ok(head)
    }

    fn configured(&self, headers: &mut HeaderMap) {
        for (name, template) in self.service.request_fields.iter() {
            if !super::edits::is_reserved(name) {
                set(headers, name.clone(), &self.context.expand(template, None));
            }
        }
    }

    /// The path and query. Text of the client that cannot be part of a path fails the request.
    fn path(&self, template: &Template) -> Result<PathAndQuery, CallError> {
        let text = self.context.expand(template, None);
        PathAndQuery::try_from(text).map_err(|_| CallError::InvalidResponse)
    }
}

fn fault(error: CallError) -> Box<Fault> {
    Box::new(Fault::of(error))
}

/// Sets a field; it is removed if the value is empty or none of a field.
fn set(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    let value = HeaderValue::from_bytes(value).ok();
    put(headers, name, value.filter(|value| !value.is_empty()));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        Some(value) => drop(headers.insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

fn verdict(service: &ExternalAuth, response: &Response<()>) -> Verdict {
    let headers = response.headers();
    let joined = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?.clone();
        let mut text = first.as_bytes().to_vec();
        for value in values {
            text.extend_from_slice(b", ");
            text.extend_from_slice(value.as_bytes());
        }
        HeaderValue::from_bytes(&text)
            .ok()
            .filter(|value| !value.is_empty())
    };
    let fields = service.response_fields.iter();
    Verdict {
        status: response.status(),
        fields: fields
            .filter_map(|name| Some((name.clone(), joined(name)?)))
            .collect(),
        challenge: headers.get(WWW_AUTHENTICATE).cloned(),
        cookies: headers.get_all(SET_COOKIE).iter().cloned().collect(),
    }
}

/// How long the response says that it may be kept, as nginx reads it; `None` if it says nothing, zero if not at all.
fn lifetime(headers: &HeaderMap) -> Option<Duration> {
    let varies = headers.get_all(VARY).iter().any(|value| value == "*");
    if varies || headers.contains_key(SET_COOKIE) {
        return Some(Duration::ZERO);
    }
    let mut stated = None;
    for value in headers.get_all(CACHE_CONTROL) {
        let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                Some(("s-maxage" | "max-age", seconds)) => {
                    let seconds = seconds.trim_matches('"').parse().unwrap_or_default();
                    stated = Some(Duration::from_secs(seconds));
                }
                None if matches!(directive, "no-cache" | "no-store" | "private") => {
                    return Some(Duration::ZERO);
                }
                _ => {}
            }
        }
    }
    if stated.is_some() || headers.contains_key(AGE) {
        return stated;
    }
    let expires = headers.get(EXPIRES)?.to_str().ok();
    let expires = expires.and_then(|text| httpdate::parse_http_date(text).ok());
    let left = expires.and_then(|date| date.duration_since(std::time::SystemTime::now()).ok());
    Some(left.unwrap_or_default())
}

/// Reads a short body to its end. The rest of a long one is not read, and its connection is closed.
async fn drain(mut body: UpstreamBody) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, bytes::Bytes::len);
        if length > LONGEST_BODY {
            return;
        }
    }
}
