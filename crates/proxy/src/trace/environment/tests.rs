#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
use super::*;

fn read(variables: &[(&str, &str)]) -> TracingEnvironment {
    TracingEnvironment::read(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, text)| (*text).to_owned())
    })
}

#[test]
fn nothing_is_needed() {
    let environment = TracingEnvironment::default();
    assert!(environment.enabled && environment.exports && !environment.gzip);
    assert_eq!(environment.protocol, Protocol::Grpc);
    assert_eq!(environment.propagators, Propagators::default());
    assert_eq!((environment.endpoint, environment.timeout), (None, TIMEOUT));
    assert_eq!(environment.problems, [""; 0]);
}

#[test]
fn endpoints_follow_the_specification() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const HTTP: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    const INSECURE: (&str, &str) = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
    let shown = |endpoint: Endpoint| {
        let scheme = if endpoint.tls { "https" } else { "http" };
        format!(
            "{scheme}://{} {} {}",
            endpoint.host, endpoint.port, endpoint.path
        )
    };
    for (variables, expected) in [
        (
            &[(ALL, "http://otel:4317")][..],
            Some("http://otel 4317 /v1/traces"),
        ),
        (&[(ALL, "http://otel")], Some("http://otel 4317 /v1/traces")),
        (
            &[(ALL, "HTTPS://otel:1"), HTTP],
            Some("https://otel 1 /v1/traces"),
        ),
        (
            &[(ALL, "http://otel"), HTTP],
            Some("http://otel 4318 /v1/traces"),
        ),
        (
            &[(ALL, "http://otel/base/"), HTTP],
            Some("http://otel 4318 /base/v1/traces"),
        ),
        (
            &[(TRACES, "http://otel/own"), HTTP],
            Some("http://otel 4318 /own"),
        ),
        (&[(TRACES, "http://otel"), HTTP], Some("http://otel 4318 /")),
        (
            &[(TRACES, "http://a"), (ALL, "http://b")],
            Some("http://a 4317 /"),
        ),
        (&[(ALL, "otel:4317")], Some("https://otel 4317 /v1/traces")),
        (
            &[(ALL, "otel:4317"), INSECURE],
            Some("http://otel 4317 /v1/traces"),
        ),
        (
            &[(ALL, "https://otel"), INSECURE],
            Some("https://otel 4317 /v1/traces"),
        ),
        (&[(ALL, "http://[::1]:5")], Some("http://::1 5 /v1/traces")),
        (&[(ALL, "otel:4318"), HTTP], None),
        (&[(ALL, "unix:///run/otel")], None),
        (&[(ALL, "http://user@otel")], None),
        (&[(ALL, "http://a b")], None),
    ] {
        let environment = read(variables);
        assert_eq!(environment.problems.len(), usize::from(expected.is_none()));
        assert_eq!(
            environment.endpoint.map(shown).as_deref(),
            expected,
            "{variables:?}"
        );
    }
}

#[test]
fn lists_are_decoded() {
    let environment = read(&[
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "api-key=s%20ecret, x-tenant = a ,broken",
        ),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=prod,a=b%2Cc,=x",
        ),
        ("OTEL_SERVICE_NAME", "edge"),
    ]);
    let [key, tenant] = environment.headers.as_slice() else {
        panic!("{:?}", environment.headers);
    };
    assert_eq!(
        (key.0.as_str(), &key.1),
        ("api-key", &HeaderValue::from_static("s ecret"))
    );
    assert_eq!(
        (tenant.0.as_str(), &tenant.1),
        ("x-tenant", &HeaderValue::from_static("a"))
    );
    assert!(
        !format!("{environment:?}").contains("ecret"),
        "headers may be secret"
    );
    let attributes = [("deployment.environment.name", "prod"), ("a", "b,c")];
    assert_eq!(
        environment.attributes,
        attributes.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(environment.service.as_deref(), Some("edge"));
    assert_eq!(environment.problems.len(), 2);
}

#[test]
fn choices_and_their_problems() {
    let environment = read(&[
        ("OTEL_PROPAGATORS", "tracecontext, baggage,b3multi,jaeger"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_SDK_DISABLED", "True"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k"),
    ]);
    let expected = Propagators {
        w3c: true,
        b3: false,
        b3_multi: true,
    };
    assert_eq!(environment.propagators, expected);
    assert_eq!(environment.protocol, Protocol::Http);
    assert_eq!(environment.timeout, Duration::from_millis(2500));
    assert!(environment.gzip && !environment.exports && !environment.enabled);
    assert_eq!(environment.problems.len(), 4, "{:?}", environment.problems);
    assert_eq!(
        read(&[("OTEL_PROPAGATORS", "none")]).propagators,
        Propagators::NONE
    );
}
