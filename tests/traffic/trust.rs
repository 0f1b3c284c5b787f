//! Address, scheme and host of the client as reported by a proxy in front.

use std::net::SocketAddr;

use headgate_testkit::{Authority, Connection, Echo, Request, Tls, proxy_protocol};

use super::setup::{BINARY, serve_with, tls_scenario};

const LIST: &str = "1.1.1.1, 2.2.2.2, 127.0.0.9";

fn forwarded() -> Request {
    Request::get("/")
        .field("X-Forwarded-For", LIST)
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Port", "8443")
        .field("X-Forwarded-Host", "outer.test, a.test")
}

#[test]
fn use_forwarded_headers_trusts_scheme_host_port_and_address() {
    let (program, _web) = serve_with(&[("use-forwarded-headers", "true")], &[]);
    // The default trusts all of IPv4, so the leftmost entry is the client.
    let echo = forwarded().send(program.http()).echo();
    echo.has("x-real-ip", "1.1.1.1")
        .has("x-forwarded-for", "1.1.1.1")
        .has("x-forwarded-proto", "https")
        .has("x-forwarded-scheme", "https")
        .has("x-scheme", "https")
        .has("x-forwarded-port", "8443")
        .has("x-forwarded-host", "outer.test")
        .has("host", "outer.test");
    // `X-Forwarded-Host` does not choose the route.
    forwarded().host("inner.test").send(program.http()).is(404);
}

#[test]
fn only_trusted_addresses_are_skipped() {
    let settings = &[
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "127.0.0.0/8"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    forwarded()
        .send(program.http())
        .echo()
        .has("x-real-ip", "2.2.2.2");
    let settings = &[
        ("use-forwarded-headers", "true"),
        ("proxy-real-ip-cidr", "10.0.0.0/8"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    forwarded()
        .send(program.http())
        .echo()
        .has("x-real-ip", "127.0.0.1");
}

#[test]
fn compute_full_forwarded_for_appends_the_peer() {
    let settings = &[
        ("use-forwarded-headers", "true"),
        ("compute-full-forwarded-for", "true"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    let echo = forwarded().send(program.http()).echo();
    echo.has("x-forwarded-for", &*format!("{LIST}, 127.0.0.1"))
        .has("x-real-ip", "1.1.1.1");
    Request::get("/")
        .send(program.http())
        .echo()
        .has("x-forwarded-for", "127.0.0.1");
}

#[test]
fn enable_real_ip_changes_only_the_client_address() {
    let (program, _web) = serve_with(&[("enable-real-ip", "true")], &[]);
    let echo = forwarded().send(program.http()).echo();
    echo.has("x-real-ip", "1.1.1.1")
        .has("x-forwarded-for", "1.1.1.1")
        .has("x-forwarded-proto", "http")
        .has("x-forwarded-host", "a.test")
        .has("host", "a.test");
}

#[test]
fn forwarded_for_header_names_another_field() {
    let settings = &[
        ("enable-real-ip", "true"),
        ("forwarded-for-header", "CF-Connecting-IP"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    let echo = Request::get("/")
        .field("CF-Connecting-IP", "3.3.3.3")
        .field("X-Forwarded-For", "6.6.6.6")
        .send(program.http())
        .echo();
    echo.has("x-real-ip", "3.3.3.3")
        .has("x-forwarded-for", "3.3.3.3");
}

#[test]
fn invalid_entries_in_forwarded_for_are_never_an_address() {
    let (program, _web) = serve_with(&[("enable-real-ip", "true")], &[]);
    for (list, client) in [
        ("nonsense", "127.0.0.1"),
        ("1.1.1.1, nonsense", "127.0.0.1"),
        ("nonsense, 1.1.1.1", "1.1.1.1"),
    ] {
        let request = Request::get("/").field("X-Forwarded-For", list);
        request.send(program.http()).echo().has("x-real-ip", client);
    }
}

fn source() -> SocketAddr {
    "9.8.7.6:4321".parse().unwrap()
}

fn through(header: &[u8], address: SocketAddr, request: &Request) -> headgate_testkit::Response {
    let mut connection = Connection::open(address);
    connection.send(header).send(request.bytes()).response()
}

#[test]
fn proxy_protocol_sets_the_client_address() {
    let (program, _web) = serve_with(&[("use-proxy-protocol", "true")], &[]);
    let (plain, secure) = (
        "5.5.5.5:80".parse().unwrap(),
        "5.5.5.5:443".parse().unwrap(),
    );
    for (header, port, scheme) in [
        (proxy_protocol::v1(source(), plain), "80", "http"),
        (proxy_protocol::v2(source(), plain), "80", "http"),
        (proxy_protocol::v2(source(), secure), "443", "https"),
    ] {
        let request = Request::get("/").field("X-Forwarded-For", "6.6.6.6");
        let echo = through(&header, program.http(), &request).echo();
        echo.has("x-real-ip", "9.8.7.6")
            .has("x-forwarded-for", "9.8.7.6")
            .has("x-forwarded-port", port)
            .has("x-forwarded-proto", scheme);
    }
    let local = through(
        &proxy_protocol::v2_local(),
        program.http(),
        &Request::get("/"),
    );
    local.echo().has("x-real-ip", "127.0.0.1");
}

#[test]
fn proxy_protocol_is_required_when_enabled() {
    let (program, web) = serve_with(&[("use-proxy-protocol", "true")], &[]);
    for start in [
        "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "PROXY nonsense\r\n",
    ] {
        let mut connection = Connection::open(program.http());
        connection.send(start);
        assert!(
            connection.is_closed(),
            "{start:?} must be refused without a response"
        );
    }
    assert_eq!(web.requests(), 0);
}

#[test]
fn proxy_protocol_from_untrusted_peers_is_ignored() {
    let settings = &[
        ("use-proxy-protocol", "true"),
        ("proxy-real-ip-cidr", "10.0.0.0/8"),
    ];
    let (program, _web) = serve_with(settings, &[]);
    let header = proxy_protocol::v2(source(), "5.5.5.5:80".parse().unwrap());
    let echo = through(&header, program.http(), &Request::get("/")).echo();
    echo.has("x-real-ip", "127.0.0.1");
}

#[test]
fn proxy_protocol_before_tls() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[])
        .settings(&[("use-proxy-protocol", "true")])
        .start(BINARY);
    let header = proxy_protocol::v1(source(), "5.5.5.5:443".parse().unwrap());
    let mut connection =
        Connection::try_open_tls(program.https(), &Tls::name("a.test"), &header).unwrap();
    let echo = connection.exchange(&Request::get("/")).echo();
    echo.has("x-real-ip", "9.8.7.6")
        .has("x-forwarded-proto", "https");
}

#[test]
fn a_proxy_protocol_header_may_arrive_in_pieces() {
    let (program, _web) = serve_with(&[("use-proxy-protocol", "true")], &[]);
    let mut bytes = proxy_protocol::v1(source(), "5.5.5.5:80".parse().unwrap());
    bytes.extend(Request::get("/").bytes());
    let mut connection = Connection::open(program.http());
    for piece in bytes.chunks(3) {
        connection.send(piece);
    }
    connection.response().echo().has("x-real-ip", "9.8.7.6");
}
