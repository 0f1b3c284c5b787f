//! A [`Record`] as log and metrics read it: the only module here that reads its fields.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headgate_table::{Origin, Route, Slot, Template};
use http::{HeaderValue, Method, Uri, Version};

use crate::details::Details;
use crate::limit::Limit;
use crate::record::Record;
use crate::trace::RequestSpan;
use crate::upstream::{Attempt, Attempts, Fault};

/// Status of a request whose client closed the connection before a response.
const CLIENT_GONE: u16 = 499;

/// A finished request.
pub(super) struct Observation<'r> {
    pub(super) end: Instant,
    pub(super) duration: Duration,
    pub(super) client: IpAddr,
    /// As received.
    pub(super) method: &'r Method,
    /// As received.
    pub(super) target: &'r Uri,
    /// As received.
    pub(super) version: Version,
    /// `Referer`
    pub(super) referer: Option<&'r [u8]>,
    /// `User-Agent`
    pub(super) user_agent: Option<&'r [u8]>,
    /// `Authorization`
    pub(super) authorization: Option<&'r [u8]>,
    pub(super) request_id: Option<&'r [u8]>,
    /// Bytes, head and body.
    pub(super) request_length: u64,
    /// Status sent, or 499.
    pub(super) status: u16,
    pub(super) head_bytes_sent: u64,
    pub(super) body_bytes_sent: u64,
    pub(super) route: Option<RouteLabels<'r>>,
    /// As configured.
    pub(super) host: Option<&'r Arc<str>>,
    /// The request named a configured host or alias literally.
    pub(super) host_is_literal: bool,
    /// Log name of the upstream.
    pub(super) upstream: Option<&'r str>,
    /// Log name of the alternative, such as a canary, if it served.
    pub(super) alternative: Option<&'r Arc<str>>,
    pub(super) attempts: &'r [Attempt],
    /// Attempts of requests that were made on its behalf.
    pub(super) subrequests: &'r RefCell<Vec<Attempts>>,
    /// The default backend served.
    pub(super) default_backend: bool,
    pub(super) unlogged: bool,
    pub(super) refused_by: Option<Limit>,
    /// The retry budget refused another attempt.
    pub(super) over_budget: bool,
    /// Why the proxy made an error of it.
    pub(super) reason: Option<&'r Fault>,
    /// The whole response was handed to the connection.
    pub(super) complete: bool,
    pub(super) details: Option<&'r Details>,
    /// Its place in a trace.
    pub(super) span: Option<&'r RequestSpan>,
    /// The name of its span.
    pub(super) operation: Option<&'r Template>,
}

/// What identifies a route in metrics.
#[derive(Clone, Copy)]
pub(super) struct RouteLabels<'r> {
    /// Object and Service.
    pub(super) origin: &'r Arc<Origin>,
    /// The path as its object wrote it.
    pub(super) path: &'r Arc<str>,
    /// Holds its counters.
    pub(super) slot: &'r Slot,
}

impl<'r> Observation<'r> {
    pub(super) fn of(record: &'r Record, end: Instant) -> Self {
        let route = record.route.as_deref();
        Self {
            end,
            duration: end.saturating_duration_since(record.start),
            client: record.client,
            method: &record.method,
            target: &record.target,
            version: record.version,
            referer: record.referer.as_ref().map(HeaderValue::as_bytes),
            user_agent: record.user_agent.as_ref().map(HeaderValue::as_bytes),
            authorization: record.authorization.as_ref().map(HeaderValue::as_bytes),
            request_id: record.request_id.as_ref().map(HeaderValue::as_bytes),
            request_length: record.request_length,
            status: record.status.map_or(CLIENT_GONE, |status| status.as_u16()),
            head_bytes_sent: record.head_bytes_sent,
            body_bytes_sent: record.body_bytes_sent,
            route: route.map(RouteLabels::of),
            host: record.host.as_ref(),
            host_is_literal: record.host_is_literal,
            upstream: record.upstream.as_deref(),
            alternative: record.alternative.as_ref(),
            attempts: &record.attempts,
            subrequests: &record.subrequests,
            default_backend: record.default_backend,
            unlogged: record.unlogged || route.is_some_and(|route| !route.policy.access_log),
            refused_by: record.refused_by,
            over_budget: record.attempts.over_budget,
            reason: record.reason.as_ref(),
            complete: record.complete,
            details: record.details.as_deref(),
            span: record.span.as_deref(),
            operation: route.and_then(|route| route.policy.tracing.as_ref()?.name.as_ref()),
        }
    }

    /// Bytes of the response, head and body.
    pub(super) fn bytes_sent(&self) -> u64 {
        self.head_bytes_sent.saturating_add(self.body_bytes_sent)
    }

    /// Duration of the attempt at `index`: to the end of its response, or to the next attempt or the end of the request.
    pub(super) fn response_time(&self, index: usize) -> Option<Duration> {
        let attempt = self.attempts.get(index)?;
        let stopped = || {
            let next = index
                .checked_add(1)
                .and_then(|next| self.attempts.get(next));
            next.map_or(self.end, |next| next.start)
                .saturating_duration_since(attempt.start)
        };
        Some(attempt.progress.response.get().unwrap_or_else(stopped))
    }
}

impl<'r> RouteLabels<'r> {
    fn of(route: &'r Route) -> Self {
        Self {
            origin: &route.origin,
            path: &route.path,
            slot: &route.slot,
        }
    }

    /// Whether an Ingress has it, or no object. Routes of Gateways without hostnames are for all of their listener's.
    pub(super) fn is_of_ingress(&self) -> bool {
        matches!(self.origin.kind, "" | "Ingress")
    }
}

/// Bytes of the body that an attempt received.
pub(super) fn response_length(attempt: &Attempt) -> u64 {
    attempt.progress.bytes.get()
}
