//! The queue, and spans as bytes. Exports are tested with the whole program.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::num::{NonZeroU64, NonZeroU128};

use super::otlp::{CLIENT, SERVER, Value};
use super::*;
use crate::telemetry::testing::{self, Request, attempt};
use crate::trace::{AttemptSpan, RequestSpan, SpanContext};
use headgate_table::{Sampler, Tracing};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

fn span(number: u64) -> Span {
    Span {
        context: SpanContext {
            trace: NonZeroU128::new(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c).unwrap(),
            span: NonZeroU64::new(number).unwrap(),
            sampled: true,
            random: false,
        },
        parent: NonZeroU64::new(0xb7ad),
        flags: 0x301,
        state: Some(HeaderValue::from_static("a=1")),
        name: "GET /".into(),
        kind: SERVER,
        start: 1_700_000_000_000_000_001,
        end: 1_700_000_000_000_000_002,
        attributes: vec![
            ("http.request.method", Value::Text("GET".into())),
            ("http.response.status_code", Value::Number(503)),
        ],
        is_error: true,
    }
}

fn queue() -> Arc<Spans> {
    let spans = Spans::new(&testing::config());
    // No thread takes them away.
    spans.started.store(true, Ordering::Relaxed);
    spans
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let spans = queue();
    let settings = TracingSettings {
        queue: 3,
        ..TracingSettings::default()
    };
    for number in 1..=3 {
        let build = || match number {
            1 => vec![span(number); 2],
            _ => panic!("the queue is full: span {number} is not to be built"),
        };
        spans.push(2, build, &settings);
    }
    assert_eq!(
        spans.outcomes(),
        [("exported", 0.0), ("dropped", 4.0), ("failed", 0.0)]
    );
    assert_eq!(spans.take(1), [span(1)]);
    spans.push(1, || vec![span(4)], &settings);
    assert_eq!(spans.take(9), [span(1), span(4)]);
    assert_eq!(spans.take(9), []);
    spans.push(5, || vec![span(5); 5], &settings);
    assert_eq!(spans.take(9).len(), 5, "alone, it may be longer");
}

/// As the types of OpenTelemetry for another language encode it.
#[test]
fn a_span_is_encoded_as_the_published_messages_say() {
    let spans = queue();
    let encoded = spans.encode(vec![span(0xabcd)], &TracingSettings::default());
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let encoded = hex(&encoded);
    assert!(encoded.contains(OFFICIAL), "{encoded}");
    for text in [
        "service.name",
        "nginx",
        "k8s.pod.name",
        "pod-1",
        "headgate-proxy",
    ] {
        assert!(encoded.contains(&hex(text.as_bytes())), "{text}");
    }
}

/// The span in `ScopeSpans`, by the library for Python.
const OFFICIAL: &str = "1290010a100af7651916cd43dd8448eb211c80319c1208000000000000abcd1a03613d312208000000000000b7ad2a05\
474554202f30023901002a36fe9c97174102002a36fe9c97174a1c0a13687474702e726571756573742e6d6574686f64\
12050a034745544a200a19687474702e726573706f6e73652e7374617475735f636f6465120318f7037a021802850101\
030000";

fn traced(parent: &'static str) -> RequestSpan {
    let tracing = Tracing {
        trusts_client: true,
        name: None,
    };
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", HeaderValue::from_static(parent));
    RequestSpan::begin(
        &tracing,
        &Sampler::default(),
        &TracingEnvironment::default(),
        &headers,
    )
}

#[test]
fn a_request_and_its_attempts_are_spans_of_one_trace() {
    let own = traced("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let mut request = Request::default();
    let ids = [0, 1].map(|resends| {
        let target = Uri::from_static("/x?sig=1");
        AttemptSpan::new(Method::GET, target, (false, false), resends)
    });
    let mut failed = attempt(request.end, 3, None);
    failed.status = Some(StatusCode::BAD_GATEWAY);
    failed.fault = Some(Box::new(crate::upstream::Fault::new("connect-refused")));
    failed.span = Some(Box::new(ids[0].clone()));
    let mut second = attempt(request.end, 2, Some(2));
    second.span = Some(Box::new(ids[1].clone()));
    request.attempts = vec![failed, second];
    let seen = request.seen();
    let clock = Clock::now();
    assert_eq!(span::number(&seen), 3);
    let spans = span::of(&seen, &own, &clock);
    let [server, first, second] = spans.as_slice() else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (server.kind, first.kind, second.kind),
        (SERVER, CLIENT, CLIENT)
    );
    assert_eq!((server.parent, server.flags), (own.parent, 0x301));
    assert_eq!((first.parent, first.flags), (Some(own.context.span), 0x101));
    assert_eq!(
        (first.context.span, second.context.span),
        (ids[0].id, ids[1].id)
    );
    assert_eq!(
        (server.is_error, first.is_error, second.is_error),
        (false, true, false)
    );
    assert_eq!((server.end - server.start) / 1_000_000, 3);
    assert_eq!((second.end - second.start) / 1_000_000, 2);
    assert!(first.start >= server.start && second.end <= server.end);
    let value = |span: &Span, name| {
        let found = span.attributes.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.clone())
    };
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    assert_eq!(value(first, "error.type"), text("connect-refused"));
    assert_eq!(value(first, "http.response.status_code"), None);
    assert_eq!(value(first, "http.request.resend_count"), None);
    assert_eq!(
        value(second, "http.request.resend_count"),
        Some(Value::Number(1))
    );
    assert_eq!(
        value(second, "http.response.status_code"),
        Some(Value::Number(200))
    );
    assert_eq!(
        value(second, "url.full"),
        text("http://127.0.0.1:8080/x?sig=REDACTED")
    );
}

#[test]
fn a_request_that_is_not_sampled_costs_no_span() {
    let own = traced("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    let request = Request::default();
    let seen = Observation {
        span: Some(&own),
        ..request.seen()
    };
    let spans = queue();
    spans.observe(&seen, &TracingSettings::default());
    assert_eq!(spans.take(9), []);
}
