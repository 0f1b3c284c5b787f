//! Paths: routes, rules and the upstream read the same one.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Request, Scenario, Scripted};

use super::super::setup::{BINARY, serve};
use super::{Entry, OK, check, check_with, local, refused, served};

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n")
}

#[test]
fn p1_to_p5_spellings() {
    let mut entries: Vec<Entry> = [
        ("P1", "/denied"),
        ("P1", "/denied/"),
        ("P1", "/denied?x"),
        ("P1", "//denied"),
        ("P1", "/./denied"),
        ("P1", "/x/../denied"),
        ("P1", "/x/.././denied"),
        ("P1", "/x/%2e%2e/denied"),
        ("P1", "/x/%2E./denied/y"),
        ("P1", "/%64enied"),
        ("P2", "/x%2f..%2fdenied"),
        ("P2", "/x%2F%2e%2e%2Fdenied"),
        ("P2", "%2fdenied"),
        ("P2", "/denied%2fx"),
        ("P2", "/%2fdenied"),
    ]
    .into_iter()
    .map(|(id, target)| match target.starts_with('/') {
        true => local(id, "a denied path", get(target), 403),
        false => refused(id, "no path", get(target), 400),
    })
    .collect();
    for (id, what, target) in [
        ("P1", "above the root", "/../x"),
        ("P1", "above the root, with two slashes", "/x//../../denied"),
        ("P1", "above the root, escaped", "/a/%2e%2e/%2e%2e/x"),
        ("P1", "NUL", "/a%00b"),
        ("P1", "half an escape", "/a%4"),
        ("P1", "a broken escape", "/a%zz"),
        ("P1", "a line feed", "/a%0ab"),
        ("P4", "a parameter", "/x/..;/denied"),
        ("P4", "a parameter with a value", "/x/..;a=b/denied"),
        ("P4", "an escaped semicolon", "/x/..%3b/denied"),
        ("P4", "escaped dots", "/x/%2e%2e;/denied"),
        ("P4", "one dot", "/.;/denied"),
        ("P4", "at the end", "/denied/..;"),
    ] {
        entries.push(refused(id, what, get(target), 400));
    }
    entries.extend([
        served(
            "P2",
            "a backslash",
            get("/x\\..\\denied"),
            &[&["GET /x\\..\\denied HTTP/1.1"]],
        ),
        served(
            "P2",
            "an escaped backslash",
            get("/x%5c..%5cdenied"),
            &[&["GET /x%5c..%5cdenied HTTP/1.1"]],
        ),
        served(
            "P3",
            "two escapes",
            get("/%2564enied"),
            &[&["GET /%2564enied HTTP/1.1"]],
        ),
        served(
            "P3",
            "two escapes of dots",
            get("/x/%252e%252e/denied"),
            &[&["GET /x/%252e%252e/denied HTTP/1.1"]],
        ),
        served(
            "P4",
            "a parameter of a name",
            get("/x;a=b/y"),
            &[&["GET /x;a=b/y HTTP/1.1"]],
        ),
        served(
            "P5",
            "a longer segment",
            get("/deniedx"),
            &[&["GET /deniedx HTTP/1.1"]],
        ),
        served(
            "P5",
            "another case",
            get("/Denied"),
            &[&["GET /Denied HTTP/1.1"]],
        ),
        served(
            "P5",
            "raw is forwarded",
            get("/a/../b//c%41"),
            &[&["GET /a/../b//c%41 HTTP/1.1"]],
        ),
    ]);
    check(&entries);
}

#[test]
fn p6_rewrites() {
    let upstream = Scripted::responding(OK);
    let program = Scenario::new()
        .service("web", &[upstream.address()])
        .ingress(
            Ingress::new("web")
                .annotation("rewrite-target", "/files/$1")
                .pattern("/pub/(.*)", "web"),
        )
        .ingress(Ingress::new("probe").path("/probe", "web"))
        .start(BINARY);
    check_with(
        &program,
        &upstream,
        &[
            refused("P6", "above the root", get("/pub/../../etc"), 400),
            refused("P6", "escaped", get("/pub/%2e%2e/%2e%2e/x"), 400),
            local("P6", "out of the path", get("/pub/../x"), 404),
            served(
                "P6",
                "a question mark is data",
                get("/pub/a%3fb%23c"),
                &[&["GET /files/a%3Fb%23c HTTP/1.1"]],
            ),
            served(
                "P6",
                "a space is data",
                get("/pub/a%20b%25"),
                &[&["GET /files/a%20b%25 HTTP/1.1"]],
            ),
        ],
    );
}

/// An expression that is too large closes its own path; others are served.
#[test]
fn p7_expressions() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("large")
                .annotation("use-regex", "true")
                .host("large.test")
                .pattern("/(x{1000}){1000}", "web"),
        )
        .ingress(
            Ingress::new("long")
                .annotation("use-regex", "true")
                .host("long.test")
                .pattern(&format!("/({})", ["abcdefgh"; 1100].join("|")), "web"),
        )
        .ingress(Ingress::new("other").path("/", "web"))
        .start(BINARY);
    let get =
        |host: &str, target: &str| Request::get(target).host(host).send(program.http()).status;
    assert_eq!(get("a.test", "/"), 200);
    assert_eq!(get("large.test", &format!("/{}", "x".repeat(1000))), 404);
    let findings = program.admin_get("/debug/findings").is(200).text();
    assert!(findings.contains("shop/large"), "{findings}");
    assert!([200, 404].contains(&get("long.test", "/abcdefgh")));
}

#[test]
fn p8_and_p9_redirects() {
    let (program, _web) = serve(&[("force-ssl-redirect", "true")]);
    for (target, location) in [
        ("//evil.test/", "https://a.test//evil.test"),
        ("//evil.test", "https://a.test//evil.test"),
        ("/\\evil.test/", "https://a.test/\\evil.test"),
        ("/@evil.test", "https://a.test/@evil.test"),
        ("/%2f%2fevil.test", "https://a.test/%2f%2fevil.test"),
    ] {
        let response = Request::get(target).send(program.http()).is(308);
        assert_eq!(response.field("location"), Some(location), "{response:?}");
    }
    for target in ["/%0d%0aX-Evil:1", "/x?%0d%0aX-Evil:1", "/%c0%8dX-Evil:1"] {
        let response = Request::get(target)
            .send(program.http())
            .has("x-evil", None);
        let location = response.field("location").unwrap_or_default().to_owned();
        assert!(
            response.status == 400 || location == format!("https://a.test{target}"),
            "{response:?}"
        );
    }
}
