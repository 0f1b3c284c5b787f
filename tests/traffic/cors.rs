//! Cross-origin requests.

use headgate_testkit::{Program, Request, Response};

use super::setup::serve;

fn preflight(program: &Program, origin: &str) -> Response {
    Request::new("OPTIONS", "/")
        .field("Origin", origin)
        .field("Access-Control-Request-Method", "GET")
        .send(program.http())
}

#[test]
fn cors_allows_every_origin_by_default() {
    let (program, web) = serve(&[("enable-cors", "true")]);
    let response = preflight(&program, "http://b.test").is(204);
    response
        .has("access-control-allow-origin", "*")
        .has("access-control-allow-credentials", "true")
        .has("access-control-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS")
        .has(
            "access-control-allow-headers",
            "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization",
        )
        .has("access-control-max-age", "1728000")
        .has("access-control-expose-headers", None)
        // RFC 9110 8.6 forbids the `Content-Length: 0` that nginx adds.
        .has("content-type", None);
    assert_eq!(web.requests(), 0, "the proxy responds to preflights");
    Request::get("/")
        .send(program.http())
        .is(200)
        .has("access-control-allow-origin", "*");
}

#[test]
fn cors_allows_only_listed_origins() {
    let (program, web) = serve(&[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://b.test, http://*.c.test:8080"),
        ("cors-allow-methods", "GET"),
        ("cors-allow-headers", "X-One"),
        ("cors-expose-headers", "X-Two"),
        ("cors-allow-credentials", "false"),
        ("cors-max-age", "60"),
    ]);
    for origin in ["https://b.test", "HTTPS://B.test", "http://x.c.test:8080"] {
        let response = preflight(&program, origin).is(204);
        response
            .has("access-control-allow-origin", origin)
            .has("access-control-allow-methods", "GET")
            .has("access-control-allow-headers", "X-One")
            .has("access-control-expose-headers", "X-Two")
            .has("access-control-allow-credentials", None)
            .has("access-control-max-age", "60");
    }
    assert_eq!(web.requests(), 0);
    for origin in [
        "http://b.test",
        "https://b.test:8443",
        "https://evilhttps://b.test",
        "https://xb.test",
        "http://x.y.c.test:8080",
        "http://c.test:8080",
        "http://x.c.test",
        "null",
    ] {
        let response = preflight(&program, origin).is(200);
        response.has("access-control-allow-origin", None).echo();
    }
}

#[test]
fn allow_origin_of_the_upstream_is_replaced_on_every_status() {
    let (program, _web) = serve(&[
        ("enable-cors", "true"),
        ("cors-allow-origin", "https://b.test"),
    ]);
    let response = Request::get("/")
        .field("Origin", "https://b.test")
        .field("X-Echo-Status", "404")
        .field("X-Echo-Field", "Access-Control-Allow-Origin: *")
        .send(program.http())
        .is(404);
    assert_eq!(
        response.all("access-control-allow-origin"),
        ["https://b.test"]
    );
    Request::get("/")
        .send(program.http())
        .is(200)
        .has("access-control-allow-origin", None);
}

#[test]
fn the_response_to_a_preflight_precedes_redirects_and_address_lists() {
    let (program, _web) = serve(&[
        ("enable-cors", "true"),
        ("force-ssl-redirect", "true"),
        ("allowlist-source-range", "10.0.0.0/8"),
        ("permanent-redirect", "http://x.test"),
    ]);
    preflight(&program, "http://b.test").is(204);
}

#[test]
fn without_cors_fields_of_the_upstream_pass() {
    let (program, _web) = serve(&[]);
    let request = Request::new("OPTIONS", "/")
        .field("Origin", "http://b.test")
        .field(
            "X-Echo-Field",
            "Access-Control-Allow-Origin: http://upstream.test",
        );
    let response = request.send(program.http()).is(200);
    response.has("access-control-allow-origin", "http://upstream.test");
}
