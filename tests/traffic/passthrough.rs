//! TLS that is passed through.

use std::net::SocketAddr;

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{Connection, Echo, Request, Scenario, Scripted, Tls, proxy_protocol, wait};

use super::setup::{BINARY, closed_port};

/// What the backend sends once it has read the client's first message.
const REPLY: &[u8] = b"\x15\x03\x03\x00\x02";

pub(super) fn tls() -> Tls {
    Tls::name("a.test")
}

/// A backend that reads a ClientHello for `a.test`, records it as text, and replies.
pub(super) fn backend(length: usize) -> Scripted {
    Scripted::start(move |connection| {
        if let Ok(hello) = connection.exactly(length) {
            connection.record(&format!("{hello:02x?}"));
            connection.send(REPLY);
            connection.wait_for_close();
        }
    })
}

pub(super) fn scenario(address: SocketAddr, plain: &Echo) -> Scenario {
    Scenario::new()
        .service("web", &[address])
        .service("plain", &[plain.address()])
        .ingress(
            Ingress::new("web")
                .annotation("ssl-passthrough", "true")
                .path("/", "web"),
        )
        .ingress(Ingress::new("plain").host("b.test").path("/", "plain"))
        .argument("--enable-ssl-passthrough")
}

#[test]
fn the_backend_gets_what_the_client_sends() {
    let hello = tls().hello();
    let (web, plain) = (backend(hello.len()), Echo::start("plain"));
    let program = scenario(web.address(), &plain).start(BINARY);
    for pieces in [1, 5, 100, hello.len()] {
        let mut connection = Connection::open(program.https());
        for piece in hello.chunks(pieces) {
            connection.send(piece);
        }
        assert_eq!(connection.exactly(REPLY.len()), REPLY, "{pieces}");
    }
    let expected = format!("{hello:02x?}");
    assert!(web.wait_for(4).iter().all(|received| *received == expected));
    // Other names, and none, are terminated on the same port.
    let request = Request::get("/").host("b.test");
    for tls in [Tls::name("b.test"), Tls::nameless()] {
        request.clone().over(&tls).send(program.https()).is(200);
    }
    // It is not a request: neither the log nor the metrics of requests have it.
    program.until_access_log("of the last request", |line| {
        line.contains("\"GET / HTTP/1.1\" 200")
    });
    let counted = program.metric("nginx_ingress_controller_requests", &["ingress=\"plain\""]);
    assert!((counted - 2.0).abs() < 0.1, "{counted}");
    assert!(!program.metrics().contains("ingress=\"web\""));
}

#[test]
fn a_proxy_header_precedes_it_and_is_not_passed_on() {
    let hello = tls().hello();
    let (web, plain) = (backend(hello.len()), Echo::start("plain"));
    let program = scenario(web.address(), &plain)
        .settings(&[("use-proxy-protocol", "true")])
        .start(BINARY);
    let (source, own) = (
        "9.8.7.6:4321".parse().unwrap(),
        "5.5.5.5:443".parse().unwrap(),
    );
    for header in [
        proxy_protocol::v1(source, own),
        proxy_protocol::v2(source, own),
    ] {
        let mut connection = Connection::open(program.https());
        connection.send([header.as_slice(), &hello].concat());
        assert_eq!(connection.exactly(REPLY.len()), REPLY);
    }
    let expected = format!("{hello:02x?}");
    assert!(web.wait_for(2).iter().all(|received| *received == expected));
    assert!(Connection::open(program.https()).send(&hello).is_closed());
    assert_eq!(web.connections(), 2);
}

#[test]
fn what_is_no_client_hello_is_refused_as_everywhere() {
    let (web, plain) = (backend(1), Echo::start("plain"));
    let program = scenario(web.address(), &plain).start(BINARY);
    let page = Request::get("/").send(program.https()).is(400).text();
    assert!(
        page.contains("plain HTTP request was sent to HTTPS port"),
        "{page}"
    );
    let mut connection = Connection::open(program.https());
    let rest = connection
        .send(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
        .rest();
    assert_eq!(rest.unwrap().first(), Some(&0x15), "an alert");
    assert_eq!(web.connections(), 0);
}

#[test]
fn a_change_of_the_object_applies_to_new_connections() {
    let hello = tls().hello();
    let (web, plain) = (backend(hello.len()), Echo::start("plain"));
    let on = scenario(web.address(), &plain);
    let off = Scenario::new()
        .service("plain", &[plain.address()])
        .ingress(Ingress::new("web").path("/", "plain"))
        .argument("--enable-ssl-passthrough");
    let program = on.start(BINARY);
    let mut open = Connection::open(program.https());
    open.send(&hello);
    assert_eq!(open.exactly(REPLY.len()), REPLY);
    off.replace(&program);
    let request = Request::get("/").over(&tls());
    request.send(program.https()).is(200);
    assert_eq!(web.connections(), 1, "and it stays open");
    drop(open);
    on.replace(&program);
    Connection::open(program.https()).send(&hello);
    wait::until("a second connection", || {
        (web.connections() == 2).then_some(())
    });
}

#[test]
fn a_backend_that_is_gone_closes_the_connection() {
    let hello = tls().hello();
    let plain = Echo::start("plain");
    let program = scenario(closed_port(), &plain).start(BINARY);
    assert!(Connection::open(program.https()).send(&hello).is_closed());
}
