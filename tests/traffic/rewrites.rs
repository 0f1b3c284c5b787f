//! Rewriting of paths, and paths that are regular expressions.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Program, Request, Site};

use super::setup::BINARY;

fn program(path: &str, target: &str, web: &Echo) -> Program {
    Site::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("web")
                .annotations(&[("rewrite-target", target), ("use-regex", "true")])
                .pattern(path, "web"),
        )
        .start(BINARY)
}

#[test]
fn captures_and_query() {
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
fn a_target_without_groups_replaces_everything() {
    let web = Echo::start("web");
    let program = Site::new()
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
fn a_target_equal_to_the_path_changes_nothing() {
    let web = Echo::start("web");
    let program = Site::new()
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
fn an_absolute_target_is_a_redirect() {
    let web = Echo::start("web");
    let program = program("/old/(.*)", "https://new.test/$1", &web);
    Request::get("/old/x?y=1")
        .send(program.http())
        .is(302)
        .has("location", "https://new.test/x?y=1");
}

#[test]
fn a_rewrite_cannot_climb_out() {
    let web = Echo::start("web");
    let program = program("/pub/(.*)", "/files/$1", &web);
    for target in ["/pub/../../etc", "/pub/%2e%2e/%2e%2e/x"] {
        Request::get(target).send(program.http()).is(400);
    }
    assert_eq!(web.requests(), 0);
}

fn patterns() -> (Program, Vec<Echo>) {
    let echoes: Vec<Echo> = ["short", "long", "id", "exact"].map(Echo::start).into();
    let site = echoes.iter().fold(Site::new(), |site, echo| {
        site.service(echo.name(), &[echo.address()])
    });
    let program = site
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
fn longer_patterns_come_first_and_types_stop_to_matter() {
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
fn look_ahead_is_understood() {
    let web = Echo::start("web");
    let program = Site::new()
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
fn a_broken_pattern_harms_no_other() {
    let web = Echo::start("web");
    let program = Site::new()
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
    let findings = program.ask("/debug/findings").is(200).text();
    assert!(findings.contains("shop/broken"), "{findings}");
}
