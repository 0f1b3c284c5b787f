//! Selection of requests for the canary.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Program, Request, Scenario};

use super::setup::{Annotations, BINARY, count_names};

struct Pair {
    program: Program,
    _upstreams: [Echo; 2],
}

fn scenario(
    main: &Echo,
    canary: &Echo,
    primary: Annotations<'_>,
    rules: Annotations<'_>,
) -> Scenario {
    Scenario::new()
        .service("main", &[main.address()])
        .service("canary", &[canary.address()])
        .ingress(
            Ingress::new("a-main")
                .created("2026-01-01T00:00:00Z")
                .annotations(primary)
                .path("/", "main"),
        )
        .ingress(
            Ingress::new("b-canary")
                .created("2026-01-02T00:00:00Z")
                .annotation("canary", "true")
                .annotations(rules)
                .path("/", "canary"),
        )
}

fn pair(primary: Annotations<'_>, rules: Annotations<'_>) -> Pair {
    let upstreams = [Echo::start("main"), Echo::start("canary")];
    let [main, canary] = &upstreams;
    Pair {
        program: scenario(main, canary, primary, rules).start(BINARY),
        _upstreams: upstreams,
    }
}

/// Checks the upstream of requests with these extra fields.
#[track_caller]
fn check(pair: &Pair, cases: &[(&[(&str, &str)], &str)]) {
    for (fields, name) in cases {
        let request = fields
            .iter()
            .fold(Request::get("/"), |request, (name, value)| {
                request.field(name, value)
            });
        let response = request.send(pair.program.http());
        assert_eq!(response.echo().name(), *name, "{response:?}");
    }
}

#[test]
fn canary_by_header() {
    let pair = pair(&[], &[("canary-by-header", "X-Canary")]);
    check(
        &pair,
        &[
            (&[], "main"),
            (&[("X-Canary", "always")], "canary"),
            (&[("x-canary", "always")], "canary"),
            (&[("X-Canary", "never")], "main"),
            (&[("X-Canary", "yes")], "main"),
        ],
    );
}

#[test]
fn canary_by_header_value() {
    let pair = pair(
        &[],
        &[
            ("canary-by-header", "X-Canary"),
            ("canary-by-header-value", "v2"),
            ("canary-by-cookie", "try"),
        ],
    );
    check(
        &pair,
        &[
            (&[("X-Canary", "v2")], "canary"),
            (&[("X-Canary", "V2")], "main"),
            (&[("X-Canary", "always")], "main"),
            (&[("X-Canary", "other"), ("Cookie", "try=always")], "canary"),
        ],
    );
}

#[test]
fn canary_by_header_pattern() {
    let pair = pair(
        &[],
        &[
            ("canary-by-header", "X-User"),
            ("canary-by-header-pattern", "^(ann|bob)[0-9]*$"),
        ],
    );
    check(
        &pair,
        &[
            (&[("X-User", "ann")], "canary"),
            (&[("X-User", "bob7")], "canary"),
            (&[("X-User", "bobby")], "main"),
            (&[], "main"),
        ],
    );
}

#[test]
fn canary_by_cookie() {
    let pair = pair(&[], &[("canary-by-cookie", "try"), ("canary-weight", "0")]);
    check(
        &pair,
        &[
            (&[("Cookie", "x=1; try=always")], "canary"),
            (&[("Cookie", "try=never")], "main"),
            (&[("Cookie", "try=maybe")], "main"),
            (&[("Cookie", "nottry=always")], "main"),
        ],
    );
}

#[test]
fn header_precedes_cookie_precedes_weight() {
    let pair = pair(
        &[],
        &[
            ("canary-by-header", "X-Canary"),
            ("canary-by-cookie", "try"),
            ("canary-weight", "100"),
        ],
    );
    check(
        &pair,
        &[
            (&[], "canary"),
            (&[("X-Canary", "never"), ("Cookie", "try=always")], "main"),
            (&[("X-Canary", "always"), ("Cookie", "try=never")], "canary"),
            (&[("X-Canary", "other"), ("Cookie", "try=never")], "main"),
            (&[("X-Canary", "other"), ("Cookie", "try=other")], "canary"),
        ],
    );
}

#[test]
fn a_weight_of_0_or_100_is_exact() {
    for (weight, name) in [("0", "main"), ("100", "canary")] {
        let pair = pair(&[], &[("canary-weight", weight)]);
        let names = count_names(&pair.program, &Request::get("/"), 200);
        assert_eq!(names.get(name), Some(&200), "weight {weight}: {names:?}");
    }
}

#[test]
fn weights_split_requests_in_proportion() {
    // 2000 draws: six standard deviations are 107 at one half and 64 at a tenth.
    for (rules, expected, slack) in [
        (&[("canary-weight", "50")][..], 1000, 135),
        (&[("canary-weight", "10")], 200, 81),
        (
            &[("canary-weight", "100"), ("canary-weight-total", "200")],
            1000,
            135,
        ),
        (
            &[("canary-weight", "50"), ("canary-weight-total", "50")],
            1000,
            135,
        ),
    ] {
        let pair = pair(&[], rules);
        let names = count_names(&pair.program, &Request::get("/"), 2000);
        let canary = names.get("canary").copied().unwrap_or_default();
        assert!(
            canary.abs_diff(expected) <= slack,
            "{rules:?}: expected {expected} of 2000, got {names:?}"
        );
    }
}

#[test]
fn a_canary_without_endpoints_gets_no_requests() {
    let main = Echo::start("main");
    let program = Scenario::new()
        .service("main", &[main.address()])
        .service("canary", &[])
        .ingress(Ingress::new("a").path("/", "main"))
        .ingress(
            Ingress::new("b")
                .annotations(&[("canary", "true"), ("canary-weight", "100")])
                .path("/", "canary"),
        )
        .start(BINARY);
    assert_eq!(count_names(&program, &Request::get("/"), 20)["main"], 20);
}

#[test]
fn a_primary_without_endpoints_is_503_even_with_a_canary() {
    let canary = Echo::start("canary");
    let program = Scenario::new()
        .service("main", &[])
        .service("canary", &[canary.address()])
        .ingress(Ingress::new("a").path("/", "main"))
        .ingress(
            Ingress::new("b")
                .annotations(&[("canary", "true"), ("canary-weight", "100")])
                .path("/", "canary"),
        )
        .start(BINARY);
    Request::get("/").send(program.http()).is(503);
}

#[test]
fn a_canary_without_a_primary_is_not_served() {
    let canary = Echo::start("canary");
    let program = Scenario::new()
        .service("canary", &[canary.address()])
        .ingress(
            Ingress::new("b")
                .annotations(&[("canary", "true"), ("canary-weight", "100")])
                .path("/", "canary"),
        )
        .start(BINARY);
    Request::get("/").send(program.http()).is(404);
}

#[test]
fn a_canary_contributes_only_its_upstream() {
    let pair = pair(
        &[("upstream-vhost", "primary.test")],
        &[("canary-weight", "100"), ("upstream-vhost", "canary.test")],
    );
    let echo = Request::get("/").send(pair.program.http()).echo();
    assert_eq!(echo.name(), "canary");
    echo.has("host", "primary.test");
}

#[test]
fn a_session_stays_on_primary_or_canary() {
    let pair = pair(
        &[("affinity", "cookie")],
        &[("canary-by-header", "X-Canary"), ("canary-weight", "50")],
    );
    let address = pair.program.http();
    for (choice, other, name) in [("always", "never", "canary"), ("never", "always", "main")] {
        let first = Request::get("/").field("X-Canary", choice).send(address);
        assert_eq!(first.echo().name(), name, "{first:?}");
        let cookie = first.field("set-cookie").unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default();
        assert!(cookie.starts_with("INGRESSCOOKIE="), "{first:?}");
        let mut connection = Connection::open(address);
        for _ in 0..20 {
            let request = Request::get("/")
                .field("Cookie", cookie)
                .field("X-Canary", other);
            let response = connection.exchange(&request);
            assert_eq!(response.echo().name(), name, "{response:?}");
        }
    }
}

#[test]
fn legacy_canary_affinity_ignores_sessions() {
    let pair = pair(
        &[("affinity", "cookie")],
        &[
            ("affinity-canary-behavior", "legacy"),
            ("canary-by-header", "X-Canary"),
        ],
    );
    let address = pair.program.http();
    let canary = Request::get("/").field("X-Canary", "always").send(address);
    assert_eq!(canary.echo().name(), "canary");
    canary.has("set-cookie", None);
}
