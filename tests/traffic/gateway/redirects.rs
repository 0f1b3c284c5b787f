//! Redirects.

use headgate_testkit::{Authority, Request, Tls};
use serde_json::{Value, json};

use super::setup::{Cluster, PORT, Running, http, https, parse, prefix};

fn redirect(path: &str, spec: Value) -> Value {
    let filter = json!({ "type": "RequestRedirect", "requestRedirect": spec });
    json!({ "matches": [prefix(path)], "filters": [filter] })
}

/// `Location` without its port where that is the one of the listener, which is not one of the suite.
#[track_caller]
fn check(running: &Running, cases: &[(&str, u16, &str)]) {
    for (request, status, location) in cases {
        let response = running.send(request);
        let location = location.replace("{port}", &PORT.to_string());
        response.is(*status).has("location", &*location);
    }
}

fn start(rules: Value) -> Running {
    Cluster::simple(&[]).route("r", rules).start()
}

#[test]
fn http_route_redirect_host_and_status() {
    let running = start(json!([
        redirect("/hostname-redirect", json!({ "hostname": "example.org" })),
        redirect(
            "/host-and-status",
            json!({ "hostname": "example.org", "statusCode": 301 })
        ),
    ]));
    check(
        &running,
        &[
            (
                "/hostname-redirect",
                302,
                "http://example.org:{port}/hostname-redirect",
            ),
            (
                "/host-and-status?q=1",
                301,
                "http://example.org:{port}/host-and-status?q=1",
            ),
        ],
    );
}

#[test]
fn http_route_redirect_path() {
    let replace =
        |value: &str| json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": value });
    let full = |value: &str| json!({ "type": "ReplaceFullPath", "replaceFullPath": value });
    let running = start(json!([
        redirect(
            "/original-prefix",
            json!({ "path": replace("/replacement-prefix") })
        ),
        redirect("/full", json!({ "path": full("/full-path-replacement/") })),
        redirect(
            "/path-and-host",
            json!({ "hostname": "example.org", "path": replace("/replacement-prefix") })
        ),
        redirect(
            "/path-and-status",
            json!({ "statusCode": 301, "path": replace("/replacement-prefix") })
        ),
        redirect(
            "/full-path-and-host",
            json!({ "hostname": "example.org", "path": full("/replacement-full") })
        ),
        redirect(
            "/full-path-and-status",
            json!({ "statusCode": 301, "path": full("/replacement-full") })
        ),
        redirect("/strip", json!({ "path": replace("/") })),
    ]));
    check(
        &running,
        &[
            (
                "/original-prefix/lemon",
                302,
                "http://a.test:{port}/replacement-prefix/lemon",
            ),
            (
                "/full/path/original",
                302,
                "http://a.test:{port}/full-path-replacement/",
            ),
            (
                "/path-and-host/lemon",
                302,
                "http://example.org:{port}/replacement-prefix/lemon",
            ),
            (
                "/path-and-status/lemon",
                301,
                "http://a.test:{port}/replacement-prefix/lemon",
            ),
            (
                "/full-path-and-host/lemon",
                302,
                "http://example.org:{port}/replacement-full",
            ),
            (
                "/full-path-and-status/lemon",
                301,
                "http://a.test:{port}/replacement-full",
            ),
            ("/strip/a", 302, "http://a.test:{port}/a"),
            ("/strip", 302, "http://a.test:{port}/"),
        ],
    );
}

#[test]
fn http_route_redirect_port() {
    let running = start(json!([
        redirect("/port", json!({ "port": 8083 })),
        redirect(
            "/port-and-host",
            json!({ "port": 8083, "hostname": "example.org" })
        ),
        redirect(
            "/port-and-status",
            json!({ "port": 8083, "statusCode": 301 })
        ),
        redirect(
            "/port-and-host-and-status",
            json!({ "port": 8083, "hostname": "example.org", "statusCode": 302 })
        ),
    ]));
    check(
        &running,
        &[
            ("/port", 302, "http://a.test:8083/port"),
            ("/port host=a.test:1234", 302, "http://a.test:8083/port"),
            (
                "/port-and-host",
                302,
                "http://example.org:8083/port-and-host",
            ),
            (
                "/port-and-status",
                301,
                "http://a.test:8083/port-and-status",
            ),
            (
                "/port-and-host-and-status",
                302,
                "http://example.org:8083/port-and-host-and-status",
            ),
        ],
    );
}

#[test]
fn http_route_redirect_scheme() {
    let running = start(json!([
        redirect("/scheme", json!({ "scheme": "https" })),
        redirect(
            "/scheme-and-host",
            json!({ "scheme": "https", "hostname": "example.org" })
        ),
        redirect(
            "/scheme-and-status",
            json!({ "scheme": "https", "statusCode": 301 })
        ),
        redirect(
            "/scheme-and-host-and-status",
            json!({ "scheme": "https", "hostname": "example.org", "statusCode": 302 })
        ),
    ]));
    check(
        &running,
        &[
            ("/scheme", 302, "https://a.test/scheme"),
            (
                "/scheme-and-host",
                302,
                "https://example.org/scheme-and-host",
            ),
            (
                "/scheme-and-status",
                301,
                "https://a.test/scheme-and-status",
            ),
            (
                "/scheme-and-host-and-status",
                302,
                "https://example.org/scheme-and-host-and-status",
            ),
        ],
    );
}

/// The table of gateway-api.md 3.7 for listeners whose ports are not those of their schemes; with ports 80 and 443 it is in
/// the unit tests of redirects.
#[test]
fn http_route_redirect_port_and_scheme() {
    let host = |mut spec: Value| {
        spec["hostname"] = json!("example.org");
        spec
    };
    let rules = json!([
        redirect("/scheme-nil-and-port-nil", host(json!({}))),
        redirect("/scheme-nil-and-port-80", host(json!({ "port": 80 }))),
        redirect("/scheme-nil-and-port-443", host(json!({ "port": 443 }))),
        redirect(
            "/scheme-https-and-port-nil",
            host(json!({ "scheme": "https" }))
        ),
        redirect(
            "/scheme-https-and-port-443",
            host(json!({ "scheme": "https", "port": 443 }))
        ),
        redirect(
            "/scheme-https-and-port-8443",
            host(json!({ "scheme": "https", "port": 8443 }))
        ),
        redirect(
            "/scheme-http-and-port-nil",
            host(json!({ "scheme": "http" }))
        ),
        redirect(
            "/scheme-http-and-port-80",
            host(json!({ "scheme": "http", "port": 80 }))
        ),
        redirect(
            "/scheme-http-and-port-8080",
            host(json!({ "scheme": "http", "port": 8080 }))
        ),
    ]);
    let issued = Authority::new().issue(&["a.test"]);
    let running = Cluster::new()
        .gateway(
            "gw",
            &[http("http", PORT, None), https("https", 8443, None)],
        )
        .secret("cert", &issued)
        .route("r", rules)
        .start();
    for (path, plain, secure) in [
        (
            "/scheme-nil-and-port-nil",
            "http://example.org:8080",
            "https://example.org:8443",
        ),
        (
            "/scheme-nil-and-port-80",
            "http://example.org",
            "https://example.org:80",
        ),
        (
            "/scheme-nil-and-port-443",
            "http://example.org:443",
            "https://example.org",
        ),
        (
            "/scheme-https-and-port-nil",
            "https://example.org",
            "https://example.org",
        ),
        (
            "/scheme-https-and-port-443",
            "https://example.org",
            "https://example.org",
        ),
        (
            "/scheme-https-and-port-8443",
            "https://example.org:8443",
            "https://example.org:8443",
        ),
        (
            "/scheme-http-and-port-nil",
            "http://example.org",
            "http://example.org",
        ),
        (
            "/scheme-http-and-port-80",
            "http://example.org",
            "http://example.org",
        ),
        (
            "/scheme-http-and-port-8080",
            "http://example.org:8080",
            "http://example.org:8080",
        ),
    ] {
        let plain = format!("{plain}{path}");
        running.send(path).is(302).has("location", &*plain);
        let request = Request::get(path).over(&Tls::name("a.test"));
        let response = request.send(running.at(8443)).is(302);
        response.has("location", &*format!("{secure}{path}"));
    }
}

#[track_caller]
fn check_status(status: u16) {
    let running = start(json!([redirect(
        "/redirect",
        json!({ "hostname": "example.org", "statusCode": status })
    )]));
    let location = format!("http://example.org:{PORT}/redirect");
    for method in ["GET", "POST"] {
        let request = parse(&format!("{method} /redirect"));
        request
            .send(running.at(PORT))
            .is(status)
            .has("location", &*location);
    }
}

#[test]
fn http_route_303_redirect() {
    check_status(303);
}

#[test]
fn http_route_307_redirect() {
    check_status(307);
}

#[test]
fn http_route_308_redirect() {
    check_status(308);
}
