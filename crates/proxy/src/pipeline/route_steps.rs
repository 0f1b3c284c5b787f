//! The steps of a route, one function each; the list that calls them is in the parent.

use headgate_table::Target;
use http_body::Body as HttpBody;

use super::destination::{self, Destination};
use super::{Routed, cors, limits, redirect, session};
use crate::respond::LocalResponse;
use crate::upstream::{Fault, RequestBodyError};

impl<'t, B: HttpBody> Routed<'_, 't, B> {
    pub(super) fn refuse_closed(&mut self) -> Result<(), LocalResponse> {
        match &self.route.target {
            Target::Closed(closed) => {
                self.exchange.record.reason = Some(Fault {
                    reason: "closed-route",
                    detail: closed.reason.to_string().into(),
                });
                Err(LocalResponse::Page(closed.status))
            }
            Target::Forward(_) | Target::DefaultBackend(_) => Ok(()),
        }
    }

    pub(super) fn add_slash(&self) -> Result<(), LocalResponse> {
        if self.lacks_slash {
            return Err(redirect::add_slash(&self.context));
        }
        Ok(())
    }

    /// CORS: checks the origin, and responds to preflights.
    pub(super) fn respond_to_preflight(&mut self) -> Result<(), LocalResponse> {
        let Some(cors) = &self.route.policy.cors else {
            return Ok(());
        };
        let method = &self.context.parsed.target.method;
        let Some((fields, is_preflight)) = cors::answer(cors, method, &self.context.headers) else {
            return Ok(());
        };
        self.exchange.edits.add_cors(fields);
        if is_preflight {
            return Err(LocalResponse::Preflight);
        }
        Ok(())
    }

    /// A body that is announced to be too long gets 413 before anything else of the route, as in nginx, so without CORS fields.
    /// One that is not announced is refused while it is received.
    pub(super) fn check_length(&mut self) -> Result<(), LocalResponse> {
        let limit = self.route.policy.forwarding.body_limit;
        if limits::is_too_long(limit, self.body.size_hint().exact()) {
            return Err(self.exchange.failed(RequestBodyError::TooLarge.into()));
        }
        Ok(())
    }

    pub(super) fn choose(&mut self) -> Result<Destination<'t>, LocalResponse> {
        let table = self.exchange.table;
        let upstreams = &self.exchange.downstream.worker.upstreams;
        let usable = |key: &_| {
            let upstream = table.upstream(key);
            upstream.filter(|upstream| upstreams.has_endpoints(upstream))
        };
        if let Some(session) = &self.route.policy.session {
            self.context.session_endpoint = session::endpoint(&self.context, session);
        }
        let destination = destination::destination(&self.context, &self.route.target, usable);
        let destination = self.exchange.because("no-endpoints", destination)?;
        self.exchange.note_destination(&destination);
        if let Destination::Upstream(chosen) = &destination {
            self.context.upstream = Some(chosen.upstream);
        }
        Ok(destination)
    }

    pub(super) fn limit(&mut self) -> Result<(), LocalResponse> {
        let Some(limits) = &self.route.policy.limits else {
            return Ok(());
        };
        let exchange = &mut *self.exchange;
        let now = exchange.downstream.worker.nanos(exchange.record.start);
        match limits::admit(&self.context, limits, now) {
            Ok(permit) => {
                exchange.record.permit = permit;
                Ok(())
            }
            Err(refusal) => {
                exchange.record.refused_by = Some(refusal.limit);
                exchange.record.reason = Some(Fault::new(refusal.limit.as_str()));
                Err(LocalResponse::Page(refusal.status))
            }
        }
    }
}
