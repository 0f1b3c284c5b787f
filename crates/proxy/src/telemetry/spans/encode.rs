//! Spans as OTLP.

use headgate_table::TracingSettings;
use prost::Message as _;

use super::Spans;
use super::otlp::{
    ERROR, ExportRequest, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span as Encoded,
    Status,
};
use super::span::Span;
use crate::values::HOSTNAME;

/// Longest `tracestate` that is exported, bytes: what W3C Trace Context asks for.
const LONGEST_STATE: usize = 512;

/// The version of the semantic conventions.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.37.0";
/// The default name of the service, as in ingress-nginx.
const SERVICE: &str = "nginx";

impl Spans {
    /// The message that exports `spans`.
    pub(super) fn encode(&self, spans: Vec<Span>, settings: &TracingSettings) -> Vec<u8> {
        let scope = Scope {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let request = ExportRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: self.resource(settings),
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: spans.into_iter().map(encoded).collect(),
                    schema_url: SCHEMA.to_owned(),
                }],
                schema_url: SCHEMA.to_owned(),
            }],
        };
        request.encode_to_vec()
    }

    /// What the spans are of. The environment precedes what is known of the process; the service's name of the settings
    /// precedes both.
    fn resource(&self, settings: &TracingSettings) -> Vec<KeyValue> {
        let environment = &self.environment;
        let given = &environment.attributes;
        let of_process = [
            ("service.name", SERVICE),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.name", "headgate"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
            ("host.name", &HOSTNAME),
            ("k8s.namespace.name", &self.labels.namespace),
            ("k8s.pod.name", &self.labels.pod),
        ];
        let of_process = of_process.into_iter().filter(|(name, text)| {
            !text.is_empty() && !given.iter().any(|(known, _)| known == name)
        });
        let given = given
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        let service = settings
            .service
            .as_deref()
            .or(environment.service.as_deref());
        let all = of_process.chain(given);
        all.map(|(name, text)| match service {
            Some(service) if name == "service.name" => KeyValue::text(name, service),
            _ => KeyValue::text(name, text),
        })
        .collect()
    }
}

fn encoded(span: Span) -> Encoded {
    let id = |id: std::num::NonZeroU64| id.get().to_be_bytes().to_vec();
    let state = span.state.as_ref().and_then(|state| state.to_str().ok());
    let attributes = span.attributes.into_iter();
    Encoded {
        trace_id: span.context.trace.get().to_be_bytes().to_vec(),
        span_id: id(span.context.span),
        trace_state: state
            .filter(|state| state.len() <= LONGEST_STATE)
            .unwrap_or_default()
            .to_owned(),
        parent_span_id: span.parent.map(id).unwrap_or_default(),
        name: span.name,
        kind: span.kind,
        start_time_unix_nano: span.start,
        end_time_unix_nano: span.end,
        attributes: attributes
            .map(|(name, value)| KeyValue::new(name, value))
            .collect(),
        status: span.is_error.then(|| Status {
            message: String::new(),
            code: ERROR,
        }),
        flags: span.flags,
    }
}
