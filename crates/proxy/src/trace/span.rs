//! The span of a request, and those of the attempts that it causes.

use std::num::NonZeroU64;

use headgate_table::{Sampler, TraceVariable, Tracing};
use http::{HeaderMap, HeaderValue, Method, Uri};

use super::context::{SpanContext, hex, span_id, trace_id};
use super::{Propagators, TracingEnvironment, b3, w3c};

/// The span of a request.
#[derive(Debug)]
pub(crate) struct RequestSpan {
    pub(crate) context: SpanContext,
    /// The client's span.
    pub(crate) parent: Option<NonZeroU64>,
    /// `tracestate` of the client.
    pub(crate) state: Option<HeaderValue>,
    propagators: Propagators,
    /// It is sampled, and the process exports spans.
    is_exported: bool,
}

/// The span of one attempt.
#[derive(Clone, Debug)]
pub(crate) struct AttemptSpan {
    pub(crate) id: NonZeroU64,
    pub(crate) method: Method,
    /// With the authority in HTTP/2 only.
    pub(crate) target: Uri,
    pub(crate) tls: bool,
    pub(crate) http2: bool,
    /// Attempts of the same call before it.
    pub(crate) resends: u32,
}

impl AttemptSpan {
    /// With a random id.
    pub(crate) fn new(
        method: Method,
        target: Uri,
        (tls, http2): (bool, bool),
        resends: u32,
    ) -> Self {
        Self {
            id: span_id(),
            method,
            target,
            tls,
            http2,
            resends,
        }
    }
}

impl RequestSpan {
    /// The span of a request with these fields. It continues the client's trace if `tracing` trusts that.
    pub(crate) fn begin(
        tracing: &Tracing,
        sampler: &Sampler,
        environment: &TracingEnvironment,
        headers: &HeaderMap,
    ) -> Self {
        let propagators = environment.propagators;
        let remote = tracing.trusts_client.then(|| propagators.extract(headers));
        let remote = remote.flatten();
        let trace = remote.as_ref().map_or_else(trace_id, |remote| remote.trace);
        let sampled = remote.as_ref().and_then(|remote| remote.sampled);
        let sampled = sampler.samples(trace.get(), sampled);
        Self {
            context: SpanContext {
                trace,
                span: span_id(),
                sampled,
                random: remote.as_ref().is_some_and(|remote| remote.random),
            },
            parent: remote.as_ref().map(|remote| remote.span),
            state: remote.and_then(|remote| remote.state),
            propagators,
            is_exported: sampled && environment.exports,
        }
    }

    /// Makes this span the parent of what a request with `headers` causes.
    pub(crate) fn inject(&self, headers: &mut HeaderMap) {
        self.propagators
            .inject(headers, &self.context, self.state.as_ref());
    }

    /// Makes the attempt `id` the parent instead.
    pub(crate) fn inject_attempt(&self, id: NonZeroU64, headers: &mut HeaderMap) {
        let context = SpanContext {
            span: id,
            ..self.context
        };
        self.propagators
            .inject(headers, &context, self.state.as_ref());
    }

    /// The span itself if it is exported: then attempts have spans as well. For any other, nothing but its context is kept.
    pub(crate) fn exported(&self) -> Option<&Self> {
        self.is_exported.then_some(self)
    }

    /// Appends the value of a variable.
    pub(crate) fn write(&self, variable: TraceVariable, out: &mut Vec<u8>) {
        let context = &self.context;
        let mut digits = [0; 32];
        match variable {
            TraceVariable::TraceId => {
                hex(&mut digits, context.trace.get());
                out.extend_from_slice(&digits);
            }
            TraceVariable::SpanId => {
                let (digits, _) = digits.split_at_mut(16);
                hex(digits, context.span.get().into());
                out.extend_from_slice(digits);
            }
            TraceVariable::Sampled => out.push(if context.sampled { b'1' } else { b'0' }),
            TraceVariable::TraceParent if self.propagators.w3c => {
                out.extend_from_slice(&w3c::traceparent(context));
            }
            TraceVariable::TraceState if self.propagators.w3c => {
                let state = self.state.as_ref();
                out.extend_from_slice(state.map_or(b"", |state| state.as_bytes()));
            }
            TraceVariable::B3 if self.propagators.b3 => {
                out.extend_from_slice(&b3::field(context));
            }
            TraceVariable::TraceParent | TraceVariable::TraceState | TraceVariable::B3 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &'static str)| {
            (name.parse().unwrap(), HeaderValue::from_static(value))
        };
        fields.iter().map(field).collect()
    }

    fn begin(trusts_client: bool, propagators: Propagators, headers: &HeaderMap) -> RequestSpan {
        let environment = TracingEnvironment {
            propagators,
            ..TracingEnvironment::default()
        };
        let tracing = Tracing {
            trusts_client,
            name: None,
        };
        RequestSpan::begin(&tracing, &Sampler::default(), &environment, headers)
    }

    fn value(span: &RequestSpan, variable: TraceVariable) -> String {
        let mut out = Vec::new();
        span.write(variable, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_trusted_trace_is_continued() {
        let mut fields = headers(&[
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("baggage", "k=v"),
        ]);
        let span = begin(true, Propagators::default(), &fields);
        assert_eq!(
            value(&span, TraceVariable::TraceId),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(span.parent.unwrap().get(), 0xb7ad_6b71_6920_3331);
        assert!(span.context.sampled);
        span.inject(&mut fields);
        let own = value(&span, TraceVariable::SpanId);
        assert_eq!(
            fields["traceparent"],
            format!("00-0af7651916cd43dd8448eb211c80319c-{own}-01")
        );
        assert_eq!(
            fields["traceparent"],
            value(&span, TraceVariable::TraceParent)
        );
        assert_eq!(
            (&fields["tracestate"], &fields["baggage"]),
            (
                &HeaderValue::from_static("a=1"),
                &HeaderValue::from_static("k=v")
            )
        );
        let id = NonZeroU64::new(0xabc).unwrap();
        span.inject_attempt(id, &mut fields);
        assert_eq!(
            fields["traceparent"],
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000abc-01"
        );
    }

    #[test]
    fn an_untrusted_trace_is_replaced() {
        let mut fields = headers(&[("traceparent", PARENT), ("tracestate", "a=1")]);
        let span = begin(false, Propagators::default(), &fields);
        assert_eq!(span.parent, None);
        span.inject(&mut fields);
        assert_ne!(
            &fields["traceparent"].as_bytes()[3..35],
            &PARENT.as_bytes()[3..35]
        );
        assert!(!fields.contains_key("tracestate"));
    }

    #[test]
    fn a_trace_that_is_not_sampled_stays_so() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let mut fields = headers(&[("traceparent", parent)]);
        let span = begin(true, Propagators::default(), &fields);
        assert!(span.exported().is_none());
        span.inject(&mut fields);
        assert!(fields["traceparent"].to_str().unwrap().ends_with("-00"));
        assert_eq!(value(&span, TraceVariable::Sampled), "0");
    }

    #[test]
    fn without_an_exporter_only_the_context_is_kept() {
        let environment = TracingEnvironment {
            exports: false,
            ..TracingEnvironment::default()
        };
        let tracing = Tracing {
            trusts_client: true,
            name: None,
        };
        let mut fields = HeaderMap::new();
        let span = RequestSpan::begin(&tracing, &Sampler::default(), &environment, &fields);
        assert!(span.exported().is_none());
        span.inject(&mut fields);
        assert!(fields["traceparent"].to_str().unwrap().ends_with("-01"));
        assert_eq!(value(&span, TraceVariable::Sampled), "1");
    }

    #[test]
    fn b3_is_read_and_written_where_it_is_chosen() {
        let both = Propagators {
            w3c: true,
            b3: true,
            b3_multi: true,
        };
        let sent = [
            ("x-b3-traceid", "64fe8b2a57d3eff7"),
            ("x-b3-spanid", "e457b5a2e4d86bd1"),
            ("x-b3-parentspanid", "05e3ac9a4f6e3b90"),
        ];
        let mut fields = headers(&sent);
        let span = begin(true, both, &fields);
        let trace = "000000000000000064fe8b2a57d3eff7";
        let own = value(&span, TraceVariable::SpanId);
        span.inject(&mut fields);
        assert_eq!(fields["b3"], format!("{trace}-{own}-1"));
        assert_eq!(fields["b3"], value(&span, TraceVariable::B3));
        assert_eq!(fields["x-b3-traceid"], trace);
        assert_eq!(
            (
                fields["x-b3-spanid"].to_str().unwrap(),
                &fields["x-b3-sampled"]
            ),
            (&*own, &HeaderValue::from_static("1"))
        );
        assert_eq!(fields["traceparent"], format!("00-{trace}-{own}-01"));
        assert!(!fields.contains_key("x-b3-parentspanid"));

        let mut fields = headers(&sent);
        let span = begin(true, Propagators::default(), &fields);
        assert_eq!(
            (span.parent, value(&span, TraceVariable::B3)),
            (None, String::new())
        );
        span.inject(&mut fields);
        assert_eq!(
            fields["x-b3-traceid"], "64fe8b2a57d3eff7",
            "it is a field like any other"
        );
    }

    #[test]
    fn no_propagator_leaves_fields_alone() {
        let mut fields = headers(&[("traceparent", PARENT)]);
        let span = begin(true, Propagators::NONE, &fields);
        span.inject(&mut fields);
        assert_eq!(
            (span.parent, &fields["traceparent"]),
            (None, &HeaderValue::from_static(PARENT))
        );
        assert_eq!(value(&span, TraceVariable::TraceParent), "");
    }
}
