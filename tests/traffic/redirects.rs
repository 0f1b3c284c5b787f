//! Redirects that the proxy sends.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Authority, Echo, Program, Request, Response, Scenario, Tls};

use super::setup::{Annotations, BINARY, serve, serve_with, tls_scenario};

fn tls_program(settings: Annotations<'_>, annotations: Annotations<'_>) -> (Program, Echo) {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, annotations)
        .settings(settings)
        .start(BINARY);
    (program, web)
}

#[track_caller]
fn goes_to(response: Response, status: u16, location: &str) {
    response.is(status).has("location", location);
}

#[test]
fn plain_http_of_a_tls_host_is_redirected_to_https() {
    let (program, web) = tls_program(&[], &[]);
    for (target, location) in [
        ("/", "https://a.test"),
        ("/a", "https://a.test/a"),
        ("/a/", "https://a.test/a"),
        ("/a//", "https://a.test/a/"),
        ("/a/?x=/", "https://a.test/a/?x="),
        ("/a%20b?c=%2F&d", "https://a.test/a%20b?c=%2F&d"),
        ("//evil.test/x", "https://a.test//evil.test/x"),
    ] {
        goes_to(Request::get(target).send(program.http()), 308, location);
    }
    let request = Request::get("/a").host("a.test:8080");
    goes_to(request.send(program.http()), 308, "https://a.test/a");
    goes_to(
        Request::post("/a", "x").send(program.http()),
        308,
        "https://a.test/a",
    );
    assert_eq!(web.requests(), 0);
    let page = Request::get("/a")
        .send(program.http())
        .has("content-type", "text/html");
    assert!(page.text().contains("308 Permanent Redirect"), "{page:?}");
    Request::get("/")
        .over(&Tls::name("a.test"))
        .send(program.https())
        .is(200);
}

#[test]
fn plain_http_of_a_host_without_tls_is_served() {
    let (program, _web) = serve(&[]);
    Request::get("/").send(program.http()).is(200);
}

#[test]
fn status_and_trailing_slash_of_the_https_redirect_can_be_set() {
    for (settings, annotations, status, location) in [
        (
            &[][..],
            &[("preserve-trailing-slash", "true")][..],
            308,
            "https://a.test/a/",
        ),
        (
            &[("preserve-trailing-slash", "true")],
            &[],
            308,
            "https://a.test/a/",
        ),
        (
            &[("http-redirect-code", "301")],
            &[],
            301,
            "https://a.test/a",
        ),
        (
            &[("http-redirect-code", "303")],
            &[],
            308,
            "https://a.test/a",
        ),
    ] {
        let (program, _web) = tls_program(settings, annotations);
        goes_to(Request::get("/a/").send(program.http()), status, location);
    }
}

#[test]
fn the_https_redirect_can_be_switched_off() {
    let (program, _web) = tls_program(&[], &[("ssl-redirect", "false")]);
    Request::get("/").send(program.http()).is(200);
    let (program, _web) = tls_program(&[("ssl-redirect", "false")], &[]);
    Request::get("/").send(program.http()).is(200);
}

#[test]
fn the_https_redirect_can_name_the_port() {
    let (program, _web) = tls_program(&[], &[("use-port-in-redirects", "true")]);
    let location = format!("https://a.test:{}/a", program.https().port());
    goes_to(Request::get("/a").send(program.http()), 308, &location);
}

#[test]
fn force_ssl_redirect_redirects_without_tls() {
    let (program, _web) = serve(&[("force-ssl-redirect", "true")]);
    goes_to(
        Request::get("/a").send(program.http()),
        308,
        "https://a.test/a",
    );
    let settings = &[("use-forwarded-headers", "true")];
    let (program, _web) = serve_with(settings, &[("force-ssl-redirect", "true")]);
    let request = Request::get("/a").field("X-Forwarded-Proto", "https");
    request.send(program.http()).is(200);
}

#[test]
fn acme_challenges_are_not_redirected() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[])
        .ingress(
            Ingress::new("acme")
                .host("a.test")
                .path("/.well-known/acme-challenge", "web"),
        )
        .start(BINARY);
    Request::get("/.well-known/acme-challenge/x")
        .send(program.http())
        .is(200);
    Request::get("/other").send(program.http()).is(308);
}

#[test]
fn app_root_redirects_the_root() {
    let (program, _web) = serve(&[("app-root", "/login")]);
    let get = |target: &str| {
        Request::get(target)
            .host("a.test:8080")
            .send(program.http())
    };
    goes_to(get("/"), 302, "http://a.test:8080/login");
    goes_to(get("/?x=1"), 302, "http://a.test:8080/login");
    goes_to(get("/./"), 302, "http://a.test:8080/login");
    assert_eq!(get("/login").echo().target(), "/login");
    get("/x").is(200);
}

#[test]
fn permanent_and_temporal_redirect() {
    let to = "https://other.test/x?y=1";
    for (annotations, status) in [
        (&[("permanent-redirect", to)][..], 301),
        (
            &[
                ("permanent-redirect", to),
                ("permanent-redirect-code", "308"),
            ],
            308,
        ),
        (
            &[
                ("permanent-redirect", to),
                ("permanent-redirect-code", "200"),
            ],
            301,
        ),
        (&[("temporal-redirect", to)], 302),
        (
            &[("temporal-redirect", to), ("temporal-redirect-code", "307")],
            307,
        ),
        (
            &[
                ("temporal-redirect", to),
                ("permanent-redirect", "http://p.test"),
            ],
            302,
        ),
        // Before the redirect to https.
        (
            &[("permanent-redirect", to), ("force-ssl-redirect", "true")],
            301,
        ),
    ] {
        let (program, web) = serve(annotations);
        goes_to(Request::get("/p?q").send(program.http()), status, to);
        assert_eq!(web.requests(), 0, "{annotations:?}");
    }
}

#[test]
fn from_to_www_redirects_both_ways() {
    let web = Echo::start("web");
    let both = &[("from-to-www-redirect", "true")];
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("bare")
                .annotations(both)
                .host("a.test")
                .path("/", "web"),
        )
        .ingress(
            Ingress::new("www")
                .annotations(both)
                .host("www.b.test")
                .path("/", "web"),
        )
        .start(BINARY);
    let port = program.http().port();
    let get = |host: &str, target: &str| Request::get(target).host(host).send(program.http());
    goes_to(
        get("www.a.test", "/x?y=1"),
        308,
        &format!("http://a.test:{port}/x?y=1"),
    );
    goes_to(
        get("www.a.test", "/x/"),
        308,
        &format!("http://a.test:{port}/x"),
    );
    goes_to(
        get("b.test", "/x"),
        308,
        &format!("http://www.b.test:{port}/x"),
    );
    get("a.test", "/").is(200);
    get("www.b.test", "/").is(200);
}

#[test]
fn from_to_www_uses_the_forwarded_port_and_yields_to_declared_hosts() {
    let web = Echo::start("web");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .settings(&[("use-forwarded-headers", "true")])
        .ingress(
            Ingress::new("bare")
                .annotation("from-to-www-redirect", "true")
                .host("a.test")
                .path("/", "web")
                .host("c.test")
                .path("/", "web"),
        )
        .ingress(Ingress::new("own").host("www.c.test").path("/", "web"))
        .start(BINARY);
    let request = Request::get("/x")
        .host("www.a.test")
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Port", "443");
    goes_to(request.send(program.http()), 308, "https://a.test:443/x");
    Request::get("/")
        .host("www.c.test")
        .send(program.http())
        .is(200);
}

#[test]
fn a_prefix_with_a_trailing_slash_redirects_to_it() {
    let web = Echo::start("web");
    let scenario = |annotations: Annotations<'_>| {
        Scenario::new()
            .service("web", &[web.address()])
            .ingress(
                Ingress::new("web")
                    .annotations(annotations)
                    .path("/foo/", "web"),
            )
            .start(BINARY)
    };
    let program = scenario(&[]);
    goes_to(
        Request::get("/foo").send(program.http()),
        301,
        "http://a.test/foo/",
    );
    goes_to(
        Request::get("/foo?x=1").send(program.http()),
        301,
        "http://a.test/foo/?x=1",
    );
    Request::get("/foo/").send(program.http()).is(200);
    Request::get("/foo/bar").send(program.http()).is(200);
    Request::get("/foobar").send(program.http()).is(404);
    let program = scenario(&[("relative-redirects", "true")]);
    goes_to(Request::get("/foo").send(program.http()), 301, "/foo/");
}

#[test]
fn redirects_never_gain_fields_from_the_request() {
    let (program, _web) = tls_program(&[], &[]);
    let response = Request::get("/x%0d%0aX-Evil:%201").send(program.http());
    let response = response.has("x-evil", None);
    let location = response.field("location").unwrap_or_default();
    let encoded = response.status == 308 && location.contains("%0d%0a");
    assert!(encoded || response.status == 400, "{response:?}");
}
