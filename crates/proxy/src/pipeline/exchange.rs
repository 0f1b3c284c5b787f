//! A request from beginning to end: what is common to all steps.

use std::rc::Rc;
use std::sync::Arc;

use headgate_table::{Host, Route, RoutingTable, Settings, Target};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;

use super::destination::{Destination, Role};
use super::edits::ResponseEdits;
use super::external_auth::Granted;
use crate::body::Body;
use crate::downstream::Downstream;
use crate::record::Record;
use crate::request::{client_request_id, generated_id};
use crate::respond::{Failure, LocalResponse};
use crate::telemetry::Recording;
use crate::upstream::{CallError, RequestBodyError, Tunnel};

/// One request: its record for logs and metrics, and the edits of its response.
pub(super) struct Exchange<'t> {
    pub(super) downstream: &'t Rc<Downstream>,
    pub(super) table: &'t RoutingTable,
    pub(super) record: Recording,
    pub(super) edits: ResponseEdits<'t>,
    /// Fields that the authentication service adds to the request.
    pub(super) granted: Option<Box<Granted>>,
}

/// The response to a request, generated or forwarded, before its edits.
pub(super) struct Served {
    pub(super) response: Response<Body>,
    /// What comes after a 101.
    pub(super) tunnel: Option<Tunnel>,
}

impl<'t> Exchange<'t> {
    /// The request with this head and body, served from `table`.
    pub(super) fn begin(
        downstream: &'t Rc<Downstream>,
        table: &'t RoutingTable,
        (head, body): (&Parts, &Incoming),
    ) -> Self {
        let record = Record {
            request_id: client_request_id(&head.headers),
            request_length: head_length(head) + body.size_hint().exact().unwrap_or_default(),
            ..Record::new(head, downstream.peer().ip().to_canonical())
        };
        Self {
            downstream,
            table,
            record: Recording::new(record, downstream.worker.telemetry.clone()),
            edits: ResponseEdits::new(&table.settings),
            granted: None,
        }
    }

    pub(super) fn settings(&self) -> &'t Settings {
        &self.table.settings
    }

    /// Records the host of a request for `name`.
    pub(super) fn note_host(&mut self, host: &Host, name: &str) {
        self.record.host = Some(host.name.clone());
        self.record.host_is_literal =
            *host.name == *name || host.aliases.iter().any(|alias| **alias == *name);
    }

    pub(super) fn note_route(&mut self, route: &'t Arc<Route>) {
        self.record.route = Some(route.clone());
        self.record.unlogged = !route.policy.access_log;
        self.edits
            .add_route(&route.policy, self.downstream.tls.is_some());
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

    /// The response to a request that cannot be forwarded.
    pub(super) fn failed(&mut self, error: CallError) -> LocalResponse {
        let failure = Failure::from(error);
        self.record.refused_by = failure.limit;
        if error == CallError::RequestBody(RequestBodyError::Gone) {
            // 499 is for the log only: the client is gone.
            self.record.status = Some(failure.status);
            return LocalResponse::PageAndClose(StatusCode::BAD_REQUEST);
        }
        if failure.close {
            LocalResponse::PageAndClose(failure.status)
        } else {
            LocalResponse::Page(failure.status)
        }
    }

    /// Responds as a step decided.
    pub(super) fn respond(&mut self, response: LocalResponse) -> Served {
        self.name_upstream();
        // The log shows the id of every request.
        if self.record.request_id.is_none() {
            self.record.request_id = generated_id(self.settings());
        }
        Served {
            response: response.response(self.settings(), self.record.version),
            tunnel: None,
        }
    }

    /// The response for the client. The record ends with its body, or with the tunnel after it.
    pub(super) fn finish(self, served: Served) -> Response<Body> {
        let Self {
            mut record, edits, ..
        } = self;
        let Served {
            mut response,
            tunnel,
        } = served;
        let status = response.status();
        edits.apply(status, response.headers_mut());
        // If the client is gone, it is 499.
        if record.status.is_none() {
            record.status = Some(response.status());
        }
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

/// Bytes of the head as HTTP/1 writes it. Optional whitespace is unknown here and not counted.
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
