//! Services with more requests than their bounds allow, and endpoints that fail request after request.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Gate, Program, Request, Scenario, Scripted, wait};
use serde_json::{Value, json};

use super::setup::BINARY;

/// The upstream of Service `web`, as the debug page shows it.
fn upstream(program: &Program) -> Value {
    let table = program.table();
    let mut upstreams = table["upstreams"].as_array().unwrap().iter();
    let web = upstreams.find(|upstream| upstream["name"].as_str().unwrap().contains("/web/"));
    web.unwrap_or_else(|| panic!("{table:#}")).clone()
}

/// The endpoint of this address there.
fn state(program: &Program, endpoint: &str) -> Value {
    let upstream = upstream(program);
    let mut endpoints = upstream["endpoints"].as_array().unwrap().iter();
    endpoints
        .find(|one| one["address"] == endpoint)
        .unwrap()
        .clone()
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn a_request_beyond_the_connections_of_a_service_is_503_at_once() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let web = Scripted::start(move |connection| {
        while connection.request().is_some() {
            waiter.pass();
            connection.send(OK);
        }
    });
    let bound = [("headgate.dev/upstream-max-connections", "2")];
    let program = Scenario::simple(web.address(), &bound).start(BINARY);
    let address = program.http();
    let clients =
        [(); 2].map(|()| std::thread::spawn(move || Request::get("/").send(address).status));
    web.wait_for(2);
    let upstream = upstream(&program);
    assert_eq!(
        (&upstream["requests"], &upstream["pending"]),
        (&json!(2), &json!(0))
    );
    let sound = json!([{ "address": web.address().to_string(), "state": "sound" }]);
    assert_eq!(upstream["endpoints"], sound);
    let refused = Request::get("/").send(address).is(503);
    assert_eq!(refused.field("retry-after"), Some("1"), "{refused:?}");
    gate.open();
    assert_eq!(clients.map(|client| client.join().unwrap()), [200, 200]);
    let refusals = || {
        let labels = [r#"limit="upstream-connections""#];
        (program.metric("headgate_requests_refused_total", &labels) == 1.0).then_some(())
    };
    wait::until("the refusal in the metrics", refusals);
    wait::until("room", || {
        (Request::get("/").send(address).status == 200).then_some(())
    });
}

#[test]
fn an_endpoint_that_fails_again_and_again_is_ejected() {
    let closing = Scripted::start(|connection| {
        connection.request();
    });
    let live = Scripted::responding(OK);
    let program = Scenario::new()
        .service("web", &[closing.address(), live.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    let post = Request::post("/", "x");
    wait::until("the ejection", || {
        post.send(program.http());
        (program.metric("headgate_ejected_endpoints", &[]) == 1.0).then_some(())
    });
    let before = closing.requests().len();
    for _ in 0..20 {
        post.send(program.http()).is(200);
    }
    assert_eq!(closing.requests().len(), before);
    let endpoint = closing.address().to_string();
    wait::until("the ejection in the log", || {
        let mut lines = program.stderr().into_iter();
        lines.find(|line| line.contains("endpoint ejected") && line.contains(&endpoint))
    });
    let ejected = state(&program, &endpoint);
    assert_eq!(ejected["state"], "ejected");
    let failures = ejected["failures"].as_u64().unwrap();
    assert!(failures >= 5, "{ejected}");
    assert!(
        ejected["leftOutSeconds"]
            .as_u64()
            .is_some_and(|left| left < 30),
        "{ejected}"
    );
    assert_eq!(
        state(&program, &live.address().to_string())["state"],
        "sound"
    );
    let explained = program
        .admin_get("/debug/explain?url=http%3A%2F%2Fa.test%2F")
        .text();
    let trouble = format!("\"{endpoint}: {failures} failures in a row, ejected for ");
    assert!(explained.contains(&trouble), "{explained}");
}

#[test]
fn an_unhealthy_endpoint_gets_no_requests_until_its_checks_pass() {
    let well = Gate::new();
    let is_well = well.clone();
    let sick = Scripted::start(move |connection| {
        while let Some(request) = connection.request() {
            let fails = request.starts_with("GET /healthz?a=b ") && !is_well.is_open();
            let status = if fails { "503 Unavailable" } else { "200 OK" };
            connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok"));
        }
    });
    let live = Scripted::responding(OK);
    let program = Scenario::new()
        .service("web", &[sick.address(), live.address()])
        .ingress(
            Ingress::new("web")
                .annotations(&[
                    ("headgate.dev/health-check-path", "/healthz?a=b"),
                    ("headgate.dev/health-check-interval", "1s"),
                    ("headgate.dev/health-check-unhealthy-threshold", "1"),
                    ("headgate.dev/health-check-healthy-threshold", "1"),
                ])
                .path("/", "web"),
        )
        .start(BINARY);
    let unhealthy = |count: f64| {
        wait::until("the checks", || {
            (program.metric("headgate_unhealthy_endpoints", &[]) == count).then_some(())
        });
    };
    let served = || {
        let requests = sick.requests().into_iter();
        requests
            .filter(|request| !request.contains("/healthz"))
            .count()
    };
    unhealthy(1.0);
    for _ in 0..20 {
        Request::get("/").send(program.http()).is(200);
    }
    assert_eq!(served(), 0);
    let address = sick.address().to_string();
    assert_eq!(state(&program, &address)["state"], "unhealthy");
    well.open();
    unhealthy(0.0);
    assert_eq!(state(&program, &address)["state"], "sound");
    wait::until("a request to the healthy endpoint", || {
        Request::get("/").send(program.http()).is(200);
        (served() > 0).then_some(())
    });
}
