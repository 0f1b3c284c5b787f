//! Services with more requests than their bounds allow, and endpoints that fail request after request.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Gate, Request, Scenario, Scripted, wait};

use super::setup::BINARY;

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
    well.open();
    unhealthy(0.0);
    wait::until("a request to the healthy endpoint", || {
        Request::get("/").send(program.http()).is(200);
        (served() > 0).then_some(())
    });
}
