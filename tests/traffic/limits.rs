//! Rate and connection limits.

use std::time::Instant;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Gate, Program, Request, Scenario, Scripted, wait};

use super::setup::{BINARY, serve, serve_with};

/// Sends this many requests at once; returns their statuses and the duration in whole seconds.
fn burst(program: &Program, request: &Request, count: usize) -> (Vec<u16>, usize) {
    let mut connection = Connection::open(program.http());
    let start = Instant::now();
    connection.send(request.bytes().repeat(count));
    let statuses = (0..count).map(|_| connection.response().status).collect();
    let seconds = usize::try_from(start.elapsed().as_secs()).unwrap();
    (statuses, seconds)
}

fn passed(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status == 200).count()
}

#[test]
fn one_request_a_second_with_a_burst_of_five_passes_six_at_once() {
    let (program, web) = serve(&[("limit-rps", "1")]);
    let (statuses, seconds) = burst(&program, &Request::get("/"), 20);
    let passed = passed(&statuses);
    assert!(
        (6..=6 + seconds).contains(&passed),
        "{passed} in {seconds} s: {statuses:?}"
    );
    assert_eq!(
        web.requests(),
        passed,
        "refused requests never reach the upstream"
    );
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
}

#[test]
fn the_burst_multiplier_scales_the_rate() {
    let (program, _web) = serve(&[("limit-rps", "2"), ("limit-burst-multiplier", "2")]);
    let (statuses, seconds) = burst(&program, &Request::get("/"), 20);
    let passed = passed(&statuses);
    assert!(
        (5..=5 + 2 * (seconds + 1)).contains(&passed),
        "{passed}: {statuses:?}"
    );
}

#[test]
fn one_request_a_minute() {
    let (program, _web) = serve(&[("limit-rpm", "1"), ("limit-burst-multiplier", "1")]);
    let (statuses, _) = burst(&program, &Request::get("/"), 10);
    assert_eq!(passed(&statuses), 2, "{statuses:?}");
}

#[test]
fn the_status_of_a_limited_request_can_be_429() {
    let (program, _web) = serve_with(&[("limit-req-status-code", "429")], &[("limit-rpm", "1")]);
    let (statuses, _) = burst(&program, &Request::get("/"), 10);
    assert_eq!(passed(&statuses), 6, "{statuses:?}");
    assert!(
        statuses[6..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    let page = Request::get("/")
        .send(program.http())
        .is(429)
        .has("retry-after", None);
    assert!(page.text().contains("429 Too Many Requests"), "{page:?}");
}

#[test]
fn clients_on_the_limit_allowlist_are_not_limited() {
    for annotation in ["limit-allowlist", "limit-whitelist"] {
        let (program, _web) = serve(&[("limit-rpm", "1"), (annotation, "10.0.0.1, 127.0.0.0/8")]);
        let (statuses, _) = burst(&program, &Request::get("/"), 20);
        assert_eq!(passed(&statuses), 20, "{annotation}: {statuses:?}");
    }
    let (program, _web) = serve(&[("limit-rpm", "1"), ("limit-allowlist", "10.0.0.0/8")]);
    let (statuses, _) = burst(&program, &Request::get("/"), 20);
    assert_eq!(passed(&statuses), 6, "{statuses:?}");
}

#[test]
fn each_client_is_limited_separately() {
    let (program, _web) = serve_with(&[("enable-real-ip", "true")], &[("limit-rpm", "1")]);
    for client in ["1.1.1.1", "2.2.2.2"] {
        let request = Request::get("/").field("X-Forwarded-For", client);
        let (statuses, _) = burst(&program, &request, 10);
        assert_eq!(passed(&statuses), 6, "{client}: {statuses:?}");
    }
}

#[test]
fn the_limit_key_can_be_a_field() {
    let settings = &[("limit-conn-zone-variable", "$http_x_user")];
    let (program, _web) = serve_with(settings, &[("limit-rpm", "1")]);
    for user in ["ann", "bob"] {
        let (statuses, _) = burst(&program, &Request::get("/").field("X-User", user), 10);
        assert_eq!(passed(&statuses), 6, "{user}: {statuses:?}");
    }
    let (statuses, _) = burst(&program, &Request::get("/"), 10);
    assert_eq!(
        passed(&statuses),
        10,
        "an empty key is not limited: {statuses:?}"
    );
}

#[test]
fn counters_belong_to_the_ingress_and_survive_changes() {
    let web = Echo::start("web");
    let limited = |version: &str| {
        Ingress::new("limited")
            .annotations(&[("limit-rpm", "1"), ("upstream-vhost", version)])
            .path("/one", "web")
            .path("/two", "web")
    };
    let scenario = |version: &str| {
        Scenario::new()
            .service("web", &[web.address()])
            .ingress(limited(version))
            .ingress(Ingress::new("free").path("/free", "web"))
    };
    let program = scenario("v1").start(BINARY);
    let (statuses, _) = burst(&program, &Request::get("/one"), 4);
    assert_eq!(passed(&statuses), 4);
    scenario("v2").replace(&program);
    let (statuses, _) = burst(&program, &Request::get("/two"), 10);
    assert_eq!(passed(&statuses), 2, "the counter is kept: {statuses:?}");
    let (statuses, _) = burst(&program, &Request::get("/free"), 10);
    assert_eq!(passed(&statuses), 10);
}

#[test]
fn responses_generated_before_the_limits_do_not_count() {
    let (program, _web) = serve(&[("limit-rpm", "1"), ("enable-cors", "true")]);
    let preflight = Request::new("OPTIONS", "/").field("Origin", "http://b.test");
    let (statuses, _) = burst(&program, &preflight, 10);
    assert!(statuses.iter().all(|status| *status == 204), "{statuses:?}");
    let (statuses, _) = burst(&program, &Request::get("/"), 10);
    assert_eq!(passed(&statuses), 6, "{statuses:?}");
}

#[test]
fn limit_connections_lets_eight_of_twenty_requests_pass_at_once() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let upstream = Scripted::start(move |connection| {
        while connection.request().is_some() {
            waiter.pass();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let program = Scenario::simple(upstream.address(), &[("limit-connections", "8")])
        .settings(&[("limit-conn-status-code", "429")])
        .start(BINARY);
    let address = program.http();
    let clients: Vec<_> = (0..20)
        .map(|_| std::thread::spawn(move || Request::get("/").send(address).status))
        .collect();
    let refused = || {
        let labels = [r#"status="429""#];
        program.metric("nginx_ingress_controller_requests", &labels)
    };
    wait::until("12 refusals", || (refused() >= 12.0).then_some(()));
    assert_eq!(upstream.wait_for(8).len(), 8);
    gate.open();
    let mut statuses: Vec<u16> = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 8], vec![429; 12]].concat());
    for _ in 0..10 {
        Request::get("/").send(address).is(200);
    }
}

#[test]
fn a_client_that_disconnects_frees_its_permit() {
    let gate = Gate::new();
    let waiter = gate.clone();
    let upstream = Scripted::start(move |connection| {
        while let Some(request) = connection.request() {
            if request.starts_with("GET /slow") {
                waiter.pass();
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let program = Scenario::simple(upstream.address(), &[("limit-connections", "1")]).start(BINARY);
    let mut slow = Connection::open(program.http());
    slow.send(Request::get("/slow").bytes());
    upstream.wait_for(1);
    Request::get("/").send(program.http()).is(503);
    drop(slow);
    wait::until("a free permit", || {
        (Request::get("/").send(program.http()).status == 200).then_some(())
    });
    gate.open();
}
