//! Tracing: which requests are traced by default, sampling, and export (behaviour.md 1.15).

use std::sync::Arc;
use std::time::Duration;

use headgate_table::{Collector, Phase, RootSampler, Sampler, Template, TracingSettings};

use super::read::Source;
use super::registry::{Setting, inert, setting};
use crate::ingress::registry::{Key, excerpt, keys, types};

const SAMPLERS: &[&str] = &["AlwaysOn", "AlwaysOff", "TraceIdRatioBased"];

keys! { Setting {
    ENABLE_OPENTELEMETRY: bool = setting("enable-opentelemetry", types::BOOL, "false", "Traces requests.");
    OPENTELEMETRY_TRUST_INCOMING_SPAN: bool =
        setting("opentelemetry-trust-incoming-span", types::BOOL, "true",
            "Continues the trace that a client names; otherwise each request begins one.");
    OPENTELEMETRY_OPERATION_NAME: String =
        setting("opentelemetry-operation-name", types::RAW, "",
            "Name of the span of a request, with variables; by default the method and the path of the Ingress.");
    OPENTELEMETRY_CONFIG: String =
        inert("opentelemetry-config", "/etc/ingress-controller/telemetry/opentelemetry.toml",
            "A file of the nginx module.");
    OTLP_COLLECTOR_HOST: String =
        setting("otlp-collector-host", types::RAW, "",
            "Host of the collector, which takes OTLP over gRPC or as OTEL_EXPORTER_OTLP_PROTOCOL says; by default as OTEL_EXPORTER_OTLP_ENDPOINT says.");
    OTLP_COLLECTOR_PORT: i64 =
        setting("otlp-collector-port", types::INT, "",
            "Port of the collector in otlp-collector-host; by default 4317 for gRPC and 4318 for HTTP.");
    OTEL_SERVICE_NAME: String =
        setting("otel-service-name", types::RAW, "nginx",
            "Name of the service in traces; where it is not set, OTEL_SERVICE_NAME precedes the default.");
    OTEL_SAMPLER: &'static str =
        setting("otel-sampler", types::words(SAMPLERS), "AlwaysOn", "Which requests are sampled: their spans are exported.");
    OTEL_SAMPLER_RATIO: String =
        setting("otel-sampler-ratio", types::RAW, "0.01", "Share of the requests that TraceIdRatioBased samples, 0 to 1.");
    OTEL_SAMPLER_PARENT_BASED: bool =
        setting("otel-sampler-parent-based", types::BOOL, "true",
            "A request that continues a trace is sampled if that is.");
    OTEL_MAX_QUEUESIZE: i64 =
        setting("otel-max-queuesize", types::INT, "2048", "Most spans that wait for their export; more are dropped.");
    OTEL_SCHEDULE_DELAY_MILLIS: i64 =
        setting("otel-schedule-delay-millis", types::INT, "5000", "Longest wait of a span for its export, milliseconds.");
    OTEL_MAX_EXPORT_BATCH_SIZE: i64 =
        setting("otel-max-export-batch-size", types::INT, "512", "Most spans in one export.");
} }

/// What applies to Ingresses without the annotations.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TracingDefaults {
    /// `enable-opentelemetry`
    pub(crate) enabled: bool,
    /// `opentelemetry-trust-incoming-span`
    pub(crate) trusts_client: bool,
    /// `opentelemetry-operation-name`
    pub(crate) name: Option<Template>,
}

impl TracingDefaults {
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let name = source.parsed(&OPENTELEMETRY_OPERATION_NAME, |text| {
            Template::parse_for(text, Phase::Log)
        });
        Self {
            enabled: source.get(&ENABLE_OPENTELEMETRY),
            trusts_client: source.get(&OPENTELEMETRY_TRUST_INCOMING_SPAN),
            name: name.filter(|name| name.as_text() != Some("")),
        }
    }
}

/// Longest queue of spans; each takes up to some KiB.
const LONGEST_QUEUE: usize = 100_000;

/// Sampling and export.
pub(super) fn settings(source: &mut Source<'_>) -> TracingSettings {
    let queue = bounded(source, &OTEL_MAX_QUEUESIZE, LONGEST_QUEUE);
    let batch = bounded(source, &OTEL_MAX_EXPORT_BATCH_SIZE, queue);
    TracingSettings {
        collector: collector(source),
        service: source.parsed(&OTEL_SERVICE_NAME, service).flatten(),
        sampler: Sampler {
            root: root(source),
            parent_based: source.get(&OTEL_SAMPLER_PARENT_BASED),
        },
        queue,
        delay: Duration::from_millis(source.positive(&OTEL_SCHEDULE_DELAY_MILLIS).into()),
        batch,
    }
}

/// `None` for the default, so that the environment can say otherwise.
fn service(text: &str) -> Result<Option<Arc<str>>, String> {
    match text.trim() {
        "nginx" => Ok(None),
        name if name.contains(char::is_control) => {
            Err(format!("\"{}\" has a control character", excerpt(text)))
        }
        name => Ok(Some(name.into())),
    }
}

/// A number of spans, at most `most`.
fn bounded(source: &mut Source<'_>, key: &Key<i64, Setting>, most: usize) -> usize {
    let number = usize::try_from(source.positive(key)).unwrap_or(usize::MAX);
    if number > most {
        source.reject(key, &format!("{number} is more than {most}, which counts"));
    }
    number.min(most)
}

fn root(source: &mut Source<'_>) -> RootSampler {
    // Also read where it has no effect, so that a typing error is found before it has one.
    let ratio = source.parsed(&OTEL_SAMPLER_RATIO, ratio).unwrap_or(0.01);
    match source.get::<&'static str>(&OTEL_SAMPLER) {
        "AlwaysOff" => RootSampler::AlwaysOff,
        "TraceIdRatioBased" => RootSampler::Ratio(ratio),
        _ => RootSampler::AlwaysOn,
    }
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| format!("\"{}\" is not a number from 0 to 1", excerpt(text)))
}

fn collector(source: &mut Source<'_>) -> Option<Collector> {
    // Also read where it has no effect, so that a typing error is found before it has one.
    let port = port(source);
    let (tls, host) = source.parsed(&OTLP_COLLECTOR_HOST, host)?;
    Some(Collector { tls, host, port })
}

/// `None` where it is not set: the protocol, which decides then, is known to the environment of the process alone.
fn port(source: &mut Source<'_>) -> Option<u16> {
    let number = source.positive_if_set(&OTLP_COLLECTOR_PORT)?;
    let port = u16::try_from(number).ok();
    if port.is_none() {
        source.reject(&OTLP_COLLECTOR_PORT, &format!("{number} is not a port"));
    }
    port
}

/// Whether TLS is used, and the host. A scheme is accepted, as the nginx module accepts one.
fn host(text: &str) -> Result<(bool, Arc<str>), String> {
    let text = text.trim();
    let (tls, host) = match text.split_once("://") {
        None => (false, text),
        Some(("http", host)) => (false, host),
        Some(("https", host)) => (true, host),
        Some(_) => (false, ""),
    };
    let host = host.trim_end_matches('/');
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_address = |text: &str| text.parse::<std::net::Ipv6Addr>().is_ok();
    match address.unwrap_or(host) {
        host if !host.is_empty() && host.chars().all(name) => Ok((tls, host.into())),
        host if is_address(host) => Ok((tls, host.into())),
        _ => Err(format!(
            "\"{}\" is not a host name or address; the port belongs into otlp-collector-port",
            excerpt(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_host_with_or_without_a_scheme() {
        for (text, expected) in [
            ("otel.tracing.svc", Some((false, "otel.tracing.svc"))),
            ("http://otel", Some((false, "otel"))),
            ("https://otel.example/", Some((true, "otel.example"))),
            ("192.0.2.1", Some((false, "192.0.2.1"))),
            ("[2001:db8::1]", Some((false, "2001:db8::1"))),
            ("2001:db8::1", Some((false, "2001:db8::1"))),
            ("otel:4317", None),
            ("http://otel:4317", None),
            ("ftp://otel", None),
            ("a b", None),
            ("user@otel", None),
        ] {
            let parsed = host(text).ok();
            let parsed = parsed.as_ref().map(|(tls, host)| (*tls, &**host));
            assert_eq!(parsed, expected, "{text}");
        }
    }

    #[test]
    fn a_ratio_is_a_share() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("1.0", Some(1.0)),
            (" 0.25 ", Some(0.25)),
            ("1.1", None),
            ("-0.1", None),
            ("NaN", None),
            ("x", None),
        ] {
            assert_eq!(ratio(text).ok(), expected, "{text}");
        }
    }
}
