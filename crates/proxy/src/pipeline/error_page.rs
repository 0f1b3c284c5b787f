//! Error pages: the response of an error backend instead of one with a certain status (behaviour.md 8).
//!
//! Whichever step responds, the page is requested in one place, at the end. A response of an upstream that is to be replaced
//! becomes one of the proxy with the same status: so if there is no page, the request is refused with that status.

use std::net::IpAddr;
use std::sync::Arc;

use headgate_table::{
    ErrorPages, Forwarding, Host, Origin, Retry, Route, Settings, Template, Upstream,
};
use http::header::{
    AUTHORIZATION, CONTENT_LENGTH, EXPECT, HOST, LOCATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};

use super::edits::ResponseEdits;
use super::exchange::{Exchange, Served};
use super::upstream_head::{address, is_password_of_route, join_cookies};
use super::{external_auth, fallback, hop_by_hop, response_head, spoofable_headers};
use crate::body::Body;
use crate::request::{Context, Parsed, client_request_id, generated_id};
use crate::respond::LocalResponse;
use crate::trace::RequestSpan;
use crate::upstream::{Call, CallError, CallOptions, Fault, Payload, SelectionInput};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");

/// The request for an error page, kept in case the response is one that is replaced.
pub(super) struct ErrorPage<'t> {
    pages: &'t ErrorPages,
    /// Bounds on time and size.
    forwarding: Option<&'t Forwarding>,
    /// The object and Service to name.
    origin: Option<&'t Origin>,
    /// The request without the fields that name the failure.
    head: Parts,
    client: IpAddr,
    /// The response to replace is that of an upstream, so that the proxy is not at fault.
    of_upstream: bool,
    /// `Set-Cookie` of a session that began with that response.
    session_cookie: Option<HeaderValue>,
}

/// Keeps what the error pages of `route` need of a request, if it has any.
pub(super) fn keep<'t>(exchange: &mut Exchange<'t>, route: &'t Route, context: &Context<'_>) {
    let Some(pages) = route.error_pages.as_deref() else {
        return;
    };
    let mut headers = context.headers.clone();
    if is_password_of_route(context) {
        headers.remove(AUTHORIZATION);
    }
    let id = context.request_id().cloned();
    exchange.record.request_id.clone_from(&id);
    exchange.error_page = Some(Box::new(ErrorPage {
        pages,
        forwarding: Some(&route.policy.forwarding),
        origin: Some(&route.origin),
        head: head(
            &context.parsed,
            headers,
            (context.host, context.settings),
            id,
        ),
        client: context.client(),
        of_upstream: false,
        session_cookie: None,
    }));
}

/// The same for a request that its host refuses before there is a route.
pub(super) fn keep_for_host(
    exchange: &mut Exchange<'_>,
    host: &Host,
    parsed: &Parsed<'_>,
    headers: &HeaderMap,
) {
    let settings = exchange.settings();
    let Some(pages) = settings.error_pages.as_deref() else {
        return;
    };
    let id = client_request_id(headers).or_else(|| generated_id(settings));
    exchange.record.request_id.clone_from(&id);
    exchange.error_page = Some(Box::new(ErrorPage {
        pages,
        forwarding: None,
        origin: None,
        head: head(parsed, headers.clone(), (host, settings), id),
        client: parsed.client.address,
        of_upstream: false,
        session_cookie: None,
    }));
}

/// A request without body for `/` with the query, and with the fields of the client. Those that name the client are the
/// proxy's.
fn head(
    parsed: &Parsed<'_>,
    mut headers: HeaderMap,
    (host, settings): (&Host, &Settings),
    id: Option<HeaderValue>,
) -> Parts {
    hop_by_hop::remove(&mut headers);
    spoofable_headers::remove(&mut headers, settings);
    headers.remove(CONTENT_LENGTH);
    headers.remove(EXPECT);
    join_cookies(&mut headers);
    let requested = parsed.client.host.clone();
    let requested = requested.or_else(|| HeaderValue::from_str(&host.name).ok());
    for (name, value) in [
        (HOST, requested),
        (X_REQUEST_ID, id),
        (X_FORWARDED_FOR, address(parsed.client.address)),
        (
            X_ORIGINAL_URI,
            HeaderValue::from_str(&parsed.target.raw_target()).ok(),
        ),
    ] {
        match value {
            Some(value) => drop(headers.insert(name, value)),
            None => drop(headers.remove(name)),
        }
    }
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = parsed.target.method.clone();
    head.headers = headers;
    head.uri = match parsed.target.query() {
        Some(query) => PathAndQuery::try_from(format!("/?{query}"))
            .map(Uri::from)
            .unwrap_or_default(),
        None => Uri::default(),
    };
    head
}

/// `served` by `upstream`, unless it is to be replaced.
///
/// # Errors
/// The response of the proxy with the same status, or the sign-in page for a 401.
pub(super) fn intercept(
    exchange: &mut Exchange<'_>,
    context: &Context<'_>,
    upstream: &Upstream,
    (served, session_cookie): (Served, Option<&HeaderValue>),
) -> Result<Served, LocalResponse> {
    let status = served.response.status();
    let Some(page) = exchange.error_page.as_deref_mut() else {
        return Ok(served);
    };
    if !page.pages.upstreams || upstream.protocol.is_grpc() {
        return Ok(served);
    }
    let authentication = context.route.policy.authentication.as_deref();
    let service = authentication.and_then(|authentication| authentication.external.as_ref());
    let service = service.filter(|service| service.sign_in.is_some());
    if let (StatusCode::UNAUTHORIZED, Some(service)) = (status, service) {
        let page = LocalResponse::Page(status);
        return Err(external_auth::or_sign_in(page, service, exchange, context));
    }
    if !page.pages.replaces(status) {
        return Ok(served);
    }
    page.of_upstream = true;
    page.session_cookie = session_cookie.cloned();
    let challenge = served.response.headers().get(WWW_AUTHENTICATE).cloned();
    Err(match (status, challenge) {
        (StatusCode::UNAUTHORIZED, Some(challenge)) => LocalResponse::Unauthorized { challenge },
        _ => LocalResponse::Page(status),
    })
}

/// The error page instead of `response`, if it is one to replace and a page can be had.
pub(super) async fn serve(
    exchange: &mut Exchange<'_>,
    page: Box<ErrorPage<'_>>,
    response: &LocalResponse,
) -> Option<Served> {
    let status = response
        .replaceable()
        .filter(|status| page.pages.replaces(*status))?;
    // A client that is gone gets nothing.
    if exchange.record.status.is_some() {
        return None;
    }
    if !page.of_upstream && exchange.record.reason.is_none() {
        exchange.record.reason = response.error();
    }
    let cookie = page.session_cookie.clone();
    match page.request(exchange, status).await {
        Ok(mut page) => {
            survive(page.headers_mut(), response);
            if let Some(cookie) = cookie {
                page.headers_mut().append(SET_COOKIE, cookie);
            }
            // The fields of the route are not those of a page.
            exchange.edits = ResponseEdits::new(exchange.settings());
            Some(Served {
                response: page,
                tunnel: None,
                rate: None,
            })
        }
        Err(error) => {
            let reason = &mut exchange.record.reason;
            let fault = reason.get_or_insert_with(|| Fault::new("error-page"));
            let separator = if fault.detail.is_empty() { "" } else { "; " };
            fault.detail = format!("{}{separator}no error page: {error}", fault.detail).into();
            None
        }
    }
}

/// Adds the fields that a client needs of the response which the page replaces.
fn survive(headers: &mut HeaderMap, replaced: &LocalResponse) {
    match replaced {
        LocalResponse::Unauthorized { challenge } => {
            headers.append(WWW_AUTHENTICATE, challenge.clone());
        }
        LocalResponse::Redirect { location, .. } => {
            headers.entry(LOCATION).or_insert(location.clone());
        }
        _ => {}
    }
}

impl ErrorPage<'_> {
    async fn request(
        self: Box<Self>,
        exchange: &mut Exchange<'_>,
        status: StatusCode,
    ) -> Result<Response<Body>, CallError> {
        let (table, downstream) = (exchange.table, exchange.downstream);
        let upstreams = &downstream.worker.upstreams;
        let mut sources = self.pages.sources.iter();
        let upstream: &Arc<Upstream> = sources
            .find_map(|key| {
                table
                    .upstream(key)
                    .filter(|upstream| upstreams.has_endpoints(upstream))
            })
            .ok_or(CallError::NoEndpoints)?;
        let defaults = Forwarding::default();
        let mut head = self.head;
        fallback::explain(&mut head.headers, status, self.origin);
        let span = exchange.record.span.clone();
        if let Some(span) = &span {
            span.inject(&mut head.headers);
        }
        let options = CallOptions {
            span: span.as_deref().and_then(RequestSpan::exported),
            // The status of a page is that of the response it replaces, so it is no reason for another attempt.
            retry: Retry::default(),
            ..CallOptions::of(self.forwarding.unwrap_or(&defaults), upstream, false)
        };
        let call = Call {
            target: upstreams.target(upstream, options.connect_timeout).await?,
            head,
            body: Payload::empty(),
            options,
            pool: &table.settings.pool,
            input: &ByClient(self.client),
        };
        let reply = upstreams.call(call, &mut exchange.record.attempts).await?;
        exchange.record.upstream = Some(upstream.log_name.clone());
        exchange.record.alternative = None;
        exchange.record.default_backend = false;
        exchange.note_response(reply.response.headers());
        let mut response = reply.response.map(Body::upstream);
        response_head::filter(&mut response, &table.settings, (&defaults, None), None);
        Ok(response)
    }
}

/// Chooses an endpoint by the address of the client alone: a page belongs to no session.
struct ByClient(IpAddr);

impl SelectionInput for ByClient {
    fn client(&self) -> IpAddr {
        self.0
    }

    fn evaluate(&self, _template: &Template) -> String {
        self.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;

    #[test]
    fn the_request_has_no_body_and_names_the_client_itself() {
        let sample = Sample::new("POST", "/a%20b?x=1")
            .header("content-length", "5")
            .header("expect", "100-continue")
            .header("connection", "upgrade, x-hop")
            .header("upgrade", "websocket")
            .header("x-hop", "1")
            .header("x-forwarded-for", "203.0.113.1")
            .header("x-original-uri", "/other")
            .header("ssl-client-verify", "SUCCESS")
            .header("cookie", "a=1")
            .header("cookie", "b=2");
        let context = sample.context();
        let of = (context.host, context.settings);
        let id = Some(HeaderValue::from_static("id"));
        let head = head(&context.parsed, context.headers.clone(), of, id);
        assert_eq!(
            (head.method.as_str(), head.uri.to_string()),
            ("POST", "/?x=1".into())
        );
        let mut fields: Vec<String> = head
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        fields.sort();
        assert_eq!(
            fields,
            [
                "cookie: a=1; b=2",
                "host: Shop.example:8080",
                "x-forwarded-for: 192.0.2.7",
                "x-original-uri: /a%20b?x=1",
                "x-request-id: id",
            ]
        );
    }

    #[test]
    fn a_page_keeps_what_clients_need_of_the_response() {
        let survived = |response: &LocalResponse| {
            let mut headers = HeaderMap::new();
            headers.insert(LOCATION, HeaderValue::from_static("/page"));
            survive(&mut headers, response);
            let text = |name| Some(headers.get(name)?.to_str().unwrap().to_owned());
            (text(LOCATION).unwrap(), text(WWW_AUTHENTICATE))
        };
        let challenge = HeaderValue::from_static("Basic");
        assert_eq!(
            survived(&LocalResponse::Unauthorized { challenge }),
            ("/page".into(), Some("Basic".into()))
        );
        assert_eq!(
            survived(&LocalResponse::Page(StatusCode::FORBIDDEN)),
            ("/page".into(), None)
        );
    }
}
