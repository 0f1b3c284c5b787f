//! A request from beginning to end: what is common to all steps.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use headgate_table::{Host, Reads, ResponseRate, Route, RoutingTable, Script, Settings, Target};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use super::destination::{Destination, Role};
use super::edits::{self, ResponseEdits};
use super::error_page::ErrorPage;
use super::field_changes::FieldChanges;
use super::{length, trace};
use crate::body::Body;
use crate::compress::Offer;
use crate::details::Details;
use crate::downstream::Downstream;
use crate::grpc;
use crate::record::Record;
use crate::request::{Context, Malformed, Parsed, client_request_id, generated_id};
use crate::respond::{Failure, LocalResponse};
use crate::telemetry::{Recording, expand};
use crate::upstream::{CallError, Fault, RequestBodyError, Tunnel};
use crate::values::{Locals, Scope};

/// One request: its record for logs and metrics, and the edits of its response.
pub(super) struct Exchange<'t> {
    pub(super) downstream: &'t Rc<Downstream>,
    pub(super) table: &'t RoutingTable,
    pub(super) record: Recording,
    pub(super) edits: ResponseEdits<'t>,
    /// What the authentication or authorization service changes of the request.
    pub(super) granted: Option<Box<FieldChanges>>,
    /// The body of the request, if it was read before the request is forwarded.
    pub(super) received: Option<Bytes>,
    /// The request for an error page, if the route has any.
    pub(super) error_page: Option<Box<ErrorPage<'t>>>,
    /// It is a call of gRPC whose failures are reported as such.
    pub(super) is_call: bool,
    /// Compression of the response, if settings say so.
    offer: Option<Offer<'t>>,
}

/// The response to a request, generated or forwarded, before its edits.
pub(super) struct Served {
    pub(super) response: Response<Body>,
    /// What comes after a 101.
    pub(super) tunnel: Option<Tunnel>,
    /// How fast it is sent.
    pub(super) rate: Option<ResponseRate>,
}

impl<'t> Exchange<'t> {
    /// The request with this head and announced length of its body, served from `table`.
    pub(super) fn begin(
        downstream: &'t Rc<Downstream>,
        table: &'t RoutingTable,
        (head, announced): (&Parts, Option<u64>),
    ) -> Self {
        let edits = ResponseEdits::new(&table.settings);
        let mut record = Record {
            request_id: client_request_id(&head.headers),
            request_length: length::of_request(head) + announced.unwrap_or_default(),
            ..Record::new(head, downstream.peer().ip().to_canonical())
        };
        let format = table.settings.access_log.format.as_deref();
        let logged = format.map(|format| format.template.reads());
        keep(
            &mut record,
            downstream,
            logged.into_iter().chain(edits.reads()),
            &head.headers,
        );
        if downstream.worker.telemetry.watches(record.start) {
            let facts = || Box::new(Details::new(downstream.facts()));
            record.details.get_or_insert_with(facts).is_watched = true;
        }
        Self {
            downstream,
            table,
            record: Recording::new(record, downstream.worker.telemetry.clone()),
            edits,
            granted: None,
            received: None,
            error_page: None,
            is_call: false,
            offer: table
                .settings
                .compression
                .as_ref()
                .map(|compression| Offer::of(head, compression)),
        }
    }

    pub(super) fn settings(&self) -> &'t Settings {
        &self.table.settings
    }

    /// Records the host of a request for `name`.
    pub(super) fn note_host(&mut self, host: &Host, name: &str) {
        self.record.host = Some(host.name.clone());
        self.restrict(host);
        self.record.host_is_literal =
            *host.name == *name || host.aliases.iter().any(|alias| **alias == *name);
    }

    /// Lets the log and templates read no client certificate that was verified for another host than `host`.
    pub(super) fn restrict(&mut self, host: &Host) {
        if let Some(details) = &mut self.record.details {
            details.restrict(host);
        }
    }

    /// Keeps the canonical request for templates and the log, if they read it.
    pub(super) fn note_request(&mut self, parsed: &Parsed<'_>) {
        if let Some(details) = &mut self.record.details {
            details.host.clone_from(&parsed.target.host);
            details.forwarded_host.clone_from(&parsed.client.host);
            details.scheme = Some(parsed.client.scheme_value());
            details.port = Some(parsed.client.port_value());
            details.name = parsed.name.into();
            details.path = parsed.path.into();
        }
    }

    /// Records the route of the request with these fields.
    pub(super) fn note_route(
        &mut self,
        route: &'t Arc<Route>,
        parsed: &Parsed<'_>,
        headers: &HeaderMap,
    ) {
        self.record.route = Some(route.clone());
        trace::begin(self, route, headers);
        self.record.unlogged = !route.policy.access_log;
        self.edits
            .add_route(&route.policy, self.downstream.tls.is_some());
        let own = route.policy.response_headers.iter();
        let own = own.filter_map(|(_, value)| Some(value.template()?.reads()));
        let script = route.policy.script.as_deref().into_iter();
        let script = script.flat_map(|script| edits::of_script(script, &self.table.settings));
        keep(
            &mut self.record,
            self.downstream,
            own.chain(script),
            headers,
        );
        self.note_request(parsed);
    }

    /// Forgets what the former route of a request allowed: its fields and its compression.
    pub(super) fn leave_route(&mut self, context: &Context<'_>) {
        self.edits.leave_route();
        let compression = self.table.settings.compression.as_deref();
        self.offer = compression.map(|own| Offer::of_request(context, own));
    }

    /// Applies what a script has selected, besides the edits of the request.
    pub(super) fn select(&mut self, script: &'t Script, level: usize, context: &Context<'_>) {
        self.edits.add_script(script, level, context.locals.clone());
        let Some(level) = script.levels.get(level) else {
            return;
        };
        if let Some(log) = level.access_log {
            self.record.unlogged = !log || self.record.unlogged;
        }
        if let Some(compression) = &level.compression {
            let compression = compression.as_deref();
            self.offer = compression.map(|own| Offer::of_request(context, own));
        }
    }

    /// Keeps what templates read of the request after its fields were edited.
    pub(super) fn note_edited(&mut self, headers: &HeaderMap) {
        keep(
            &mut self.record,
            self.downstream,
            self.edits.reads(),
            headers,
        );
    }

    /// Adds the edits of the script of a host to its own response.
    pub(super) fn respond_by_host(
        &mut self,
        script: &'t Script,
        locals: Option<Box<Locals>>,
        headers: &HeaderMap,
    ) {
        let reads = edits::of_script(script, &self.table.settings);
        keep(&mut self.record, self.downstream, reads, headers);
        self.edits.add_script(script, 0, locals);
        let logs = script.levels.first().and_then(|level| level.access_log);
        self.record.unlogged |= logs == Some(false);
    }

    /// Records the upstream of the route, and the alternative if that serves.
    pub(super) fn note_destination(&mut self, destination: &Destination<'t>) {
        let Destination::Upstream(chosen) = destination else {
            self.record.default_backend = true;
            return;
        };
        let log_name = chosen.upstream.log_name.clone();
        match chosen.role {
            Role::Primary | Role::Fallback => self.record.upstream = Some(log_name),
            Role::Share => {
                self.record.upstream = Some(log_name.clone());
                self.record.alternative = Some(log_name);
            }
            Role::Alternative { primary } => {
                self.record.upstream = Some(primary.log_name.clone());
                self.record.alternative = Some(log_name);
            }
            Role::DefaultBackend => {
                self.record.upstream = Some(log_name);
                self.record.default_backend = true;
            }
        }
    }

    /// Keeps what templates and the log read of the upstream's response, before it is filtered.
    pub(super) fn note_response(&mut self, headers: &HeaderMap) {
        let format = self.settings().access_log.format.as_deref();
        let logged = format.map(|format| format.template.reads());
        if let Some(details) = &mut self.record.details {
            for reads in logged.into_iter().chain(self.edits.reads()) {
                details.upstream.keep(&reads.upstream, headers);
            }
        }
    }

    /// The response to a request that cannot be forwarded.
    pub(super) fn failed(&mut self, error: CallError) -> LocalResponse {
        let failure = Failure::from(error);
        self.record.reason = Some(self.fault(error));
        self.record.refused_by = failure.limit;
        if error == CallError::RequestBody(RequestBodyError::Gone) {
            // 499 is for the log only: the client is gone.
            self.record.status = Some(failure.status);
            self.record.reason = None;
            return LocalResponse::PageAndClose(StatusCode::BAD_REQUEST);
        }
        if failure.close {
            LocalResponse::PageAndClose(failure.status)
        } else if matches!(
            error,
            CallError::Overloaded(_) | CallError::RequestBody(RequestBodyError::NoSpace)
        ) {
            LocalResponse::Overloaded
        } else {
            LocalResponse::Page(failure.status)
        }
    }

    /// Why `error` happened: details are in the last attempt.
    fn fault(&self, error: CallError) -> Fault {
        let attempt = self.record.attempts.last();
        let fault = attempt.and_then(|attempt| attempt.fault.as_deref());
        match error {
            CallError::NoEndpoints | CallError::Overloaded(_) | CallError::RequestBody(_) => {
                Fault::of(error)
            }
            _ => fault.cloned().unwrap_or_else(|| Fault::of(error)),
        }
    }

    /// Gives an error response of `result` the reason, unless it has one.
    pub(super) fn because<T>(
        &mut self,
        reason: &'static str,
        result: Result<T, LocalResponse>,
    ) -> Result<T, LocalResponse> {
        let failed = result
            .as_ref()
            .is_err_and(|response| response.error().is_some());
        if failed && self.record.reason.is_none() {
            self.record.reason = Some(Fault::new(reason));
        }
        result
    }

    /// Refuses the request if memory or time is too short for new ones.
    pub(super) fn shed(&mut self) -> Result<(), LocalResponse> {
        let Some(limit) = self.downstream.worker.shedding.current().requests else {
            return Ok(());
        };
        self.record.refused_by = Some(limit);
        self.because(limit.as_str(), Err(LocalResponse::Overloaded))
    }

    /// The response to a malformed request.
    pub(super) fn malformed(&mut self, malformed: Malformed) -> LocalResponse {
        self.record.reason = Some(Fault {
            reason: "malformed-request",
            detail: malformed.to_string().into(),
        });
        malformed.into()
    }

    /// Responds as a step decided.
    pub(super) fn respond(&mut self, response: LocalResponse) -> Served {
        if self.record.reason.is_none() && self.record.status.is_none() {
            self.record.reason = response.error();
        }
        self.name_upstream();
        // The log shows the id of every request.
        if self.record.request_id.is_none() {
            self.record.request_id = generated_id(self.settings());
        }
        Served {
            response: self.response(response),
            tunnel: None,
            rate: None,
        }
    }

    /// The response that a step decided on, as the client gets it.
    pub(super) fn response(&self, response: LocalResponse) -> Response<Body> {
        let of_call = self.is_call.then(|| grpc::failure(&response)).flatten();
        let of_request = || response.response(self.settings(), self.record.version);
        of_call.unwrap_or_else(of_request)
    }

    /// The response for the client. The record ends with its body, or with the tunnel after it.
    pub(super) fn finish(self, served: Served) -> Response<Body> {
        let settings = self.settings();
        let Self {
            mut record,
            mut edits,
            offer,
            ..
        } = self;
        let Served {
            mut response,
            tunnel,
            rate,
        } = served;
        // If the client is gone, it is 499.
        if record.status.is_none() {
            record.status = Some(response.status());
        }
        let read = edits.reads().map(|reads| &reads.response);
        if let Some(details) = &mut record.details {
            read.for_each(|names| details.response.keep(names, response.headers()));
        }
        let status = response.status();
        let locals = edits.take_locals();
        let scope = Scope {
            locals: locals.as_deref(),
            maps: Some(&settings.maps),
            undecided: None,
        };
        edits.apply(status, response.headers_mut(), |template| {
            expand(&record, template, scope)
        });
        if let Some(coder) = offer.and_then(|offer| offer.edit(&mut response)) {
            response = response.map(|body| body.compressed(coder));
        }
        if let Some(rate) = rate {
            response = response.map(|body| body.throttled(rate));
        }
        let format = settings.access_log.format.as_deref();
        if let (Some(details), Some(format)) = (&mut record.details, format) {
            let names = &format.template.reads().response;
            details.response.keep(names, response.headers());
        }
        record.head_bytes_sent = length::of_response(&response);
        match tunnel {
            None => response.map(|body| body.recorded(record)),
            Some(tunnel) => {
                tunnel.open(move |bytes| record.body_bytes_sent += bytes);
                response
            }
        }
    }

    /// A request that reached no upstream is logged with the name of the primary.
    fn name_upstream(&mut self) {
        let record = &mut self.record;
        if record.upstream.is_some() {
            return;
        }
        if let Some(Target::Forward(split)) = record.route.as_ref().map(|route| &route.target) {
            let primary = split.primary().upstream();
            let primary = primary.and_then(|primary| self.table.upstream(primary));
            record.upstream = primary.map(|upstream| upstream.log_name.clone());
        }
    }
}

/// Keeps what templates that read this read of a request with these fields.
pub(super) fn keep<'a>(
    record: &mut Record,
    downstream: &Rc<Downstream>,
    reads: impl Iterator<Item = &'a Reads>,
    headers: &HeaderMap,
) {
    for reads in reads {
        let details = record
            .details
            .get_or_insert_with(|| Box::new(Details::new(downstream.facts())));
        details.request.keep(&reads.request, headers);
    }
}
