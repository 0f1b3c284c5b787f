//! Exports of spans: how they are sent, and what happens when the collector does not take them.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Authority, Collector, Echo, Request, Scenario, wait};

use super::setup::{BINARY, closed_port};
use super::tracing::{log, of_request, scenario, start};

#[test]
fn the_environment_chooses_http_with_its_fields_and_the_resource() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let endpoint = format!("http://{}/base", collector.address());
    let program = scenario(
        &[web.address()],
        collector.address(),
        &[("otlp-collector-host", "")],
        &[],
    )
    .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
    .variable("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    .variable("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20ecret")
    .variable("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    .variable("OTEL_SERVICE_NAME", "front")
    .variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        "deployment.environment.name=test",
    )
    .start(BINARY);
    Request::get("/shop").send(program.http()).is(200);
    collector.spans(2);
    let export = collector.exports().remove(0);
    assert_eq!(
        (&*export.path, export.version),
        ("/base/v1/traces", http::Version::HTTP_11)
    );
    let field = |name: &str| {
        export
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    assert_eq!(field("content-type"), Some("application/x-protobuf"));
    assert_eq!(
        (field("api-key"), field("content-encoding")),
        (Some("s ecret"), Some("gzip"))
    );
    let resource = |name: &str| export.resource.get(name).map(String::as_str);
    assert_eq!(resource("service.name"), Some("front"));
    assert_eq!(resource("deployment.environment.name"), Some("test"));
    assert!(
        !log(&program).contains("ecret"),
        "fields for the collector may be secret"
    );
}

/// Another program terminates TLS before the collector.
#[test]
fn a_collector_over_tls_is_verified() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let authority = Authority::new();
    let ingress = Ingress::new("otel")
        .annotation("backend-protocol", "GRPC")
        .host("localhost")
        .tls(&["localhost"], "cert")
        .path("/", "otel");
    let front = Scenario::new()
        .service("otel", &[collector.address()])
        .secret("cert", &authority.issue(&["localhost"]))
        .ingress(ingress)
        .start(BINARY);
    let port = front.https().port().to_string();
    let settings = [
        ("otlp-collector-host", "https://localhost"),
        ("otlp-collector-port", &*port),
    ];
    let traced = |authority: &Authority| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority.pem()).unwrap();
        let program = scenario(&[web.address()], collector.address(), &settings, &[])
            .variable(
                "OTEL_EXPORTER_OTLP_CERTIFICATE",
                file.path().to_str().unwrap(),
            )
            .start(BINARY);
        Request::get("/shop").send(program.http()).is(200);
        (program, file)
    };
    let (other, _file) = traced(&Authority::new());
    let refused = "cannot export spans";
    wait::until("the line of the log", || {
        log(&other).contains(refused).then_some(())
    });
    assert_eq!(collector.exports().len(), 0);
    let (_program, _file) = traced(&authority);
    of_request(collector.spans(2));
}

#[test]
fn a_collector_that_is_unavailable_gets_the_spans_later() {
    let (collector, web) = (Collector::refusing(1), Echo::start("web"));
    let program = scenario(&[web.address()], collector.address(), &[], &[]).start(BINARY);
    Request::get("/shop").send(program.http()).is(200);
    of_request(collector.spans(2));
    assert_eq!(collector.refused(), 1);
    wait::until("the lines of the log", || {
        let log = log(&program);
        let lines = ["cannot export spans", "spans are exported again"];
        lines.iter().all(|line| log.contains(line)).then_some(())
    });
}

#[test]
fn without_a_collector_requests_are_served_and_spans_are_counted() {
    let web = Echo::start("web");
    let settings = [
        ("otel-max-queuesize", "4"),
        ("otel-max-export-batch-size", "2"),
    ];
    let program = scenario(&[web.address()], closed_port(), &settings, &[]).start(BINARY);
    for _ in 0..20 {
        Request::get("/shop").send(program.http()).is(200);
    }
    wait::until("the metric of dropped spans", || {
        let dropped = program.metric("headgate_trace_spans_total", &["outcome=\"dropped\""]);
        (dropped > 0.0).then_some(())
    });
    let refused = "cannot export spans";
    wait::until("the line of the log", || {
        log(&program).contains(refused).then_some(())
    });
}

#[test]
fn a_stop_exports_the_last_spans() {
    let (program, collector, _web) = start(&[("otel-schedule-delay-millis", "600000")], &[]);
    Request::get("/shop").send(program.http()).is(200);
    assert_eq!(collector.exports().len(), 0, "not due");
    program.terminate();
    assert!(program.wait().success());
    of_request(collector.spans(2));
}
