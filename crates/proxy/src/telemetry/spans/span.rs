//! The spans of a request, made from what was observed of it. Names and attributes are those of the semantic conventions for
//! HTTP.

use std::borrow::Cow;
use std::num::NonZeroU64;

use http::{HeaderValue, Method};

use super::Clock;
use super::attributes::{self, Attributes, method_name};
use super::otlp::{CLIENT, KNOWN_PARENT, REMOTE_PARENT, SERVER};
use crate::telemetry::access_log::expand_seen;
use crate::telemetry::observation::Observation;
use crate::trace::{AttemptSpan, RequestSpan, SpanContext};
use crate::upstream::Attempt;
use crate::values::Scope;

/// Longest name, bytes.
const LONGEST_NAME: usize = 1 << 10;

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) context: SpanContext,
    pub(super) parent: Option<NonZeroU64>,
    /// See [`KNOWN_PARENT`].
    pub(super) flags: u32,
    /// `tracestate`
    pub(super) state: Option<HeaderValue>,
    pub(super) name: String,
    pub(super) kind: i32,
    /// Nanoseconds since 1970.
    pub(super) start: u64,
    /// Nanoseconds since 1970.
    pub(super) end: u64,
    pub(super) attributes: Attributes,
    /// The request or attempt failed, by the conventions for its kind.
    pub(super) is_error: bool,
}

/// How many spans [`of`] makes of a request.
pub(super) fn number(seen: &Observation<'_>) -> usize {
    let of_call = |attempts: &[Attempt]| {
        let attempts = attempts.iter();
        attempts.filter(|attempt| attempt.span.is_some()).count()
    };
    let subrequests = seen.subrequests.borrow();
    let subrequests = subrequests.iter().map(|attempts| of_call(attempts));
    1 + of_call(seen.attempts) + subrequests.sum::<usize>()
}

/// The span of the request, and one for each attempt.
pub(super) fn of(seen: &Observation<'_>, span: &RequestSpan, clock: &Clock) -> Vec<Span> {
    let mut spans = Vec::with_capacity(number(seen));
    spans.push(server(seen, span, clock));
    for (index, attempt) in seen.attempts.iter().enumerate() {
        let time = seen.response_time(index);
        let end = time.map_or(seen.end, |time| attempt.start + time);
        spans.extend(client(span, attempt, end, clock));
    }
    for attempt in seen.subrequests.borrow().iter().flat_map(|call| &**call) {
        let time = attempt.progress.response.get().or(attempt.header);
        let end = time.map_or(attempt.start, |time| attempt.start + time);
        spans.extend(client(span, attempt, end, clock));
    }
    spans
}

fn server(seen: &Observation<'_>, span: &RequestSpan, clock: &Clock) -> Span {
    let remote = if span.parent.is_some() {
        REMOTE_PARENT
    } else {
        0
    };
    let start = clock.unix(seen.end);
    let duration = super::nanoseconds(seen.duration);
    Span {
        context: span.context,
        parent: span.parent,
        flags: flags(&span.context) | KNOWN_PARENT | remote,
        state: span.state.clone(),
        name: name(seen),
        kind: SERVER,
        start: start.saturating_sub(duration),
        end: start,
        attributes: attributes::of_request(seen),
        is_error: seen.status >= 500,
    }
}

/// `None` if the attempt began before the span did.
fn client(
    span: &RequestSpan,
    attempt: &Attempt,
    end: std::time::Instant,
    clock: &Clock,
) -> Option<Span> {
    let own: &AttemptSpan = attempt.span.as_deref()?;
    let failed = attempt.status.is_none_or(|status| status.as_u16() >= 400);
    Some(Span {
        context: SpanContext {
            span: own.id,
            ..span.context
        },
        parent: Some(span.context.span),
        flags: flags(&span.context) | KNOWN_PARENT,
        state: span.state.clone(),
        name: method_name(&own.method).unwrap_or("HTTP").to_owned(),
        kind: CLIENT,
        start: clock.unix(attempt.start),
        end: clock.unix(end),
        attributes: attributes::of_attempt(attempt, own),
        is_error: failed || attempt.fault.is_some(),
    })
}

fn flags(context: &SpanContext) -> u32 {
    u32::from(context.sampled) | u32::from(context.random) << 1
}

/// The configured name, else method and route, as the conventions say.
fn name(seen: &Observation<'_>) -> String {
    if let Some(template) = seen.operation {
        let text = expand_seen(seen, template, Scope::default());
        let text = String::from_utf8_lossy(&text);
        if !text.is_empty() {
            return cut(text, LONGEST_NAME);
        }
    }
    let method = method(seen.method);
    match seen.route {
        Some(route) => cut(format!("{method} {}", route.path).into(), LONGEST_NAME),
        None => method.to_owned(),
    }
}

fn method(method: &Method) -> &'static str {
    method_name(method).unwrap_or("HTTP")
}

/// The first `longest` bytes of `text`, in whole characters.
pub(super) fn cut(text: Cow<'_, str>, longest: usize) -> String {
    let mut text = text.into_owned();
    text.truncate(text.floor_char_boundary(longest));
    text
}
