//! Rewriting of paths, and paths that are regular expressions.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Program, Request, Scenario};

use super::setup::BINARY;

fn program(path: &str, target: &str, web: &Echo) -> Program {
    Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("web")
                .annotations(&[("rewrite-target", target), ("use-regex", "true")])
                .pattern(path, "web"),
        )
        .start(BINARY)
}

#[test]
fn a_rewrite_uses_captures_and_keeps_the_query() {
    let web = Echo::start("web");
    let program = program("/api(/|$)(.*)", "/$2", &web);
    for (sent, got) in [
        ("/api", "/"),
        ("/api/", "/"),
        ("/api/x", "/x"),
        ("/api/x/y?z=1&w=%2F", "/x/y?z=1&w=%2F"),
        ("/API/x", "/x"),
        ("/api/a%20b", "/a%20b"),
    ] {
        let response = Request::get(sent).send(program.http());
        assert_eq!(response.echo().target(), got, "{response:?}");
    }
    Request::get("/apix").send(program.http()).is(404);
}

#[test]
fn a_rewrite_without_captures_replaces_the_path() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("web")
                .annotation("rewrite-target", "/bar")
                .path("/foo", "web"),
        )
        .start(BINARY);
    for (sent, got) in [("/foo", "/bar"), ("/foo/x?y", "/bar?y"), ("/FOO", "/bar")] {
        let response = Request::get(sent).send(program.http());
        assert_eq!(response.echo().target(), got, "{response:?}");
    }
}

#[test]
fn a_rewrite_to_the_same_path_changes_nothing() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("web")
                .annotation("rewrite-target", "/")
                .path("/", "web"),
        )
        .start(BINARY);
    let response = Request::get("/a//b/../c%41").send(program.http());
    assert_eq!(
        response.echo().target(),
        "/a//b/../c%41",
        "the raw form is sent"
    );
}

#[test]
fn a_rewrite_to_an_absolute_url_is_a_redirect() {
    let web = Echo::start("web");
    let program = program("/old/(.*)", "https://new.test/$1", &web);
    Request::get("/old/x?y=1")
        .send(program.http())
        .is(302)
        .has("location", "https://new.test/x?y=1");
}

#[test]
fn a_path_above_the_root_is_refused_before_the_rewrite() {
    let web = Echo::start("web");
    let program = program("/pub/(.*)", "/files/$1", &web);
    for target in ["/pub/../../etc", "/pub/%2e%2e/%2e%2e/x"] {
        Request::get(target).send(program.http()).is(400);
    }
    assert_eq!(web.requests(), 0);
}

fn patterns() -> (Program, Vec<Echo>) {
    let echoes: Vec<Echo> = ["short", "long", "id", "exact"].map(Echo::start).into();
    let scenario = echoes.iter().fold(Scenario::new(), |scenario, echo| {
        scenario.service(echo.name(), &[echo.address()])
    });
    let program = scenario
        .ingress(
            Ingress::new("patterns")
                .annotation("use-regex", "true")
                .pattern("/foo", "short")
                .pattern("/foo/.*", "long")
                .pattern("/item/[0-9]+$", "id"),
        )
        .ingress(
            Ingress::new("plain")
                .host("a.test")
                .exact("/exact", "exact"),
        )
        .start(BINARY);
    (program, echoes)
}

#[test]
fn with_patterns_longer_paths_precede_shorter_ones_of_any_type() {
    let (program, _echoes) = patterns();
    for (target, name) in [
        ("/foo", "short"),
        ("/foobar", "short"),
        ("/FOO", "short"),
        ("/foo/bar", "long"),
        ("/item/12", "id"),
        ("/exact", "exact"),
        ("/exactly", "exact"),
        ("/EXACT/x", "exact"),
    ] {
        let response = Request::get(target).send(program.http());
        assert_eq!(response.echo().name(), name, "{response:?}");
    }
    for target in ["/item/x", "/x/foo", "/item/12/x"] {
        Request::get(target).send(program.http()).is(404);
    }
}

#[test]
fn patterns_may_use_look_ahead() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("web")
                .annotation("use-regex", "true")
                .pattern("/(?!private)[a-z]+$", "web"),
        )
        .start(BINARY);
    Request::get("/open").send(program.http()).is(200);
    Request::get("/private").send(program.http()).is(404);
}

#[test]
fn an_invalid_pattern_affects_no_other_route() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("broken")
                .annotation("use-regex", "true")
                .pattern("/broken(", "web"),
        )
        .ingress(Ingress::new("other").host("b.test").path("/", "web"))
        .start(BINARY);
    Request::get("/")
        .host("b.test")
        .send(program.http())
        .is(200);
    let findings = program.admin_get("/debug/findings").is(200).text();
    assert!(findings.contains("shop/broken"), "{findings}");
}
