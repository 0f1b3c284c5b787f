//! Session affinity and consistent hashing.

use std::collections::BTreeSet;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Authority, Connection, Echo, Program, Request, Response, Scenario, Tls};

use super::setup::{Annotations, BINARY, count_names};

fn echoes() -> Vec<Echo> {
    ["one", "two", "three", "four"].map(Echo::start).into()
}

fn scenario(echoes: &[Echo], annotations: Annotations<'_>) -> Scenario {
    let addresses: Vec<_> = echoes.iter().map(Echo::address).collect();
    Scenario::new().service("web", &addresses).ingress(
        Ingress::new("web")
            .annotations(annotations)
            .path("/app", "web"),
    )
}

fn cookie(response: &Response) -> String {
    let cookie = response.field("set-cookie");
    let pair = cookie.and_then(|cookie| cookie.split(';').next());
    pair.unwrap_or_else(|| panic!("no cookie was set\n{response:?}"))
        .to_owned()
}

fn start_session(program: &Program) -> (String, String) {
    let response = Request::get("/app").send(program.http());
    (response.echo().name().to_owned(), cookie(&response))
}

#[test]
fn a_session_stays_on_its_endpoint() {
    for mode in ["balanced", "persistent"] {
        let echoes = echoes();
        let program =
            scenario(&echoes, &[("affinity", "cookie"), ("affinity-mode", mode)]).start(BINARY);
        let mut names = BTreeSet::new();
        for _ in 0..8 {
            let (name, cookie) = start_session(&program);
            let mut connection = Connection::open(program.http());
            for _ in 0..10 {
                let response =
                    connection.exchange(&Request::get("/app/x").field("Cookie", &cookie));
                assert_eq!(response.echo().name(), name, "{mode}\n{response:?}");
                assert_eq!(response.field("set-cookie"), None, "{mode}\n{response:?}");
            }
            names.insert(name);
        }
        assert!(
            names.len() > 1,
            "{mode}: all eight sessions went to {names:?}"
        );
    }
}

#[test]
fn the_session_cookie_has_default_attributes() {
    let echoes = echoes();
    let program = scenario(&echoes, &[("affinity", "cookie")]).start(BINARY);
    let response = Request::get("/app").send(program.http());
    let set = response.field("set-cookie").unwrap_or_default().to_owned();
    let mut parts = set.split("; ");
    let (name, value) = parts.next().unwrap().split_once('=').unwrap();
    assert_eq!(name, "INGRESSCOOKIE", "{set}");
    let (key, bound) = value.split_once('|').unwrap_or_default();
    assert!(!key.is_empty() && bound.len() == 32, "{set}");
    assert!(bound.bytes().all(|b| b.is_ascii_hexdigit()), "{set}");
    let attributes: BTreeSet<_> = parts.collect();
    assert_eq!(
        attributes,
        BTreeSet::from(["Path=/app", "HttpOnly"]),
        "{set}"
    );
}

#[test]
fn every_attribute_of_the_session_cookie_can_be_set() {
    let echoes = echoes();
    let issued = Authority::new().issue(&["a.test"]);
    let addresses: Vec<_> = echoes.iter().map(Echo::address).collect();
    let program = Scenario::new()
        .service("web", &addresses)
        .secret("cert", &issued)
        .ingress(
            Ingress::new("web")
                .annotations(&[
                    ("affinity", "cookie"),
                    ("session-cookie-name", "stick"),
                    ("session-cookie-path", "/"),
                    ("session-cookie-domain", "a.test"),
                    ("session-cookie-max-age", "600"),
                    ("session-cookie-expires", "600"),
                    ("session-cookie-samesite", "None"),
                ])
                .tls(&["a.test"], "cert")
                .path("/app", "web"),
        )
        .start(BINARY);
    let response = Request::get("/app")
        .over(&Tls::name("a.test"))
        .send(program.https());
    let set = response.field("set-cookie").unwrap_or_default().to_owned();
    assert!(set.starts_with("stick="), "{set}");
    for attribute in [
        "Path=/",
        "Domain=a.test",
        "Max-Age=600",
        "SameSite=None",
        "HttpOnly",
        "Secure",
    ] {
        assert!(
            set.split("; ").any(|part| part == attribute),
            "{attribute} is missing: {set}"
        );
    }
    let expires = set
        .split("; ")
        .find_map(|part| part.strip_prefix("Expires="));
    assert!(expires.is_some_and(|date| date.ends_with(" GMT")), "{set}");
}

#[test]
fn a_persistent_session_moves_only_when_its_endpoint_is_removed() {
    let echoes = echoes();
    let annotations: Annotations<'_> = &[("affinity", "cookie"), ("affinity-mode", "persistent")];
    let program = scenario(&echoes, annotations).start(BINARY);
    let (name, cookie) = start_session(&program);
    let request = Request::get("/app").field("Cookie", &cookie);
    let (bound, others): (Vec<Echo>, Vec<Echo>) =
        echoes.into_iter().partition(|echo| echo.name() == name);
    let some: Vec<Echo> = bound
        .into_iter()
        .chain(others.into_iter().take(1))
        .collect();
    scenario(&some, annotations).replace(&program);
    for _ in 0..10 {
        assert_eq!(request.send(program.http()).echo().name(), name);
    }
    scenario(&some[1..], annotations).replace(&program);
    let response = request.send(program.http());
    assert_eq!(response.echo().name(), some[1].name(), "{response:?}");
    assert!(response.field("set-cookie").is_some(), "{response:?}");
}

#[test]
fn an_unknown_session_cookie_starts_a_new_session_only_in_persistent_mode() {
    let echoes = echoes();
    for (mode, starts) in [("persistent", true), ("balanced", false)] {
        let annotations = [("affinity", "cookie"), ("affinity-mode", mode)];
        let program = scenario(&echoes, &annotations).start(BINARY);
        for value in ["nonsense", "a|b", "x|00000000000000000000000000000000"] {
            let request = Request::get("/app").field("Cookie", &format!("INGRESSCOOKIE={value}"));
            let response = request.send(program.http()).is(200);
            assert_eq!(
                response.field("set-cookie").is_some(),
                starts,
                "{response:?}"
            );
            if !starts {
                let name = response.echo().name().to_owned();
                assert_eq!(request.send(program.http()).echo().name(), name, "{value}");
            }
        }
        let empty = Request::get("/app").field("Cookie", "INGRESSCOOKIE=");
        let response = empty.send(program.http()).is(200);
        assert!(response.field("set-cookie").is_some(), "{response:?}");
    }
}

#[test]
fn a_failed_endpoint_changes_the_session_only_with_change_on_failure() {
    for (change, status) in [("true", 200), ("false", 502)] {
        let echoes = [Echo::start("one"), Echo::start("two")];
        let program = scenario(
            &echoes,
            &[
                ("affinity", "cookie"),
                ("affinity-mode", "persistent"),
                ("session-cookie-change-on-failure", change),
            ],
        )
        .start(BINARY);
        let (name, cookie) = start_session(&program);
        let (bound, other): (Vec<Echo>, Vec<Echo>) =
            echoes.into_iter().partition(|echo| echo.name() == name);
        drop(bound); // it stays in the slices, but refuses connections
        let response = Request::get("/app")
            .field("Cookie", &cookie)
            .send(program.http());
        assert_eq!(
            response.status, status,
            "change-on-failure {change}\n{response:?}"
        );
        if status == 200 {
            assert_eq!(response.echo().name(), other[0].name(), "{response:?}");
            assert!(response.field("set-cookie").is_some(), "{response:?}");
        }
        // Without a session any endpoint serves.
        Request::get("/app").send(program.http()).is(200);
    }
}

#[test]
fn upstream_hash_by_request_uri_gives_one_endpoint_per_uri() {
    let echoes = echoes();
    let program = scenario(&echoes, &[("upstream-hash-by", "$request_uri")]).start(BINARY);
    let mut all = BTreeSet::new();
    for key in 0..16 {
        let names = count_names(&program, &Request::get(&format!("/app/{key}")), 5);
        assert_eq!(names.len(), 1, "one URI, one endpoint: {names:?}");
        all.extend(names.into_keys());
    }
    assert!(all.len() > 1, "sixteen URIs went to {all:?} alone");
}

#[test]
fn upstream_hash_by_a_field_is_the_same_on_every_worker_and_connection() {
    let echoes = echoes();
    let program = scenario(&echoes, &[("upstream-hash-by", "$http_x_user")]).start(BINARY);
    for user in ["ann", "bob", "eve"] {
        let request = Request::get("/app").field("X-User", user);
        let names: BTreeSet<String> = (0..10)
            .map(|_| request.send(program.http()).echo().name().to_owned())
            .collect();
        assert_eq!(names.len(), 1, "{user}: {names:?}");
    }
}

#[test]
fn upstream_hash_by_subset_uses_as_many_endpoints_as_its_size() {
    let echoes = echoes();
    let program = scenario(
        &echoes,
        &[
            ("upstream-hash-by", "$http_x_user"),
            ("upstream-hash-by-subset", "true"),
            ("upstream-hash-by-subset-size", "2"),
        ],
    )
    .start(BINARY);
    let names = count_names(&program, &Request::get("/app").field("X-User", "ann"), 60);
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn ewma_balancing_uses_several_endpoints() {
    let echoes = echoes();
    let program = scenario(&echoes, &[("load-balance", "ewma")]).start(BINARY);
    let names = count_names(&program, &Request::get("/app"), 100);
    assert_eq!(names.values().sum::<usize>(), 100);
    assert!(names.len() > 1, "{names:?}");
}
