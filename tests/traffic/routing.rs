//! Hosts, paths and default backends.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Echo, Request, Scenario, Scripted};

use super::setup::{BINARY, serve};

#[test]
fn exact_hosts_precede_wildcards_precede_the_catch_all() {
    let echoes = ["exact", "wild", "any"].map(Echo::start);
    let scenario = echoes.iter().fold(Scenario::new(), |scenario, echo| {
        scenario.service(echo.name(), &[echo.address()])
    });
    let program = scenario
        .ingress(Ingress::new("exact").host("x.a.test").path("/", "exact"))
        .ingress(Ingress::new("wild").host("*.a.test").path("/", "wild"))
        .ingress(Ingress::new("any").host("").path("/", "any"))
        .start(BINARY);
    for (host, name) in [
        ("x.a.test", "exact"),
        ("X.A.TEST", "exact"),
        ("x.a.test:99", "exact"),
        ("y.a.test", "wild"),
        ("y_z-1.a.test", "wild"),
        ("a.test", "any"),
        ("x.y.a.test", "any"),
        ("127.0.0.1", "any"),
        ("[::1]:80", "any"),
    ] {
        let response = Request::get("/").host(host).send(program.http());
        assert_eq!(response.echo().name(), name, "{response:?}");
    }
}

#[test]
fn exact_paths_precede_the_longest_prefix_by_segments() {
    let echoes = ["root", "foo", "foobar", "exact"].map(Echo::start);
    let scenario = echoes.iter().fold(Scenario::new(), |scenario, echo| {
        scenario.service(echo.name(), &[echo.address()])
    });
    let program = scenario
        .ingress(
            Ingress::new("paths")
                .path("/", "root")
                .path("/foo", "foo")
                .path("/foo/bar", "foobar")
                .exact("/foo/bar", "exact"),
        )
        .start(BINARY);
    for (target, name) in [
        ("/", "root"),
        ("/foox", "root"),
        ("/FOO", "root"),
        ("/foo", "foo"),
        ("/foo/", "foo"),
        ("/foo/ba", "foo"),
        ("/foo/bar", "exact"),
        ("/foo/bar/", "foobar"),
        ("/foo/bar/x", "foobar"),
        ("/x/../foo/y", "foo"),
        ("//foo///y", "foo"),
        ("/%66oo/y", "foo"),
        ("/foo%2Fbar", "exact"),
        ("/foo?/bar", "foo"),
    ] {
        let response = Request::get(target).send(program.http());
        assert_eq!(response.echo().name(), name, "{response:?}");
        assert_eq!(
            response.echo().target(),
            target,
            "the request target is forwarded as received"
        );
    }
}

#[test]
fn the_older_ingress_keeps_a_path() {
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    let program = Scenario::new()
        .service("old", &[old.address()])
        .service("new", &[new.address()])
        .ingress(
            Ingress::new("a")
                .created("2026-02-02T00:00:00Z")
                .path("/", "new"),
        )
        .ingress(
            Ingress::new("b")
                .created("2025-01-01T00:00:00Z")
                .path("/", "old"),
        )
        .start(BINARY);
    assert_eq!(Request::get("/").send(program.http()).echo().name(), "old");
}

#[test]
fn unknown_hosts_and_paths_are_404() {
    let (program, web) = serve(&[]);
    let page = Request::get("/")
        .host("other.test")
        .send(program.http())
        .is(404);
    assert!(page.text().contains("404 Not Found"), "{page:?}");
    page.has("content-type", "text/html");
    Request::get("/healthz")
        .host("other.test")
        .send(program.http())
        .is(200);
    assert_eq!(web.requests(), 0);
}

#[test]
fn default_backends_serve_requests_that_no_path_matches() {
    let echoes = ["web", "fallback", "everywhere"].map(Echo::start);
    let scenario = echoes.iter().fold(Scenario::new(), |scenario, echo| {
        scenario.service(echo.name(), &[echo.address()])
    });
    let scenario = scenario.ingress(
        Ingress::new("web")
            .host("a.test")
            .path("/app", "web")
            .default_backend("fallback"),
    );
    let program = scenario
        .argument("--default-backend-service=shop/everywhere")
        .start(BINARY);
    for (host, target, name) in [
        ("a.test", "/app", "web"),
        ("a.test", "/other", "fallback"),
        ("other.test", "/x?y", "everywhere"),
    ] {
        let response = Request::get(target).host(host).send(program.http());
        assert_eq!(response.echo().name(), name, "{response:?}");
        assert_eq!(response.echo().target(), target);
    }
}

#[test]
fn an_ingress_of_another_class_is_not_served() {
    let web = Echo::start("web");
    let mut other = Ingress::new("other").path("/", "web").object();
    other["spec"]["ingressClassName"] = "other".into();
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(other)
        .start(BINARY);
    Request::get("/").send(program.http()).is(404);
}

#[test]
fn a_service_without_endpoints_is_503() {
    let program = Scenario::new()
        .service("empty", &[])
        .ingress(
            Ingress::new("web")
                .path("/empty", "empty")
                .path("/missing", "missing"),
        )
        .start(BINARY);
    for target in ["/empty", "/missing"] {
        let page = Request::get(target).send(program.http()).is(503);
        assert!(
            page.text().contains("503 Service Temporarily Unavailable"),
            "{page:?}"
        );
    }
}

#[test]
fn the_default_backend_annotation_serves_when_there_are_no_endpoints() {
    let helper = Echo::start("helper");
    let program = Scenario::new()
        .service("empty", &[])
        .service("helper", &[helper.address()])
        .ingress(
            Ingress::new("web")
                .annotation("default-backend", "helper")
                .path("/", "empty"),
        )
        .start(BINARY);
    let echo = Request::get("/x").send(program.http()).echo();
    assert_eq!(echo.name(), "helper");
    echo.has("x-code", "503").has("x-service-name", "empty");
}

#[test]
fn an_endpoint_that_is_not_ready_gets_no_requests() {
    let (ready, unready) = (Echo::start("ready"), Echo::start("unready"));
    let program = Scenario::new()
        .service("web", &[ready.address()])
        .object(manifest::endpoint_slice("web", unready.address(), false))
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    for _ in 0..10 {
        Request::get("/").send(program.http()).is(200);
    }
    assert_eq!(unready.requests(), 0);
}

#[test]
fn requests_are_balanced_round_robin() {
    let echoes = ["one", "two", "three"].map(Echo::start);
    let addresses = echoes.each_ref().map(Echo::address);
    let program = Scenario::new()
        .service("web", &addresses)
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    let names = super::setup::count_names(&program, &Request::get("/"), 30);
    assert_eq!(names.into_values().collect::<Vec<_>>(), [10, 10, 10]);
}

#[test]
fn server_aliases_are_served() {
    let (program, _web) = serve(&[("server-alias", "b.test,*.c.test")]);
    for host in ["a.test", "b.test", "x.c.test"] {
        Request::get("/").host(host).send(program.http()).is(200);
    }
    Request::get("/")
        .host("d.test")
        .send(program.http())
        .is(404);
}

#[test]
fn a_removed_endpoint_finishes_its_request_and_gets_no_new_ones() {
    let gate = headgate_testkit::Gate::new();
    let waiter = gate.clone();
    let old = Scripted::start(move |connection| {
        while connection.request().is_some() {
            waiter.pass();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        }
    });
    let new = Echo::start("new");
    let ingress = Ingress::new("web").path("/", "web");
    let program = Scenario::new()
        .service("web", &[old.address()])
        .ingress(ingress.clone())
        .start(BINARY);
    let mut running = headgate_testkit::Connection::open(program.http());
    running.send(Request::get("/slow").bytes());
    old.wait_for(1);
    Scenario::new()
        .service("web", &[new.address()])
        .ingress(ingress)
        .replace(&program);
    for _ in 0..10 {
        let response = Request::get("/").send(program.http());
        assert_eq!(response.echo().name(), "new");
    }
    gate.open();
    assert_eq!(running.response().is(200).text(), "done");
    assert_eq!(
        old.requests().len(),
        1,
        "the old endpoint gets no new requests"
    );
}
