//! Header fields that upstreams receive when no proxy in front is trusted.

use headgate_testkit::manifest::{self, Ingress};
use headgate_testkit::{Authority, Connection, Echo, Request, Scenario, Scripted, Tls};

use super::setup::{BINARY, serve, serve_with, tls_scenario};

#[test]
fn forwarded_fields_are_sent_by_default() {
    let (program, _web) = serve(&[]);
    let port = program.http().port().to_string();
    let echo = Request::get("/x")
        .host("a.test:8080")
        .field("X-Forwarded-For", "6.6.6.6")
        .field("X-Forwarded-Host", "evil.test")
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Port", "666")
        .field("X-Forwarded-Scheme", "https")
        .field("X-Scheme", "https")
        .field("X-Real-IP", "6.6.6.6")
        .field("X-Original-URI", "/evil")
        .send(program.http())
        .echo();
    echo.has("host", "a.test:8080")
        .has("x-real-ip", "127.0.0.1")
        .has("x-forwarded-for", "127.0.0.1")
        .has("x-forwarded-host", "a.test:8080")
        .has("x-forwarded-port", &*port)
        .has("x-forwarded-proto", "http")
        .has("x-forwarded-scheme", "http")
        .has("x-scheme", "http")
        .has("x-original-forwarded-for", "6.6.6.6")
        .has("x-original-forwarded-host", "evil.test");
}

#[test]
fn https_is_reported_with_port_443() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let echo = Request::get("/")
        .over(&Tls::name("a.test"))
        .send(program.https())
        .echo();
    echo.has("x-forwarded-port", "443")
        .has("x-forwarded-proto", "https")
        .has("x-forwarded-scheme", "https")
        .has("x-scheme", "https");
}

#[test]
fn request_id_is_generated_or_kept() {
    let (program, _web) = serve(&[]);
    let first = Request::get("/").send(program.http()).echo();
    let id = first.field("x-request-id").unwrap_or_default().to_owned();
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id:?}"
    );
    let other = Request::get("/").send(program.http()).echo();
    assert_ne!(other.field("x-request-id"), Some(&*id), "ids differ");
    Request::get("/")
        .field("X-Request-ID", "client")
        .send(program.http())
        .has("x-request-id", None)
        .echo()
        .has("x-request-id", "client");
}

#[test]
fn request_id_generation_can_be_switched_off() {
    let (program, _web) = serve_with(&[("generate-request-id", "false")], &[]);
    Request::get("/")
        .send(program.http())
        .echo()
        .has("x-request-id", None);
    let request = Request::get("/").field("X-Request-ID", "client");
    request
        .send(program.http())
        .echo()
        .has("x-request-id", "client");
}

#[test]
fn original_uri_is_sent_when_configured() {
    let (program, _web) = serve_with(
        &[("proxy-add-original-uri-header", "true")],
        &[("rewrite-target", "/new")],
    );
    let request = Request::get("/a%20b?x=1").field("X-Original-URI", "/evil");
    request
        .send(program.http())
        .echo()
        .has("x-original-uri", "/a%20b?x=1");
}

#[test]
fn upstream_vhost_changes_only_the_host() {
    let (program, _web) = serve(&[("upstream-vhost", "inner.test")]);
    let echo = Request::get("/").send(program.http()).echo();
    echo.has("host", "inner.test")
        .has("x-forwarded-host", "a.test");
}

#[test]
fn hop_by_hop_fields_are_not_forwarded() {
    let (program, _web) = serve(&[]);
    let echo = Request::get("/")
        .field("Connection", "X-Private, keep-alive")
        .field("X-Private", "1")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Connection", "keep-alive")
        .field("TE", "gzip")
        .field("Proxy", "http://evil.test")
        .field("X-Kept", "1")
        .send(program.http())
        .echo();
    for name in ["x-private", "keep-alive", "proxy-connection", "te", "proxy"] {
        echo.has(name, None);
    }
    echo.has("x-kept", "1");
}

#[test]
fn connection_cannot_remove_fields_that_the_proxy_sets() {
    let (program, _web) = serve(&[]);
    let echo = Request::get("/")
        .field(
            "Connection",
            "X-Forwarded-For, X-Real-IP, Host, X-Forwarded-Proto, X-Request-ID",
        )
        .send(program.http())
        .echo();
    echo.has("x-forwarded-for", "127.0.0.1")
        .has("x-real-ip", "127.0.0.1")
        .has("x-forwarded-proto", "http")
        .has("host", "a.test");
}

#[test]
fn field_names_with_underscores_are_dropped_unless_enabled() {
    let request = Request::get("/")
        .field("X_Forwarded_For", "6.6.6.6")
        .field("My_Field", "1");
    let (program, _web) = serve(&[]);
    let echo = request.send(program.http()).echo();
    echo.has("x_forwarded_for", None).has("my_field", None);
    let (program, _web) = serve_with(&[("enable-underscores-in-headers", "true")], &[]);
    request.send(program.http()).echo().has("my_field", "1");
}

#[test]
fn client_certificate_fields_cannot_be_forged() {
    let (program, _web) = serve(&[]);
    let echo = Request::get("/")
        .field("ssl-client-verify", "SUCCESS")
        .field("ssl-client-subject-dn", "CN=admin")
        .field("ssl-client-issuer-dn", "CN=ca")
        .field("ssl-client-cert", "x")
        .send(program.http())
        .echo();
    for name in [
        "ssl-client-verify",
        "ssl-client-subject-dn",
        "ssl-client-issuer-dn",
        "ssl-client-cert",
    ] {
        echo.has(name, None);
    }
}

#[test]
fn repeated_and_unknown_fields_pass_unchanged() {
    let (program, _web) = serve(&[]);
    let echo = Request::get("/")
        .field("Accept", "a/b")
        .field("X-Many", "1")
        .field("X-Many", "2")
        .field("Authorization", "Bearer t")
        .field("Cookie", "a=1; b=2")
        .send(program.http())
        .echo();
    assert_eq!(echo.all("x-many"), ["1", "2"]);
    echo.has("accept", "a/b")
        .has("authorization", "Bearer t")
        .has("cookie", "a=1; b=2");
}

#[test]
fn proxy_set_headers_adds_fields() {
    let web = Echo::start("web");
    let program = Scenario::simple(web.address(), &[])
        .settings(&[("proxy-set-headers", "ingress-nginx/to-upstream")])
        .object(manifest::config_map(
            "ingress-nginx",
            "to-upstream",
            &[("X-Fixed", "yes"), ("X-From", "$host via $request_method")],
        ))
        .start(BINARY);
    let echo = Request::get("/")
        .field("X-Fixed", "client")
        .send(program.http())
        .echo();
    echo.has("x-fixed", "yes").has("x-from", "a.test via GET");
}

#[test]
fn forwarded_prefix_is_sent_only_with_a_rewrite() {
    let web = Echo::start("web");
    let prefix = ("x-forwarded-prefix", "/outer");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(
            Ingress::new("rewritten")
                .annotations(&[prefix, ("rewrite-target", "/$1")])
                .host("rewritten.test")
                .pattern("/outer/(.*)", "web"),
        )
        .ingress(
            Ingress::new("plain")
                .annotations(&[prefix])
                .host("plain.test")
                .path("/", "web"),
        )
        .start(BINARY);
    let get = |host: &str| {
        let request = Request::get("/outer/x")
            .host(host)
            .field("X-Forwarded-Prefix", "/evil");
        request.send(program.http()).echo()
    };
    get("rewritten.test").has("x-forwarded-prefix", "/outer");
    get("plain.test").has("x-forwarded-prefix", None);
}

#[test]
fn the_upstream_receives_one_well_formed_head() {
    let upstream = Scripted::responding("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let program = Scenario::simple(upstream.address(), &[]).start(BINARY);
    let mut connection = Connection::open(program.http());
    connection.exchange(&Request::post("/x?y", "hello")).is(200);
    let received = upstream.wait_for(1).remove(0);
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /x?y HTTP/1.1"), "{received}");
    let names: Vec<String> = lines
        .map(|line| {
            line.split(':')
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
        })
        .collect();
    let count = |name: &str| names.iter().filter(|other| *other == name).count();
    assert_eq!(
        (count("host"), count("content-length")),
        (1, 1),
        "{received}"
    );
    assert_eq!(count("transfer-encoding"), 0, "{received}");
    assert_eq!(
        count("connection"),
        0,
        "keep-alive is the default: {received}"
    );
    assert_eq!(body, "hello");
}

#[test]
fn connection_to_the_upstream_can_be_set() {
    let (program, _web) = serve(&[("connection-proxy-header", "close")]);
    let echo = Request::get("/").send(program.http()).echo();
    echo.has("connection", "close");
}
