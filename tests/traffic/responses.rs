//! Changes of responses by the proxy.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Echo, Request, Response, Scenario, Scripted, Tls};

use super::setup::{Annotations, BINARY, serve, serve_with, tls_scenario};

/// A request whose response has these fields.
fn with(fields: &[&str]) -> Request {
    fields.iter().fold(Request::get("/"), |request, field| {
        request.field("X-Echo-Field", field)
    })
}

#[test]
fn upstream_fields_pass_except_hop_by_hop_ones() {
    let upstream = Scripted::responding(
        "HTTP/1.1 200 OK\r\nServer: secret/1.0\r\nX-Powered-By: php\r\nX-Accel-Redirect: /x\r\n\
         Connection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    );
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let response = Request::get("/").send(program.http()).is(200);
    assert_eq!(response.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(response.all("date").len(), 1, "{response:?}");
    response
        .has("server", None)
        .has("x-powered-by", "php")
        .has("x-accel-redirect", None)
        .has("x-private", None)
        .has("keep-alive", None)
        .has("strict-transport-security", None);
}

#[test]
fn every_status_passes_with_its_body() {
    let (program, _web) = serve(&[]);
    for status in [200, 201, 301, 400, 401, 403, 404, 418, 500, 502, 503, 599] {
        let request = Request::get("/").field("X-Echo-Status", &status.to_string());
        let response = request.send(program.http()).is(status);
        assert!(response.text().contains("\"name\":\"web\""), "{response:?}");
    }
}

#[test]
fn fields_can_be_hidden_and_added() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .settings(&[
            ("hide-headers", "X-Secret,X-Powered-By"),
            ("add-headers", "ingress-nginx/to-clients"),
        ])
        .object(manifest::config_map(
            "ingress-nginx",
            "to-clients",
            &[("X-Frame-Options", "DENY")],
        ))
        .start(BINARY);
    for status in ["200", "404"] {
        with(&["X-Secret: 1", "X-Powered-By: php", "X-Other: 1"])
            .field("X-Echo-Status", status)
            .send(program.http())
            .has("x-secret", None)
            .has("x-powered-by", None)
            .has("x-other", "1")
            .has("x-frame-options", "DENY");
    }
}

fn custom(allowed: &str, web: &Echo) -> headgate_testkit::Program {
    Scenario::simple(web.address(), &[("custom-headers", "shop/custom")])
        .settings(&[("global-allowed-response-headers", allowed)])
        .object(manifest::config_map(
            "shop",
            "custom",
            &[("X-Custom", "yes")],
        ))
        .start(BINARY)
}

#[test]
fn custom_headers_are_added_when_they_are_allowed() {
    let web = Echo::start("web");
    let program = custom("X-Other,X-Custom", &web);
    for status in ["200", "500"] {
        let request = with(&["X-Custom: upstream"]).field("X-Echo-Status", status);
        let response = request.send(program.http());
        assert_eq!(response.all("x-custom"), ["yes"], "{response:?}");
    }
    let program = custom("X-Other", &web);
    Request::get("/").send(program.http()).is(503);
}

fn cookie(annotations: Annotations<'_>, cookie: &str) -> String {
    let (program, _web) = serve(annotations);
    let response = with(&[&format!("Set-Cookie: {cookie}")]).send(program.http());
    response.field("set-cookie").unwrap_or_default().to_owned()
}

#[test]
fn cookie_domain_and_path_are_rewritten() {
    for (annotations, before, after) in [
        (&[][..], "a=1; Path=/in", "a=1; Path=/in"),
        (
            &[("proxy-cookie-path", "/in/ /out/")],
            "a=1; Path=/in/x; Secure",
            "a=1; Path=/out/x; Secure",
        ),
        (
            &[("proxy-cookie-path", "/in/ /out/")],
            "a=1; Path=/other",
            "a=1; Path=/other",
        ),
        (
            &[("proxy-cookie-domain", "in.test out.test")],
            "a=1; Domain=in.test",
            "a=1; Domain=out.test",
        ),
        (
            &[("proxy-cookie-domain", "in.test out.test")],
            "a=1; domain=IN.test; HttpOnly",
            "a=1; domain=out.test; HttpOnly",
        ),
    ] {
        let sent = cookie(annotations, before);
        assert!(
            sent.eq_ignore_ascii_case(after),
            "{annotations:?} {before:?}: expected {after:?}, sent {sent:?}"
        );
    }
}

fn location(annotations: Annotations<'_>, location: &str) -> Response {
    let (program, _web) = serve(annotations);
    with(&[&format!("Location: {location}")])
        .field("X-Echo-Status", "302")
        .send(program.http())
        .is(302)
}

#[test]
fn locations_are_rewritten() {
    let rule: Annotations<'_> = &[
        ("proxy-redirect-from", "http://in.test/"),
        ("proxy-redirect-to", "https://out.test/"),
    ];
    location(rule, "http://in.test/x").has("location", "https://out.test/x");
    location(rule, "http://other.test/x").has("location", "http://other.test/x");
    location(&[], "http://in.test/x").has("location", "http://in.test/x");
}

#[test]
fn strict_transport_security_is_sent_over_https_only() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    for (settings, value) in [
        (&[][..], Some("max-age=31536000; includeSubDomains")),
        (
            &[("hsts-preload", "true")],
            Some("max-age=31536000; includeSubDomains; preload"),
        ),
        (
            &[("hsts-max-age", "60"), ("hsts-include-subdomains", "false")],
            Some("max-age=60"),
        ),
        (&[("hsts", "false")], None),
    ] {
        let program = tls_scenario(web.address(), &issued, &[("ssl-redirect", "false")])
            .settings(settings)
            .start(BINARY);
        let response = Request::get("/")
            .over(&Tls::name("a.test"))
            .send(program.https());
        response.is(200).has("strict-transport-security", value);
        let response = Request::get("/").send(program.http());
        response.is(200).has("strict-transport-security", None);
    }
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let response = with(&["Strict-Transport-Security: max-age=1"])
        .over(&Tls::name("a.test"))
        .send(program.https());
    let values = response.all("strict-transport-security");
    assert_eq!(
        values,
        ["max-age=31536000; includeSubDomains"],
        "the upstream's field is replaced"
    );
}

#[test]
fn the_server_field_is_sent_only_when_enabled() {
    let (program, _web) = serve(&[]);
    with(&["Server: upstream/1"])
        .send(program.http())
        .has("server", None);
    Request::get("/")
        .host("other.test")
        .send(program.http())
        .is(404)
        .has("server", None);
    let settings = &[
        ("server-tokens", "true"),
        ("allow-backend-server-header", "true"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    with(&["Server: upstream/1"])
        .send(program.http())
        .has("server", "upstream/1");
}

#[test]
fn trailers_of_a_response_pass() {
    let upstream = Scripted::responding(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let request = Request::get("/")
        .field("TE", "trailers")
        .field("Connection", "TE");
    let response = request.send(program.http()).is(200);
    assert_eq!(response.text(), "ok");
    assert!(response.complete);
}

#[test]
fn interim_responses_of_the_upstream_are_accepted() {
    let upstream = Scripted::responding(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let program = Scenario::new()
        .service("web", &[upstream.address()])
        .ingress(Ingress::new("web").path("/", "web"))
        .start(BINARY);
    assert_eq!(Request::get("/").send(program.http()).is(200).text(), "ok");
}
