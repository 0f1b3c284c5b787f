//! Traces, as a collector and endpoints receive them.

use std::net::SocketAddr;

use headgate_testkit::collector::Span;
use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Collector, Echo, Program, Request, Response, Scenario, Scripted, wait};

use super::setup::{Annotations, BINARY, closed_port};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// `a.test` on `/shop`, traced to `collector` every 20 ms, with further settings and annotations.
pub(super) fn scenario(
    endpoints: &[SocketAddr],
    collector: SocketAddr,
    settings: Annotations<'_>,
    annotations: Annotations<'_>,
) -> Scenario {
    let port = collector.port().to_string();
    let mut all = vec![
        ("enable-opentelemetry", "true"),
        ("otlp-collector-host", "127.0.0.1"),
        ("otlp-collector-port", &port),
        ("otel-schedule-delay-millis", "20"),
    ];
    for (name, value) in settings {
        all.retain(|(known, _)| known != name);
        all.push((name, value));
    }
    let ingress = Ingress::new("web")
        .annotations(annotations)
        .path("/shop", "web");
    Scenario::new()
        .service("web", endpoints)
        .ingress(ingress)
        .settings(&all)
}

pub(super) fn start(
    settings: Annotations<'_>,
    annotations: Annotations<'_>,
) -> (Program, Collector, Echo) {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let scenario = scenario(&[web.address()], collector.address(), settings, annotations);
    (scenario.start(BINARY), collector, web)
}

/// What the endpoint received.
fn traceparent(response: &Response) -> String {
    response.echo().field("traceparent").unwrap().to_owned()
}

pub(super) fn log(program: &Program) -> String {
    program.stderr().join("\n")
}

/// The span of the request, and those of its attempts in order.
pub(super) fn of_request(spans: Vec<Span>) -> (Span, Vec<Span>) {
    let (mut servers, mut clients): (Vec<_>, Vec<_>) = spans.into_iter().partition(Span::is_server);
    assert_eq!(servers.len(), 1, "{servers:?}");
    let server = servers.remove(0);
    clients.sort_by_key(|span| span.start);
    for client in &clients {
        assert_eq!((&client.trace, &client.parent), (&server.trace, &server.id));
        assert_eq!((client.kind, client.flags), (3, 0x101));
    }
    (server, clients)
}

#[test]
fn a_request_is_a_span_with_one_for_its_attempt_over_grpc() {
    let (program, collector, web) = start(&[("otel-service-name", "edge")], &[]);
    let request = Request::get("/shop/cart?a=1&sig=secret")
        .field("User-Agent", "probe")
        .field("X-Forwarded-For", "203.0.113.9");
    let response = request.send(program.http()).is(200);
    let (server, clients) = of_request(collector.spans(2));
    assert_eq!(
        (&*server.name, server.status, server.flags),
        ("GET /shop", 0, 0x101)
    );
    assert_eq!(
        (server.trace.len(), server.id.len(), &*server.parent),
        (32, 16, "")
    );
    let http = program.http().port().to_string();
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/shop"),
        ("url.path", "/shop/cart"),
        ("url.query", "a=1&sig=REDACTED"),
        ("url.scheme", "http"),
        ("server.address", "a.test"),
        ("server.port", &http),
        ("client.address", "127.0.0.1"),
        ("network.peer.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("user_agent.original", "probe"),
        ("k8s.namespace.name", "shop"),
        ("k8s.ingress.name", "web"),
        ("error.type", ""),
    ] {
        assert_eq!(server.attribute(name), value, "{name}");
    }
    let [client] = clients.as_slice() else {
        panic!("{clients:?}");
    };
    assert_eq!((&*client.name, client.status), ("GET", 0));
    let address = web.address();
    for (name, value) in [
        (
            "url.full",
            &*format!("http://{address}/shop/cart?a=1&sig=REDACTED"),
        ),
        ("server.address", "127.0.0.1"),
        ("server.port", &*address.port().to_string()),
        ("http.response.status_code", "200"),
        ("http.request.resend_count", ""),
    ] {
        assert_eq!(client.attribute(name), value, "{name}");
    }
    assert!(server.start <= client.start && client.start < client.end && client.end <= server.end);
    let sent = traceparent(&response);
    assert_eq!(sent, format!("00-{}-{}-01", server.trace, client.id));
    let export = collector.exports().remove(0);
    assert_eq!(
        export.path,
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    );
    assert_eq!(export.version, http::Version::HTTP_2);
    assert_eq!(
        export.resource.get("service.name").map(String::as_str),
        Some("edge")
    );
    assert!(
        !export.resource.contains_key("k8s.pod.name"),
        "there is no Pod here"
    );
    wait::until("the metric of spans", || {
        let exported = program.metric("headgate_trace_spans_total", &["outcome=\"exported\""]);
        (exported == 2.0).then_some(())
    });
}

#[test]
fn a_client_is_trusted_with_the_trace_or_not() {
    let request = Request::get("/shop")
        .field("traceparent", PARENT)
        .field("tracestate", "vendor=1")
        .field("baggage", "user=7");
    let (program, collector, _web) = start(&[], &[]);
    let response = request.send(program.http()).is(200);
    let (server, clients) = of_request(collector.spans(2));
    assert_eq!(
        (&*server.trace, &*server.parent),
        (TRACE, "b7ad6b7169203331")
    );
    assert_eq!((&*server.state, server.flags), ("vendor=1", 0x301));
    assert_eq!(
        traceparent(&response),
        format!("00-{TRACE}-{}-01", clients[0].id)
    );
    response
        .echo()
        .has("tracestate", "vendor=1")
        .has("baggage", "user=7");

    for (settings, annotations) in [
        (
            &[("opentelemetry-trust-incoming-span", "false")][..],
            &[][..],
        ),
        (
            &[],
            &[
                ("enable-opentelemetry", "true"),
                ("opentelemetry-trust-incoming-span", "false"),
            ],
        ),
    ] {
        let (program, collector, _web) = start(settings, annotations);
        let response = request.send(program.http()).is(200);
        let (server, clients) = of_request(collector.spans(2));
        assert_ne!(server.trace, TRACE);
        assert_eq!((&*server.parent, &*server.state), ("", ""));
        let expected = format!("00-{}-{}-01", server.trace, clients[0].id);
        assert_eq!(traceparent(&response), expected);
        response.echo().has("tracestate", None);
    }
}

#[test]
fn samplers_decide_and_changes_of_them_are_live() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let with =
        |settings: Annotations<'_>| scenario(&[web.address()], collector.address(), settings, &[]);
    let ratio = |ratio| {
        [
            ("otel-sampler", "TraceIdRatioBased"),
            ("otel-sampler-ratio", ratio),
        ]
    };
    let program = with(&ratio("0")).start(BINARY);
    let mut sampled = 0;
    let mut send = |parent: Option<&str>, expected: bool, what: &str| {
        let mut request = Request::get("/shop");
        if let Some(parent) = parent {
            request = request.field("traceparent", parent);
        }
        let response = request.send(program.http()).is(200);
        let flags = if expected { "-01" } else { "-00" };
        let sent = traceparent(&response);
        assert!(sent.ends_with(flags), "{what}: {sent}");
        if parent.is_some() {
            assert!(sent.contains(TRACE), "{what}: {sent}");
        }
        sampled += usize::from(expected);
    };
    send(None, false, "nothing at ratio 0");
    send(Some(PARENT), true, "the parent decides");
    send(Some(UNSAMPLED), false, "the parent decides");
    with(&ratio("1")).replace(&program);
    send(None, true, "everything at ratio 1");
    send(Some(UNSAMPLED), false, "the parent decides");
    let off = [
        ("otel-sampler", "AlwaysOff"),
        ("otel-sampler-parent-based", "false"),
    ];
    with(&off).replace(&program);
    send(Some(PARENT), false, "the parent does not decide");
    with(&[("otel-sampler-parent-based", "false")]).replace(&program);
    send(Some(UNSAMPLED), true, "the parent does not decide");
    with(&[("enable-opentelemetry", "false")]).replace(&program);
    let request = Request::get("/shop").field("traceparent", PARENT);
    let response = request.send(program.http()).is(200);
    assert_eq!(traceparent(&response), PARENT, "it is off");
    program.terminate();
    program.wait();
    let spans = collector.spans(2 * sampled);
    assert_eq!(spans.len(), 2 * sampled, "{spans:?}");
}

#[test]
fn names_of_spans_have_variables_and_an_ingress_may_have_its_own() {
    let operation = [(
        "opentelemetry-operation-name",
        "HTTP $request_method $service_name $uri $status",
    )];
    let own = [
        ("enable-opentelemetry", "true"),
        ("opentelemetry-operation-name", "checkout"),
    ];
    for (annotations, expected) in [(&[][..], "HTTP POST web /shop/a b 200"), (&own, "checkout")] {
        let (program, collector, _web) = start(&operation, annotations);
        Request::post("/shop/a%20b", "x")
            .send(program.http())
            .is(200);
        let (server, _) = of_request(collector.spans(2));
        assert_eq!(server.name, expected);
    }
}

#[test]
fn each_attempt_is_a_span_and_a_parent_of_its_own() {
    let collector = Collector::start();
    let busy = Scripted::responding("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
    let good = Scripted::responding(OK);
    let endpoints = [busy.address(), good.address()];
    let annotations = [("proxy-next-upstream", "error http_503")];
    let program = scenario(&endpoints, collector.address(), &[], &annotations).start(BINARY);
    // Endpoints take turns: one of two requests meets the busy one first.
    while busy.requests().is_empty() {
        Request::get("/shop").send(program.http()).is(200);
    }
    let requests = good.requests().len();
    let spans = collector.spans(2 * requests + 1);
    let retried = spans
        .iter()
        .find(|span| span.attribute("http.request.resend_count") == "1");
    let trace = retried.unwrap().trace.clone();
    let of_trace = spans.into_iter().filter(|span| span.trace == trace);
    let (server, clients) = of_request(of_trace.collect());
    let [first, second] = clients.as_slice() else {
        panic!("{clients:?}");
    };
    assert_eq!((server.status, first.status, second.status), (0, 2, 0));
    assert_eq!(
        (
            first.attribute("error.type"),
            second.attribute("error.type")
        ),
        ("503", "")
    );
    for (span, endpoint) in [(first, &busy), (second, &good)] {
        let expected = format!("00-{trace}-{}-01", span.id);
        let got = endpoint
            .requests()
            .into_iter()
            .any(|text| text.to_lowercase().contains(&expected));
        assert!(got, "{expected} in {:?}", endpoint.requests());
    }
}

#[test]
fn a_request_for_an_error_page_is_not_sent_again() {
    let (collector, pages) = (Collector::start(), Echo::start("pages"));
    let busy = Scripted::responding("HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n");
    let annotations = [
        ("custom-http-errors", "503"),
        ("default-backend", "pages"),
        ("proxy-next-upstream", "off"),
    ];
    let program = scenario(&[busy.address()], collector.address(), &[], &annotations)
        .service("pages", &[pages.address()])
        .start(BINARY);
    let response = Request::get("/shop").send(program.http());
    let (server, clients) = of_request(collector.spans(3));
    let [first, page] = clients.as_slice() else {
        panic!("{clients:?}");
    };
    assert_eq!(first.attribute("http.response.status_code"), "503");
    assert_eq!(
        page.attribute("url.full"),
        format!("http://{}/", pages.address())
    );
    assert_eq!(page.attribute("http.request.resend_count"), "");
    let expected = format!("00-{}-{}-01", server.trace, page.id);
    assert_eq!(traceparent(&response), expected);
}

#[test]
fn failures_say_why() {
    let collector = Collector::start();
    let once = [("proxy-next-upstream", "off")];
    let program = scenario(&[closed_port()], collector.address(), &[], &once).start(BINARY);
    Request::get("/shop").send(program.http()).is(502);
    let (server, clients) = of_request(collector.spans(2));
    assert_eq!(
        (server.status, server.attribute("error.type")),
        (2, "connect-refused")
    );
    assert_eq!(server.attribute("http.response.status_code"), "502");
    let [client] = clients.as_slice() else {
        panic!("{clients:?}");
    };
    assert_eq!(
        (client.status, client.attribute("error.type")),
        (2, "connect-refused")
    );
    assert_eq!(
        client.attribute("http.response.status_code"),
        "",
        "the endpoint sent none"
    );
}

#[test]
fn only_annotated_ingresses_are_traced_where_the_setting_is_off() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let off = [("enable-opentelemetry", "false")];
    let program = scenario(
        &[web.address()],
        collector.address(),
        &off,
        &[("enable-opentelemetry", "true")],
    )
    .ingress(Ingress::new("other").path("/other", "web"))
    .start(BINARY);
    Request::get("/other").send(program.http()).is(200);
    Request::get("/shop").send(program.http()).is(200);
    let (server, _) = of_request(collector.spans(2));
    assert_eq!(server.attribute("http.route"), "/shop");
}

#[test]
fn the_log_shows_the_trace() {
    let format = "$request_uri $opentelemetry_trace_id $opentelemetry_span_id $opentelemetry_sampled \
$opentelemetry_context_traceparent $opentelemetry_context_tracestate";
    let (program, collector, _web) = start(&[("log-format-upstream", format)], &[]);
    Request::get("/shop")
        .field("traceparent", PARENT)
        .send(program.http())
        .is(200);
    let (server, _) = of_request(collector.spans(2));
    let line = program.until_access_log("the request", |line| line.starts_with("/shop "));
    let id = &server.id;
    assert_eq!(
        line.trim_end(),
        format!("/shop {TRACE} {id} 1 00-{TRACE}-{id}-01 -")
    );
}

#[test]
fn authentication_services_are_part_of_the_trace() {
    let (collector, web, auth) = (
        Collector::start(),
        Echo::start("web"),
        Scripted::responding(OK),
    );
    let url = format!("http://{}/check", auth.address());
    let program = scenario(
        &[web.address()],
        collector.address(),
        &[],
        &[("auth-url", &url)],
    )
    .start(BINARY);
    Request::get("/shop")
        .field("traceparent", PARENT)
        .send(program.http())
        .is(200);
    let (server, clients) = of_request(collector.spans(3));
    let urls: Vec<&str> = clients
        .iter()
        .map(|span| span.attribute("url.full"))
        .collect();
    let upstream = format!("http://{}/shop", web.address());
    assert_eq!(urls, [&url, &upstream]);
    let asked = auth.requests().remove(0).to_lowercase();
    let expected = format!("traceparent: 00-{}-{}-01", server.trace, clients[0].id);
    assert!(asked.contains(&expected), "{asked}");
}

#[test]
fn the_environment_chooses_b3() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let program = scenario(&[web.address()], collector.address(), &[], &[])
        .variable("OTEL_PROPAGATORS", "b3,b3multi")
        .start(BINARY);
    let request = Request::get("/shop").field("b3", &format!("{TRACE}-b7ad6b7169203331-1"));
    let response = request.send(program.http()).is(200);
    let (server, clients) = of_request(collector.spans(2));
    assert_eq!(
        (&*server.trace, &*server.parent),
        (TRACE, "b7ad6b7169203331")
    );
    let id = &*clients[0].id;
    let sent = response.echo();
    sent.has("b3", &*format!("{TRACE}-{id}-1"))
        .has("x-b3-traceid", TRACE)
        .has("x-b3-spanid", id)
        .has("x-b3-sampled", "1")
        .has("traceparent", None);
}

#[test]
fn without_an_exporter_contexts_are_passed_on_and_no_span_is_made() {
    let (collector, web) = (Collector::start(), Echo::start("web"));
    let format = "$request_uri $opentelemetry_context_traceparent";
    let settings = [("log-format-upstream", format)];
    let program = scenario(&[web.address()], collector.address(), &settings, &[])
        .variable("OTEL_TRACES_EXPORTER", "none")
        .start(BINARY);
    let response = Request::get("/shop")
        .field("traceparent", PARENT)
        .send(program.http())
        .is(200);
    let sent = traceparent(&response);
    assert!(
        sent.starts_with(&format!("00-{TRACE}-")) && sent.ends_with("-01") && sent != PARENT,
        "{sent}"
    );
    let line = program.until_access_log("the request", |line| line.starts_with("/shop "));
    assert_eq!(line.trim_end(), format!("/shop {sent}"), "its own context");
    program.terminate();
    assert!(program.wait().success());
    assert_eq!(collector.exports().len(), 0);
}
