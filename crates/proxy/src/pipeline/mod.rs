//! Request processing as a list of named steps, in the order of ingress-nginx (behaviour.md 0.5).
//!
//! A request goes through phases that consume each other: arrived, routed, admitted, forwarded. So a step cannot run
//! before those that it depends on. A step reads the canonical request and the compiled policy of the route, and either
//! returns to the list or responds; edits of heads are pure functions in files of their own. This file is the order.

mod access;
mod authorization;
mod blocking;
mod built_in;
mod clients;
mod cors;
mod credentials;
mod destination;
mod digest;
mod edits;
mod error_page;
mod exchange;
mod explain;
mod external_auth;
mod fallback;
mod fastcgi;
mod field_changes;
mod forward;
mod hop_by_hop;
mod https;
mod invalid_names;
mod length;
mod limits;
mod mirror;
mod observer;
mod redirect;
mod replace;
mod response_head;
mod rewrite;
mod route_steps;
mod script;
mod scripted;
mod session;
mod spoofable_headers;
mod trace;
mod upstream_head;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use headgate_table::{
    BackendProtocol, Host, HostBehaviour, NoHosts, PathIndex, PathMatch, Route, VirtualHosts,
};
use http::header::SET_COOKIE;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body::Body as HttpBody;
use tokio::time::timeout_at;

use self::destination::{Chosen, Destination, Role};
use self::exchange::{Exchange, Served};
pub use self::explain::{ExplainError, explain};
use self::forward::{Forward, Forwarded, Received};
use self::observer::{Decision, Effects, HostDecision, Observer, Unobserved};
use self::rewrite::Rewritten;
use self::upstream_head::Extra;
use crate::body::Body;
use crate::downstream::Downstream;
use crate::grpc;
use crate::incoming::Incoming;
use crate::request::{
    ConditionView, ConnectionInfo, Context, Malformed, Parsed, RequestTarget, path,
};
use crate::respond::LocalResponse;
use crate::upstream::after;
use crate::values::Locals;

/// Serves one request of the connection `downstream`. Never fails: every failure becomes a response.
pub(crate) async fn handle(
    downstream: &Rc<Downstream>,
    request: Request<Incoming>,
) -> Response<Body> {
    let table = downstream.table();
    let (head, body) = request.into_parts();
    let announced = body.size_hint().exact();
    let mut exchange = Exchange::begin(downstream, &table, (&head, announced));
    let served = match serve(&mut exchange, head, body).await {
        Ok(served) => served,
        Err(response) => {
            let page = match exchange.error_page.take() {
                Some(page) => Box::pin(error_page::serve(&mut exchange, page, &response)).await,
                None => None,
            };
            page.unwrap_or_else(|| exchange.respond(response))
        }
    };
    exchange.finish(served)
}

/// Returns the response of the upstream, or that of the step that responds before.
async fn serve(
    exchange: &mut Exchange<'_>,
    head: Parts,
    body: Incoming,
) -> Result<Served, LocalResponse> {
    exchange.shed()?;
    let target = RequestTarget::of(&head).map_err(|error| exchange.malformed(error))?;
    let name = target.name().map_err(|error| exchange.malformed(error))?;
    let path = path::canonical(target.raw_path());
    let path = path.map_err(|error| exchange.malformed(Malformed::from(error)))?;
    let arrived = Arrived::new(exchange, (&target, &name, &path), head, body)?;
    let routed = arrived.route(&mut Unobserved)?;
    let timeout = routed.route.policy.forwarding.request_timeout;
    let forwarded = match timeout {
        None => routed.admit(&mut Unobserved).await?.forward().await?,
        // Boxed, because a request without a timeout must not pay for the size of this future.
        Some(timeout) => Box::pin(within(timeout, routed)).await?,
    };
    Ok(forwarded.filter())
}

/// Admits and forwards a request whose response must begin in time.
async fn within<'t>(
    timeout: Duration,
    routed: Routed<'_, 't>,
) -> Result<Forwarded<'t>, LocalResponse> {
    let deadline = after(routed.exchange.record.start.into(), timeout);
    let forwarded = async { routed.admit(&mut Unobserved).await?.forward().await };
    let late = Err(LocalResponse::Page(StatusCode::GATEWAY_TIMEOUT));
    timeout_at(deadline, forwarded).await.unwrap_or(late)
}

impl<'r, 't, B> Arrived<'r, 't, B> {
    /// Steps 1 to 6: host and route.
    fn route(
        mut self,
        observer: &mut impl Observer<B>,
    ) -> Result<Routed<'r, 't, B>, LocalResponse> {
        let mut host = self.hosts.find(self.parsed.name);
        let (locals, route, lacks_slash) = loop {
            self.exchange.note_host(host, self.parsed.name);
            let found = self.paths_of(host, observer); // 1 to 5
            let (paths, locals) = found.inspect_err(|_| {
                let headers = &self.head.headers;
                error_page::keep_for_host(self.exchange, host, &self.parsed, headers);
            })?;
            let path = locals.as_ref().and_then(|locals| locals.path.as_deref());
            let path = path.unwrap_or(self.parsed.path);
            let found = find_route((host, paths), path, &self.head);
            let (route, lacks_slash) = self.exchange.because("expression-limit", found)?; // 6
            match self.wider(host, route) {
                Some(wider) => host = wider,
                None => break (locals, route, lacks_slash),
            }
        };
        let exchange = self.exchange;
        let built_in = built_in::respond(exchange, (self.hosts, host), route, self.parsed.path);
        observer.decided_by_host(built_in, HostDecision::BuiltIn, host)?;
        let mut head = self.head;
        exchange.note_route(route, &self.parsed, &head.headers);
        exchange.restrict(host);
        let headers = std::mem::take(&mut head.headers);
        let mut context = Context::new(self.parsed, headers, exchange.settings(), host, route);
        context.span.clone_from(&exchange.record.span);
        context.locals = locals;
        error_page::keep(exchange, route, &context);
        Ok(Routed {
            exchange,
            hosts: self.hosts,
            host,
            route,
            lacks_slash,
            context,
            head,
            body: self.body,
        })
    }

    /// The host for a request that no route of `host` serves: in a layered universe the next wider one, or one of the universe
    /// beneath.
    fn wider(&mut self, host: &Host, route: &Route) -> Option<&'t Arc<Host>> {
        let hosts = self.hosts;
        if !hosts.is_layered() || !route.is_built_in() {
            return None;
        }
        let wider = hosts.wider(host, self.parsed.name);
        wider.or_else(|| {
            self.hosts = hosts.beneath()?;
            self.exchange.is_call = false;
            Some(self.hosts.find(self.parsed.name))
        })
    }

    /// The paths of `host`, unless the host refuses the client or responds; and what its script has set.
    fn paths_of(
        &mut self,
        host: &'t Host,
        observer: &mut impl Observer<B>,
    ) -> Result<(&'t PathIndex, Option<Box<Locals>>), LocalResponse> {
        let verified = clients::verify(self.parsed.tls, host, self.parsed.name); // 1
        observer.decided_by_host(verified, HostDecision::ClientCertificate, host)?;
        let blocked = blocking::check(self.exchange.settings(), &self.head.headers); // 2
        let blocked = self.exchange.because("block-list", blocked);
        observer.decided_by_host(blocked, HostDecision::BlockList, host)?;
        let authorized = clients::authorize(self.parsed.tls, host); // 3 and 4
        observer.decided_by_host(authorized, HostDecision::ClientSubject, host)?;
        let locals = match &host.script {
            None => None,
            Some(script) => {
                let set = self.run_host_script(host, script);
                observer.decided_by_host(set, HostDecision::Script, host)?
            }
        };
        let path = locals.as_ref().and_then(|locals| locals.path.as_deref());
        let is_root = path.unwrap_or(self.parsed.path) == b"/";
        match &host.behaviour {
            HostBehaviour::Redirect { to } => {
                let status = self.exchange.settings().redirect_status;
                let Parsed { client, target, .. } = &self.parsed;
                let redirect = Err(redirect::to_host(to, client, target, status));
                observer.decided_by_host(redirect, HostDecision::Redirect, host)
            }
            HostBehaviour::Routes {
                app_root: Some(root),
                ..
            } if is_root => {
                let Parsed {
                    connection, target, ..
                } = self.parsed;
                let redirect = Err(redirect::to_app_root(root, connection, target));
                observer.decided_by_host(redirect, HostDecision::AppRoot, host)
            }
            HostBehaviour::Routes { paths, .. } => Ok((paths, locals)),
        }
    }
}

impl<'r, 't, B: HttpBody> Routed<'r, 't, B> {
    /// Steps 7 to 14: whether the request is forwarded, and where. [`explain()`](explain()) runs them too, with other effects.
    async fn admit(
        mut self,
        effects: &mut impl Effects<B>,
    ) -> Result<Admitted<'r, 't, B>, LocalResponse> {
        let rewritten = self.decide(effects)?; // 7 to 11
        let destination = effects.choose(&mut self)?; // 12
        effects.limit(&mut self)?; // 13
        access::check(effects, &mut self).await?; // 14
        let Destination::Upstream(chosen) = destination else {
            return Err(LocalResponse::Page(StatusCode::NOT_FOUND));
        };
        Ok(Admitted {
            exchange: self.exchange,
            route: self.route,
            context: self.context,
            head: self.head,
            body: self.body,
            chosen,
            rewritten,
        })
    }
}

impl<'t, B: HttpBody> Routed<'_, 't, B> {
    /// Steps 7 to 11: what the route decides by the request alone.
    fn decide(&mut self, observer: &mut impl Observer<B>) -> Result<Rewritten, LocalResponse> {
        self.enter(observer)?;
        let rewrites = self.run_script(observer)?;
        let redirected = self.redirect(rewrites); // 9
        observer.decided(redirected, Decision::Redirect, self)?;
        let rewritten = self.rewrite(rewrites); // 10
        let rewritten = observer.decided(rewritten, Decision::Rewrite(rewrites), self)?;
        let https = https::redirect_to_https(&self.context, self.exchange.table, self.hosts); // 11
        observer.decided(https, Decision::Https, self)?;
        Ok(rewritten)
    }

    /// The first steps of a route, also of one that a script leads to.
    fn enter(&mut self, observer: &mut impl Observer<B>) -> Result<(), LocalResponse> {
        observer.decided(self.refuse_closed(), Decision::Closed, self)?; // 7
        observer.decided(self.check_length(), Decision::BodySize, self)?;
        observer.decided(self.add_slash(), Decision::FinalSlash, self)?;
        observer.decided(self.respond_to_preflight(), Decision::Cors, self) // 8
    }
}

impl<'t> Admitted<'_, 't> {
    /// Step 15: the request for the upstream, and its response.
    async fn forward(self) -> Result<Forwarded<'t>, LocalResponse> {
        let Self {
            exchange,
            route,
            mut context,
            head,
            mut body,
            chosen,
            rewritten,
        } = self;
        let copies = mirror::copies(exchange, &context, chosen.edits);
        let extra = Extra {
            prefix: rewritten.prefix,
            body_length: match &exchange.received {
                None => body.size_hint().exact(),
                Some(received) => Some(received.len() as u64),
            },
            edits: chosen.edits.map(|edits| &edits.request),
        };
        let mut fields = upstream_head::upstream_head(&mut context, extra);
        if matches!(chosen.role, Role::Fallback) {
            const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
            fallback::explain(&mut fields.headers, UNAVAILABLE, Some(&route.origin));
        }
        if let Some(granted) = exchange.granted.take() {
            granted.of_request(&mut fields.headers);
        }
        if let Some(span) = &context.span {
            span.inject(&mut fields.headers);
        }
        exchange.record.request_id = context.request_id().cloned();
        let is_fastcgi = context.protocol() == BackendProtocol::FastCgi;
        let fastcgi =
            is_fastcgi.then(|| Box::new(fastcgi::Script::of(&context, rewritten.target.as_ref())));
        let upgrade = body.take_upgrade().filter(|_| fields.upgrade);
        let forward = Forward {
            upstreams: &exchange.downstream.worker.upstreams,
            context: &context,
            upstream: chosen.upstream,
            head: forward::upstream_request(head, rewritten.target, fields.headers),
            body: match exchange.received.take() {
                None => Received::Stream(body),
                Some(received) => Received::Memory(received),
            },
            upgrade,
            fastcgi,
            copies,
        };
        let served = forward.run(&mut exchange.record).await; // 15
        let (served, session_cookie) = served.map_err(|error| exchange.failed(error))?;
        let replaces = context.route.policy.forwarding.location.is_some();
        let origin = replaces.then(|| redirect::origin(&context)).flatten();
        exchange.note_response(served.response.headers());
        let served = error_page::intercept(
            exchange,
            &context,
            chosen.upstream,
            (served, session_cookie.as_ref()),
        )?;
        if let Some(edits) = chosen.edits {
            exchange.edits.add_backend(&edits.response);
        }
        Ok(Forwarded {
            served,
            settings: exchange.settings(),
            forwarding: &route.policy.forwarding,
            script: route.policy.script.as_deref(),
            origin,
            session_cookie,
        })
    }
}

impl Forwarded<'_> {
    /// The first half of step 16; the other is in [`edits::ResponseEdits`], because it applies to every response.
    fn filter(self) -> Served {
        let mut served = self.served;
        response_head::filter(
            &mut served.response,
            self.settings,
            (self.forwarding, self.script),
            self.origin.as_deref(),
        );
        // The proxy's own cookie is not one that the route replaces.
        if let Some(cookie) = self.session_cookie {
            served.response.headers_mut().append(SET_COOKIE, cookie);
        }
        served
    }
}

/// A request in canonical form, and the hosts of its listener.
struct Arrived<'r, 't, B = Incoming> {
    exchange: &'r mut Exchange<'t>,
    hosts: &'t Arc<VirtualHosts>,
    head: Parts,
    body: B,
    parsed: Parsed<'r>,
}

/// A request whose route is known.
struct Routed<'r, 't, B = Incoming> {
    exchange: &'r mut Exchange<'t>,
    hosts: &'t Arc<VirtualHosts>,
    host: &'t Host,
    route: &'t Arc<Route>,
    /// The path lacks the final slash of the route's.
    lacks_slash: bool,
    context: Context<'r>,
    /// Without its fields, which are in the context.
    head: Parts,
    body: B,
}

/// A request that may be forwarded.
struct Admitted<'r, 't, B = Incoming> {
    exchange: &'r mut Exchange<'t>,
    route: &'t Arc<Route>,
    context: Context<'r>,
    head: Parts,
    body: B,
    chosen: Chosen<'t>,
    rewritten: Rewritten,
}

impl<'r, 't, B> Arrived<'r, 't, B> {
    /// The request for `target`, with its canonical host and path.
    fn new(
        exchange: &'r mut Exchange<'t>,
        (target, name, path): (&'r RequestTarget, &'r str, &'r [u8]),
        mut head: Parts,
        body: B,
    ) -> Result<Self, LocalResponse> {
        let downstream = exchange.downstream;
        // The table contains the listener, but its server name may be passed through now.
        let not_served = || LocalResponse::PageAndClose(StatusCode::NOT_FOUND);
        let listener = exchange.table.listener(downstream.listener.address);
        let listener = listener.ok_or_else(not_served)?;
        let hosts = listener.hosts(downstream.server_name(), name);
        let hosts = hosts.map_err(|none| match none {
            NoHosts::NotHttp => not_served(),
            NoHosts::Misdirected => LocalResponse::Page(StatusCode::MISDIRECTED_REQUEST),
        })?;
        exchange.is_call = hosts.is_layered() && grpc::is_call(&head.headers);
        let connection = ConnectionInfo::of(downstream, listener);
        invalid_names::remove(&mut head.headers, exchange.settings());
        let trust = &exchange.settings().forwarded;
        let client = connection.client(trust, &head.headers, target.host.as_ref());
        exchange.record.client = client.address;
        let parsed = Parsed {
            target,
            name,
            path,
            connection,
            tls: downstream.tls.as_ref(),
            client,
            downstream: Some(downstream),
        };
        exchange.note_request(&parsed);
        Ok(Self {
            exchange,
            hosts,
            head,
            body,
            parsed,
        })
    }
}

/// The route of a request, and whether its path lacks a final slash.
fn find_route<'t>(
    (host, paths): (&'t Host, &'t PathIndex),
    path: &[u8],
    head: &Parts,
) -> Result<(&'t Arc<Route>, bool), LocalResponse> {
    let found = paths.find(path, &ConditionView(head));
    let own = |route: &Route| {
        let script = host.script.as_deref()?;
        script.location(path, route, paths.is_regex()).transpose()
    };
    // As nginx responds when PCRE gives up.
    let undecided = || LocalResponse::Page(StatusCode::INTERNAL_SERVER_ERROR);
    match found {
        PathMatch::Route(route) => match own(route) {
            None => Ok((route, false)),
            Some(Ok(own)) => Ok((own, false)),
            Some(Err(_)) => Err(undecided()),
        },
        PathMatch::AddSlash(route) => Ok((route, true)),
        PathMatch::Undecided => Err(undecided()),
    }
}
