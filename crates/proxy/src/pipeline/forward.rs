//! Forwarding: a call with the client's body and record.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU64;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use headgate_http1::server::Upgrade;
use headgate_table::{Forwarding, ResponseRate, Script, Settings, Template, Upstream};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use tokio::time::Instant;

use super::exchange::Served;
use super::session::Issued;
use super::{fastcgi, session};
use crate::body::Body;
use crate::incoming::Incoming;
use crate::mirror::{self, MirrorCopy};
use crate::record::Record;
use crate::request::Context;
use crate::trace::RequestSpan;
use crate::upstream::{
    BodyRules, Call, CallError, CallOptions, Length, Payload, Reply, SelectionInput, Tunnel,
    UpstreamBody, Upstreams, after,
};

static ACCEL_LIMIT_RATE: HeaderName = HeaderName::from_static("x-accel-limit-rate");

/// A client's request on its way to an upstream.
pub(super) struct Forward<'f> {
    pub(super) upstreams: &'f Rc<Upstreams>,
    pub(super) context: &'f Context<'f>,
    pub(super) upstream: &'f Arc<Upstream>,
    /// See [`Call::head`].
    pub(super) head: Parts,
    pub(super) body: Received,
    /// The client's side of an upgrade that the head requests.
    pub(super) upgrade: Option<Upgrade>,
    /// Path and query for an upstream of FastCGI.
    pub(super) fastcgi: Option<Box<fastcgi::Script>>,
    /// Copies for mirrors.
    pub(super) copies: Vec<MirrorCopy>,
}

/// The body of a client's request.
pub(super) enum Received {
    /// It is received as the route says.
    Stream(Incoming),
    /// It was read by a step before.
    Memory(Bytes),
}

/// A forwarded request with the response of the upstream, not filtered yet.
pub(super) struct Forwarded<'t> {
    pub(super) served: Served,
    pub(super) settings: &'t Settings,
    pub(super) forwarding: &'t Forwarding,
    pub(super) script: Option<&'t Script>,
    /// What a replaced `Location` begins with; `None` if none is replaced.
    pub(super) origin: Option<String>,
    /// The affinity cookie.
    pub(super) session_cookie: Option<HeaderValue>,
}

impl Forward<'_> {
    /// Forwards the request. `record` gets its attempts and the length of its body. Also returns `Set-Cookie` of a session that
    /// begins, which the response lacks.
    ///
    /// # Errors
    /// If there is no response.
    pub(super) async fn run(
        self,
        record: &mut Record,
    ) -> Result<(Served, Option<HeaderValue>), CallError> {
        let Self {
            upstreams,
            context,
            upstream,
            head,
            body,
            upgrade,
            fastcgi,
            copies,
        } = self;
        let settings = context.settings;
        let forwarding = &*context.route.policy.forwarding;
        let options = CallOptions {
            upgrade: upgrade.is_some(),
            span: context.span.as_deref().and_then(RequestSpan::exported),
            ..CallOptions::of(forwarding, upstream, context.https())
        };
        let target = upstreams.target(upstream, options.connect_timeout).await?;
        let rules = BodyRules {
            limit: forwarding.body_limit,
            timeout: settings.client.body_timeout,
            min_rate: settings.client.body_min_rate,
            buffered: forwarding.buffer_request,
            memory: forwarding.body_memory,
        };
        let mut body = match body {
            Received::Memory(bytes) => Payload::bytes(bytes),
            Received::Stream(body) => {
                let announced = body.size_hint().exact().is_some();
                let body = Payload::receive(body, rules, &options, upstreams).await?;
                // An announced length is counted with the head.
                if let (Length::Exact(length), false) = (body.length(), announced) {
                    record.request_length += length;
                }
                body
            }
        };
        mirror::follow(copies, &mut body);
        let body = body.replayable(forwarding.replay_memory);
        let params = fastcgi.map(|script| Box::new(script.params(context, &head, body.length())));
        let options = CallOptions {
            fastcgi: params.as_deref(),
            ..options
        };
        let call = Call {
            target,
            head,
            body,
            options,
            pool: &settings.pool,
            input: context,
        };
        let Reply {
            mut response,
            mut session_cookie,
        } = upstreams.call(call, &mut record.attempts).await?;
        match begun(context, record) {
            Some(Issued::Cookie(cookie)) => session_cookie = Some(cookie),
            Some(Issued::Field(name, token)) => drop(response.headers_mut().insert(name, token)),
            None => {}
        }
        let client = upgrade.filter(|_| response.status() == StatusCode::SWITCHING_PROTOCOLS);
        let tunnel = client.map(|client| {
            Tunnel::new(
                client,
                &mut response,
                &record.attempts,
                options.read_timeout,
            )
        });
        let rate = rate(forwarding, &response);
        let response = response.map(Body::upstream);
        let response = match deadline(forwarding, record) {
            Some(deadline) if tunnel.is_none() => response.map(|body| body.until(deadline)),
            _ => response,
        };
        let served = Served {
            response,
            tunnel,
            rate,
        };
        Ok((served, session_cookie))
    }
}

/// The token of a session that begins with this request: there was none, or it could not go on.
fn begun(context: &Context<'_>, record: &Record) -> Option<Issued> {
    let session = context.route.policy.session.as_deref()?;
    let endpoint = record.attempts.last()?.endpoint;
    let is_new = context.session_endpoint != Some(endpoint);
    is_new
        .then(|| session::begin(context, session, endpoint))
        .flatten()
}

/// When the response must have ended: at the end of the time for the exchange, and of that for its last attempt.
fn deadline(forwarding: &Forwarding, record: &Record) -> Option<Instant> {
    let of_exchange = forwarding.request_timeout;
    let of_exchange = of_exchange.map(|bound| after(record.start.into(), bound));
    let of_attempt = forwarding.attempt_timeout.and_then(|bound| {
        let last = record.attempts.last()?;
        Some(after(last.start.into(), bound))
    });
    of_exchange.into_iter().chain(of_attempt).min()
}

/// How fast `response` is sent: as configured, unless the endpoint sends `X-Accel-Limit-Rate`, in bytes. As in nginx, a
/// response that is not read ahead is not limited.
fn rate(forwarding: &Forwarding, response: &Response<UpstreamBody>) -> Option<ResponseRate> {
    if !response.body().is_read_ahead() {
        return None;
    }
    let own = response.headers().get(&ACCEL_LIMIT_RATE);
    let own = own.and_then(|value| value.to_str().ok()?.parse().ok());
    match own.map(NonZeroU64::new) {
        None => forwarding.response_rate,
        Some(bytes) => Some(ResponseRate {
            bytes: bytes?,
            after: forwarding.response_rate.map_or(0, |rate| rate.after),
        }),
    }
}

/// The upstream request in origin form, without the extensions of the client's connection.
pub(super) fn upstream_request(
    mut head: Parts,
    target: Option<PathAndQuery>,
    headers: HeaderMap,
) -> Parts {
    head.headers = headers;
    head.version = Version::HTTP_11;
    head.extensions.clear();
    if let Some(target) = target {
        head.uri = Uri::from(target);
    } else if head.uri.authority().is_some() {
        let target = head.uri.path_and_query().cloned();
        head.uri = target.map_or_else(Uri::default, origin_form);
    }
    head
}

/// `?query` of a URL without a path is written `/?query`.
fn origin_form(target: PathAndQuery) -> Uri {
    if target.as_str().starts_with('/') {
        return Uri::from(target);
    }
    Uri::try_from(format!("/{}", target.as_str())).unwrap_or_default()
}

impl SelectionInput for Context<'_> {
    fn client(&self) -> IpAddr {
        Context::client(self)
    }

    fn evaluate(&self, template: &Template) -> String {
        Context::evaluate(self, template)
    }

    fn https(&self) -> bool {
        Context::https(self)
    }

    fn session_endpoint(&self) -> Option<SocketAddr> {
        self.session_endpoint
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        Context::cookie(self, name)
    }

    fn user_agent(&self) -> &str {
        Context::user_agent(self)
    }

    fn session_path(&self) -> Option<&str> {
        self.route.sets_affinity_cookie.then_some(&*self.route.path)
    }
}
