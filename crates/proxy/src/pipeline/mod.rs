//! What is done to a request, as a list of named steps in the order that ingress-nginx has them (its reference, 0.5).
//!
//! A step reads the canonical request and the route's compiled policy, and either lets the request go on or answers it. What
//! a step does to a head is a pure function in a file of its own; this file is only the order.

mod cors;
mod destination;
mod fallback;
mod forward;
mod hop_by_hop;
mod https;
mod limits;
mod redirect;
mod replace;
mod response_head;
mod rewrite;
mod spoofable_headers;
mod upstream_head;

use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{
    CATCH_ALL, Host, HostBehaviour, PathMatch, Route, RoutingTable, Settings, Target,
};
use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use self::destination::Destination;
use self::forward::{Forward, Forwarded};
use self::response_head::Additions;
use self::rewrite::Rewritten;
use self::upstream_head::{Extra, UpstreamHead};
use crate::body::Body;
use crate::downstream::Downstream;
use crate::record::Record;
use crate::request::{
    ConditionView, ConnectionInfo, Context, Malformed, Parsed, RequestTarget, client_request_id,
    generated_id, path,
};
use crate::respond::{Failure, LocalResponse};
use crate::telemetry::Recording;
use crate::upstream::{CallError, RequestBodyError};

/// Path of the counters on the catch-all host, for this machine alone.
const STATUS_PATH: &[u8] = b"/nginx_status";

/// Serves one request of the connection `downstream`. Never fails: whatever goes wrong becomes an answer.
pub(crate) async fn handle(
    downstream: &Rc<Downstream>,
    request: Request<Incoming>,
) -> Response<Body> {
    let table = downstream.worker.table();
    let (head, body) = request.into_parts();
    let version = head.version;
    let record = begin(downstream, &head, &body);
    let mut record = Recording::new(record, downstream.worker.telemetry.clone());
    let mut allowed_origin = None;

    let exchange = Exchange {
        downstream,
        table: &table,
        record: &mut record,
        allowed_origin: &mut allowed_origin,
    };
    let result = exchange.run(head, body).await;
    let Forwarded {
        mut response,
        tunnel,
    } = result.unwrap_or_else(|answer| {
        name_upstream(&table, &mut record);
        identify(&table.settings, &mut record);
        answer.response(&table.settings, version).into()
    });

    let policy = record.route.as_ref().map(|route| &*route.policy);
    let additions = Additions {
        policy,
        allowed_origin,
        https: downstream.tls.is_some(),
    };
    response_head::finish(response.headers_mut(), &table.settings, additions);
    // A client that went away has its status already.
    if record.status.is_none() {
        record.status = Some(response.status());
    }
    match tunnel {
        None => response.map(|body| body.recorded(record)),
        // A tunnel outlives the response.
        Some(tunnel) => {
            tunnel.open(move |bytes| record.body_bytes_sent += bytes);
            response
        }
    }
}

/// One request on its way through the steps.
struct Exchange<'x> {
    downstream: &'x Rc<Downstream>,
    table: &'x Rc<Arc<RoutingTable>>,
    record: &'x mut Record,
    /// Set when the route shares with the request's origin.
    allowed_origin: &'x mut Option<HeaderValue>,
}

impl Exchange<'_> {
    async fn run(mut self, mut head: Parts, body: Incoming) -> Result<Forwarded, LocalResponse> {
        let table = self.table;
        let settings = &*table.settings;
        let target = RequestTarget::of(&head)?;
        let name = target.name()?;
        let path = path::canonical(target.raw_path()).map_err(Malformed::from)?;
        let downstream = self.downstream;
        // Connections may outlive their listener: then nothing is served on them any more.
        let listener = table.listener(downstream.listener);
        let served = listener.and_then(|listener| {
            let hosts = listener.hosts(downstream.server_name())?;
            Some((listener, hosts))
        });
        let Some((listener, hosts)) = served else {
            return Err(LocalResponse::PageAndClose(StatusCode::NOT_FOUND));
        };
        let connection = ConnectionInfo::of(downstream, listener.ports);
        let client = connection.client(&settings.forwarded, &head.headers, target.host.as_ref());
        self.record.client = client.address;
        let parsed = Parsed {
            target: &target,
            name: &name,
            path: &path,
            connection,
            client,
        };

        let host = hosts.find(&name);
        self.note_host(host, &name);
        let (route, add_slash) = find_route(table, host, &parsed, &head)?;
        self.own_path(host, route, &parsed)?;
        self.record.route = Some(route.clone());
        self.record.unlogged = !route.policy.access_log;
        let headers = std::mem::take(&mut head.headers);
        let mut context = Context::new(parsed, headers, settings, host, route);

        refuse_closed(route)?;
        if add_slash {
            return Err(redirect::add_slash(&context));
        }
        self.share(&context)?;
        self.check_length(route, body.size_hint().exact())?;
        redirect::of_route(&context)?;
        let mut rewritten = rewrite::rewrite(&context)?;
        https::redirect_to_https(&context, hosts)?;
        let destination = destination::destination(&context, table, &downstream.worker.upstreams)?;
        self.note_destination(destination);
        context.upstream = destination.upstream().map(|upstream| &**upstream);
        self.limit(&context)?;
        check_access(&context)?;

        let Some(upstream) = destination.upstream() else {
            return Err(LocalResponse::Page(StatusCode::NOT_FOUND));
        };
        let is_fallback = matches!(destination, Destination::Fallback(_));
        if is_fallback {
            rewritten = Rewritten::default();
        }
        let extra = Extra {
            prefix: rewritten.prefix,
            body_length: body.size_hint().exact(),
        };
        let UpstreamHead {
            mut headers,
            upgrade,
        } = upstream_head::upstream_head(&mut context, extra);
        if is_fallback {
            fallback::explain(&mut headers, &context);
        }
        self.record.request_id = context.request_id().cloned();

        let on_upgrade = head.extensions.remove::<OnUpgrade>().filter(|_| upgrade);
        let head = upstream_request(head, rewritten.target, headers);
        let forward = Forward {
            upstreams: &self.downstream.worker.upstreams,
            context: &context,
            upstream,
            head,
            body,
            upgrade: on_upgrade,
        };
        let mut forwarded = forward
            .run(self.record)
            .await
            .map_err(|error| self.failed(error))?;
        let response = &mut forwarded.response;
        let status = response.status();
        response_head::filter(
            response.headers_mut(),
            status,
            settings,
            &route.policy.forwarding,
        );
        // The version is the upstream's; towards the client it is the connection's.
        *response.version_mut() = Version::HTTP_11;
        Ok(forwarded)
    }

    /// Paths of our own, which the catch-all host has where no object names them. They are not logged.
    fn own_path(
        &mut self,
        host: &Host,
        route: &Arc<Route>,
        parsed: &Parsed<'_>,
    ) -> Result<(), LocalResponse> {
        let is_root = matches!(&host.behaviour, HostBehaviour::Routes { paths, .. } if Arc::ptr_eq(route, paths.root()));
        if !is_root || *host.name != *CATCH_ALL {
            return Ok(());
        }
        let answer = if *parsed.path == *self.table.settings.health_path.as_bytes() {
            LocalResponse::Healthy
        } else if *parsed.path == *STATUS_PATH {
            self.counters()
        } else {
            return Ok(());
        };
        self.record.unlogged = true;
        Err(answer)
    }

    /// The connection's own end decides: what headers say of the client may come from anywhere.
    fn counters(&self) -> LocalResponse {
        if self.downstream.tcp_peer.ip().to_canonical().is_loopback() {
            LocalResponse::Counters(self.downstream.worker.shared.telemetry.status_page())
        } else {
            LocalResponse::Page(StatusCode::FORBIDDEN)
        }
    }

    fn note_host(&mut self, host: &Host, name: &str) {
        self.record.host = Some(host.name.clone());
        self.record.host_is_literal =
            *host.name == *name || host.aliases.iter().any(|alias| **alias == *name);
    }

    /// Cross-origin sharing: decides about the origin, and answers OPTIONS for allowed ones.
    fn share(&mut self, context: &Context<'_>) -> Result<(), LocalResponse> {
        let Some(cors) = &context.route.policy.cors else {
            return Ok(());
        };
        *self.allowed_origin = cors::allowed_origin(cors, context.headers.get(ORIGIN));
        if self.allowed_origin.is_some() && context.parsed.target.method == Method::OPTIONS {
            return Err(LocalResponse::Preflight);
        }
        Ok(())
    }

    /// A body that is announced to be too long is refused whatever else the route would answer, as nginx does. One that
    /// turns out to be is refused while it is forwarded.
    fn check_length(&mut self, route: &Route, announced: Option<u64>) -> Result<(), LocalResponse> {
        if limits::is_too_long(route.policy.forwarding.body_limit, announced) {
            return Err(self.failed(RequestBodyError::TooLarge.into()));
        }
        Ok(())
    }

    /// Logs show the upstream of the route, and its canary beside it when that serves.
    fn note_destination(&mut self, destination: Destination<'_>) {
        match destination {
            Destination::Primary(upstream) | Destination::Fallback(upstream) => {
                self.record.upstream = Some(upstream.log_name.clone());
            }
            Destination::Alternative {
                primary,
                alternative,
            } => {
                self.record.upstream = Some(primary.log_name.clone());
                self.record.alternative = Some(alternative.log_name.clone());
            }
            Destination::Default(upstream) => {
                self.record.upstream = Some(upstream.log_name.clone());
                self.record.default_backend = true;
            }
            Destination::NotFound => self.record.default_backend = true,
        }
    }

    fn limit(&mut self, context: &Context<'_>) -> Result<(), LocalResponse> {
        let Some(limits) = &context.route.policy.limits else {
            return Ok(());
        };
        let now = self.downstream.worker.nanos(self.record.start);
        match limits::admit(context, limits, now) {
            Ok(permit) => {
                self.record.permit = permit;
                Ok(())
            }
            Err(refusal) => {
                self.record.refused_by = Some(refusal.limit);
                Err(LocalResponse::Page(refusal.status))
            }
        }
    }

    fn failed(&mut self, error: CallError) -> LocalResponse {
        let failure = Failure::from(error);
        self.record.refused_by = failure.limit;
        if error == CallError::RequestBody(RequestBodyError::Gone) {
            // 499 is for the log alone: nobody is left to read an answer.
            self.record.status = Some(failure.status);
            return LocalResponse::PageAndClose(StatusCode::BAD_REQUEST);
        }
        if failure.close {
            LocalResponse::PageAndClose(failure.status)
        } else {
            LocalResponse::Page(failure.status)
        }
    }
}

/// What is known before anything is decided.
fn begin(downstream: &Downstream, head: &Parts, body: &Incoming) -> Record {
    Record {
        request_id: client_request_id(&head.headers),
        request_length: head_length(head) + body.size_hint().exact().unwrap_or_default(),
        ..Record::new(head, downstream.peer().ip().to_canonical())
    }
}

/// Requests that are answered before they come to an upstream are logged under the name of the one that they were for.
fn name_upstream(table: &RoutingTable, record: &mut Record) {
    if record.upstream.is_some() {
        return;
    }
    if let Some(Target::Forward(split)) = record.route.as_ref().map(|route| &route.target) {
        let primary = split.primary().upstream();
        let primary = primary.and_then(|primary| table.upstream(primary));
        record.upstream = primary.map(|upstream| upstream.log_name.clone());
    }
}

/// A request that is answered here has an id as well: the log shows it.
fn identify(settings: &Settings, record: &mut Record) {
    if record.request_id.is_none() {
        record.request_id = generated_id(settings);
    }
}

/// Bytes of the head as HTTP/1 writes it: separators are counted, spelling is not known any more.
fn head_length(head: &Parts) -> u64 {
    const REQUEST_LINE: usize = "  HTTP/1.1\r\n\r\n".len();
    const FIELD: usize = ": \r\n".len();
    let target = head
        .uri
        .path_and_query()
        .map_or(1, |target| target.as_str().len());
    let fields: usize = head
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
        .sum();
    (head.method.as_str().len() + target + REQUEST_LINE + fields) as u64
}

/// The route of a request and whether its path lacks a final slash; or the answer that its host gives to all or some.
fn find_route<'t>(
    table: &RoutingTable,
    host: &'t Host,
    parsed: &Parsed<'_>,
    head: &Parts,
) -> Result<(&'t Arc<Route>, bool), LocalResponse> {
    let (app_root, paths) = match &host.behaviour {
        HostBehaviour::Redirect { to } => {
            return Err(redirect::to_host(
                to,
                &parsed.client,
                parsed.target,
                table.settings.redirect_status,
            ));
        }
        HostBehaviour::Routes { app_root, paths } => (app_root, paths),
    };
    if let Some(root) = app_root.as_ref().filter(|_| parsed.path == b"/") {
        return Err(redirect::to_app_root(
            root,
            parsed.connection,
            parsed.target,
        ));
    }
    let (route, add_slash) = match paths.find(parsed.path, |conditions| {
        conditions.hold(&ConditionView(head))
    }) {
        PathMatch::Route(route) => (route, false),
        PathMatch::AddSlash(route) => (route, true),
    };
    Ok((route, add_slash))
}

fn refuse_closed(route: &Route) -> Result<(), LocalResponse> {
    match route.target {
        Target::Closed(_) => Err(LocalResponse::Page(StatusCode::SERVICE_UNAVAILABLE)),
        Target::Forward(_) | Target::DefaultBackend(_) => Ok(()),
    }
}

fn check_access(context: &Context<'_>) -> Result<(), LocalResponse> {
    let refused = context
        .route
        .policy
        .access
        .as_ref()
        .is_some_and(|access| !access.admits(context.client()));
    if refused {
        Err(LocalResponse::Page(StatusCode::FORBIDDEN))
    } else {
        Ok(())
    }
}

/// The upstream request in origin form. What the client's connection attached to the request stays here.
fn upstream_request(
    mut head: Parts,
    target: Option<http::uri::PathAndQuery>,
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
fn origin_form(target: http::uri::PathAndQuery) -> Uri {
    if target.as_str().starts_with('/') {
        return Uri::from(target);
    }
    Uri::try_from(format!("/{}", target.as_str())).unwrap_or_default()
}
