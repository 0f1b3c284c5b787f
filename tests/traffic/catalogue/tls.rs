//! TLS: which host a connection is for, and what is trusted before it is established.

use std::io::Read as _;

use headgate_testkit::manifest::{Ingress, NAMESPACE};
use headgate_testkit::{Connection, Echo, Program, Request, Scenario, Scripted, Tls, wait};

use super::super::pki::{Pki, secret};
use super::super::setup::BINARY;

/// The TLS record of type handshake, in as many records as there are bytes in it.
fn in_records(record: &[u8], size: usize) -> Vec<u8> {
    let message = &record[5..];
    message
        .chunks(size)
        .flat_map(|part| {
            let [high, low] = u16::try_from(part.len()).unwrap().to_be_bytes();
            [&[0x16, 3, 1, high, low], part].concat()
        })
        .collect()
}

/// However a ClientHello is spelled and cut, it names its host.
#[test]
fn x1_names_of_servers() {
    let hello = Tls::name("app.test").hello();
    let at = hello
        .windows(8)
        .position(|text| text == b"app.test")
        .unwrap();
    let mut capital = hello.clone();
    capital[at..at + 8].copy_from_slice(b"APP.Test");
    let web = Scripted::start(|connection| {
        // The first byte of a record of type handshake.
        let mut first = [0; 1];
        if connection.read(&mut first).is_ok() {
            connection.record(&format!("{first:02x?}"));
            connection.send(b"backend");
        }
    });
    let other = Echo::start("other");
    let program = Scenario::new()
        .service("web", &[web.address()])
        .service("other", &[other.address()])
        .ingress(
            Ingress::new("web")
                .annotation("ssl-passthrough", "true")
                .host("app.test")
                .path("/", "web"),
        )
        .ingress(Ingress::new("other").host("").path("/", "other"))
        .argument("--enable-ssl-passthrough")
        .start(BINARY);
    for (what, bytes) in [
        ("whole", hello.clone()),
        ("other letters", capital.clone()),
        ("in two records", in_records(&hello, hello.len() / 2)),
        ("a byte in a record", in_records(&hello, 1)),
        ("both", in_records(&capital, 7)),
    ] {
        let mut connection = Connection::open(program.https());
        connection.send(bytes);
        assert_eq!(connection.exactly(7), b"backend", "{what}");
    }
}

/// A host that requires certificates is served to no client without one, whatever name the connection is for.
#[test]
fn x1_and_x3_hosts_that_require_certificates() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    pki.authority("ca");
    let protected = |name: &str, host: &str| {
        Ingress::new(name)
            .annotation("auth-tls-secret", &format!("{NAMESPACE}/ca"))
            .host(host)
            .path("/", "web")
    };
    let program = Scenario::new()
        .service("web", &[web.address()])
        .object(secret("ca", &[("ca.crt", &pki.read("ca.crt"))]))
        .ingress(protected("one", "mtls.test"))
        .ingress(protected("many", "*.mtls.test"))
        .ingress(Ingress::new("open").host("open.test").path("/", "web"))
        .start(BINARY);
    let get = |tls: Tls, host: &str| {
        Request::get("/")
            .host(host)
            .over(&tls)
            .send(program.https())
            .status
    };
    for host in [
        "mtls.test",
        "MTLS.test",
        "mtls.test.",
        "x.mtls.test",
        "X.MTLS.TEST",
    ] {
        for (name, status) in [
            ("mtls.test", 400),
            ("MTLS.Test", 400),
            ("x.mtls.test", 400),
            ("open.test", 421),
            ("unknown.test", 400),
        ] {
            let got = get(Tls::name(name), host);
            assert!(got == status || got == 421, "{name} {host}: {got}");
        }
        assert_eq!(get(Tls::nameless(), host), 400, "{host}");
    }
    assert_eq!(web.requests(), 0);
    assert_eq!(get(Tls::name("open.test"), "open.test"), 200);
}

/// An upstream for TLS that speaks first, without TLS: neither are its bytes a response nor does it get the request.
#[test]
fn x6_upstreams_that_speak_before_the_handshake() {
    let upstream = Scripted::start(|connection| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
        connection.request();
    });
    let program =
        Scenario::simple(upstream.address(), &[("backend-protocol", "HTTPS")]).start(BINARY);
    let response = Request::get("/")
        .field("Authorization", "secret")
        .send(program.http())
        .is(502);
    assert!(!response.text().contains("evil"), "{response:?}");
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

/// No session offers early data.
#[test]
fn x8_early_data() {
    let (web, pki) = (Echo::start("web"), Pki::new());
    let program = Scenario::simple(web.address(), &[])
        .settings(&[("ssl-session-tickets", "true")])
        .start(BINARY);
    let text = super::super::clients::s_client(&program, &pki, "a.test", "-tls1_3 -msg");
    assert!(text.contains("New, TLSv1.3"), "{text}");
    assert!(text.contains("Max Early Data: 0"), "{text}");
}

/// Connections that are at the start of a handshake, or before it, keep no other out: there are far more of them than the
/// process may have.
#[test]
fn x9_half_open_handshakes() {
    let web = Echo::start("web");
    let program: Program = Scenario::simple(web.address(), &[])
        .settings(&[("max-worker-connections", "200")])
        .start(BINARY);
    let hello = Tls::name("a.test").hello();
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap();
    let number = usize::try_from(files / 4).unwrap().min(5000);
    assert!(number > 500, "the test needs 2000 files");
    let _open: Vec<Connection> = (0..number)
        .map(|number| {
            // Another client than that of the requests: one has but a share of the connections.
            let mut connection = Connection::open_from([127, 0, 0, 2].into(), program.https());
            connection.send(&hello[..number % hello.len()]);
            connection
        })
        .collect();
    for _ in 0..5 {
        let request = Request::get("/").over(&Tls::name("a.test"));
        request.send(program.https()).is(200);
    }
    let displaced = || {
        let labels = [r#"limit="handshakes""#];
        (program.metric("headgate_requests_refused_total", &labels) > 300.0).then_some(())
    };
    wait::until("closed handshakes", displaced);
}
