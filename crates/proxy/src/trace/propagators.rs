//! Which fields carry contexts (`OTEL_PROPAGATORS`).

use http::{HeaderMap, HeaderValue};

use super::context::{Remote, SpanContext, hex};
use super::{b3, w3c};

/// The forms of contexts that are read and written. Baggage needs none: its field is passed on like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagators {
    /// `traceparent` and `tracestate`
    pub(crate) w3c: bool,
    /// The single field of B3.
    pub(crate) b3: bool,
    /// The several fields of B3.
    pub(crate) b3_multi: bool,
}

impl Default for Propagators {
    /// W3C Trace Context and Baggage.
    fn default() -> Self {
        Self {
            w3c: true,
            b3: false,
            b3_multi: false,
        }
    }
}

impl Propagators {
    pub(super) const NONE: Self = Self {
        w3c: false,
        b3: false,
        b3_multi: false,
    };

    /// The span that the client names, in any of the forms.
    pub(super) fn extract(self, headers: &HeaderMap) -> Option<Remote> {
        let w3c = self.w3c.then(|| w3c::extract(headers)).flatten();
        let of_b3 = || headers_of_b3(self, headers);
        w3c.or_else(of_b3)
    }

    /// Makes `context` the one that `headers` carry. Other contexts of the same forms are removed.
    pub(super) fn inject(
        self,
        headers: &mut HeaderMap,
        context: &SpanContext,
        state: Option<&HeaderValue>,
    ) {
        if self.w3c {
            insert(headers, w3c::TRACEPARENT, &w3c::traceparent(context));
            match state {
                Some(state) => drop(headers.insert(w3c::TRACESTATE, state.clone())),
                None => drop(headers.remove(w3c::TRACESTATE)),
            }
        }
        if self.b3 || self.b3_multi {
            for name in b3::FIELDS {
                headers.remove(name);
            }
        }
        if self.b3 {
            insert(headers, b3::B3, &b3::field(context));
        }
        if self.b3_multi {
            let (mut trace, mut span) = ([0; 32], [0; 16]);
            hex(&mut trace, context.trace.get());
            hex(&mut span, context.span.get().into());
            insert(headers, b3::TRACE_ID, &trace);
            insert(headers, b3::SPAN_ID, &span);
            let sampled: &[u8] = if context.sampled { b"1" } else { b"0" };
            insert(headers, b3::SAMPLED, sampled);
        }
    }
}

fn headers_of_b3(propagators: Propagators, headers: &HeaderMap) -> Option<Remote> {
    (propagators.b3 || propagators.b3_multi)
        .then(|| b3::extract(headers))
        .flatten()
}

/// Digits and dashes are always a value.
fn insert(headers: &mut HeaderMap, name: http::HeaderName, text: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(text) {
        headers.insert(name, value);
    }
}
