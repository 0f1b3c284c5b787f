//! The place of a request in a trace (behaviour.md 1.15).

use std::rc::Rc;

use headgate_table::{Route, Template};
use http::HeaderMap;

use super::exchange::{Exchange, keep};
use crate::details::Details;
use crate::trace::RequestSpan;

/// Begins the span of a request with these fields, if its route is traced.
pub(super) fn begin(exchange: &mut Exchange<'_>, route: &Route, headers: &HeaderMap) {
    let Some(tracing) = &route.policy.tracing else {
        return;
    };
    let downstream = exchange.downstream;
    let environment = &downstream.worker.shared.config.tracing;
    if !environment.enabled {
        return;
    }
    let sampler = &exchange.settings().tracing.sampler;
    let span = RequestSpan::begin(tracing, sampler, environment, headers);
    let record = &mut exchange.record;
    if span.exported().is_some() {
        // Its attributes need them; only requests whose spans are not exported can do without.
        let facts = || Box::new(Details::new(downstream.facts()));
        record.details.get_or_insert_with(facts);
        let reads = tracing.name.iter().map(Template::reads);
        keep(record, downstream, reads, headers);
    }
    record.span = Some(Rc::new(span));
}
