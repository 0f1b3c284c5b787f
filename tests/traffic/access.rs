//! Address lists and other access rules.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Echo, Request, Scenario};

use super::setup::{Annotations, BINARY, serve, serve_with};

#[test]
fn allow_and_deny_lists_decide_by_client_address() {
    for (annotations, status) in [
        (&[("allowlist-source-range", "127.0.0.1")][..], 200),
        (
            &[("allowlist-source-range", "10.0.0.0/8, 127.0.0.0/8")],
            200,
        ),
        (&[("whitelist-source-range", "10.0.0.0/8")], 403),
        (&[("allowlist-source-range", "10.0.0.0/8")], 403),
        (&[("allowlist-source-range", "::1")], 403),
        (&[("denylist-source-range", "127.0.0.1/32")], 403),
        (&[("denylist-source-range", "10.0.0.0/8")], 200),
        (
            &[
                ("denylist-source-range", "127.0.0.1"),
                ("allowlist-source-range", "127.0.0.1"),
            ],
            403,
        ),
    ] {
        let (program, web) = serve(annotations);
        let response = Request::get("/").send(program.http());
        assert_eq!(response.status, status, "{annotations:?}\n{response:?}");
        assert_eq!(web.requests() == 1, status == 200, "{annotations:?}");
    }
}

#[test]
fn an_invalid_address_list_closes_the_route() {
    for annotation in ["allowlist-source-range", "denylist-source-range"] {
        let (program, web) = serve(&[(annotation, "127.0.0.1, nonsense")]);
        Request::get("/").send(program.http()).is(503);
        assert_eq!(web.requests(), 0);
        let findings = program.admin_get("/debug/findings").text();
        assert!(findings.contains(annotation), "{findings}");
    }
}

#[test]
fn lists_in_the_settings_apply_to_every_route() {
    for (settings, annotations, status) in [
        (
            &[("whitelist-source-range", "10.0.0.0/8")][..],
            &[][..],
            403,
        ),
        (&[("denylist-source-range", "127.0.0.0/8")], &[], 403),
        (&[("block-cidrs", "127.0.0.0/8")], &[], 403),
        (
            &[("whitelist-source-range", "10.0.0.0/8")],
            &[("allowlist-source-range", "127.0.0.1")],
            200,
        ),
    ] {
        let (program, _web) = serve_with(settings, annotations);
        let response = Request::get("/").send(program.http());
        assert_eq!(
            response.status, status,
            "{settings:?} {annotations:?}\n{response:?}"
        );
    }
}

#[test]
fn lists_use_the_forwarded_client_address_when_it_is_trusted() {
    let (program, _web) = serve_with(
        &[
            ("use-forwarded-headers", "true"),
            ("proxy-real-ip-cidr", "127.0.0.0/8"),
        ],
        &[("allowlist-source-range", "203.0.113.0/24")],
    );
    let from = |list: &str| {
        let request = Request::get("/").field("X-Forwarded-For", list);
        request.send(program.http()).status
    };
    assert_eq!(from("203.0.113.7"), 200);
    assert_eq!(
        from("203.0.113.7, 198.51.100.1"),
        403,
        "the nearest untrusted address counts"
    );
    assert_eq!(from("198.51.100.1, 203.0.113.7"), 200);
}

#[test]
fn a_forged_client_address_does_not_open_a_route() {
    let (program, _web) = serve(&[("allowlist-source-range", "203.0.113.0/24")]);
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "X_Forwarded_For",
        "CF-Connecting-IP",
    ] {
        let request = Request::get("/").field(name, "203.0.113.7");
        request.send(program.http()).is(403);
    }
}

/// What an unusable entry should block would pass.
#[test]
fn unusable_block_lists_of_agents_and_referers_close_every_route() {
    for setting in [
        ("block-user-agents", "BadBot/1.0,~*(scrape"),
        ("block-referers", "~spam{2}"),
    ] {
        let (program, web) = serve_with(&[setting], &[]);
        Request::get("/").send(program.http()).is(503);
        assert_eq!(web.requests(), 0, "{setting:?}");
        let findings = program.admin_get("/debug/findings").text();
        assert!(findings.contains(setting.0), "{findings}");
    }
}

/// Every spelling of a denied path.
#[test]
fn a_denied_path_is_denied_in_every_spelling() {
    let web = Echo::start("web");
    let denied: Annotations<'_> = &[("denylist-source-range", "0.0.0.0/0")];
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(Ingress::new("open").path("/", "web"))
        .ingress(
            Ingress::new("denied")
                .annotations(denied)
                .path("/private", "web"),
        )
        .start(BINARY);
    for target in [
        "/private",
        "/private/",
        "/private?x",
        "//private",
        "/./private",
        "/x/../private",
        "/x/%2e%2e/private",
        "/x/%2E./private/y",
        "/%70rivate",
        "/x%2f..%2fprivate",
        "/private%2fx",
        "/x//../../private",
    ] {
        let response = Request::get(target).send(program.http());
        assert!(
            [400, 403].contains(&response.status),
            "{target}\n{response:?}"
        );
    }
    for host in ["A.TEST", "a.test:99"] {
        let response = Request::get("/private").host(host).send(program.http());
        assert_eq!(response.status, 403, "{response:?}");
    }
    assert_eq!(web.requests(), 0, "no request reached the upstream");
    Request::get("/%2570rivate").send(program.http()).is(200);
    Request::get("/privatex").send(program.http()).is(200);
}
