//! Variables of the trace of a request (behaviour.md 1.15).

/// `$opentelemetry_*`; empty if the request is not traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceVariable {
    /// `$opentelemetry_trace_id`, 32 hexadecimal digits.
    TraceId,
    /// `$opentelemetry_span_id`, 16 hexadecimal digits: the span of the request.
    SpanId,
    /// `$opentelemetry_sampled`: `1` if the request is sampled, else `0`.
    Sampled,
    /// `$opentelemetry_context_traceparent`: the field of W3C Trace Context.
    TraceParent,
    /// `$opentelemetry_context_tracestate`, as received.
    TraceState,
    /// `$opentelemetry_context_b3`: the single field of B3.
    B3,
}

impl TraceVariable {
    /// The variable of this name, which is without `$opentelemetry_`.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "trace_id" => Self::TraceId,
            "span_id" => Self::SpanId,
            "sampled" => Self::Sampled,
            "context_traceparent" => Self::TraceParent,
            "context_tracestate" => Self::TraceState,
            "context_b3" => Self::B3,
            _ => return None,
        })
    }
}
