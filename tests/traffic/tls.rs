//! TLS: selection of certificate and protocol.

use headgate_testkit::manifest::Ingress;
use headgate_testkit::{
    Authority, Connection, Echo, Issued, Program, Request, Scenario, Tls, wait,
};

use super::setup::{BINARY, tls_scenario};

/// Common name of the default certificate.
const DEFAULT: &[u8] = b"Kubernetes Ingress Controller Fake Certificate";

fn served_certificate(program: &Program, tls: &Tls) -> Vec<u8> {
    Connection::open_tls(program.https(), tls)
        .tls()
        .certificate
        .clone()
}

fn is_default(certificate: &[u8]) -> bool {
    certificate
        .windows(DEFAULT.len())
        .any(|window| window == DEFAULT)
}

fn host(name: &str, host: &str, secret: &str) -> Ingress {
    Ingress::new(name)
        .tls(&[host], secret)
        .host(host)
        .path("/", "web")
}

#[test]
fn the_certificate_is_chosen_by_server_name() {
    let web = Echo::start("web");
    let authority = Authority::new();
    let (exact, wild) = (
        authority.issue(&["x.a.test"]),
        authority.issue(&["*.a.test"]),
    );
    let program = Scenario::new()
        .service("web", &[web.address()])
        .secret("exact", &exact)
        .secret("wild", &wild)
        .ingress(host("exact", "x.a.test", "exact"))
        .ingress(host("wild", "*.a.test", "wild"))
        .ingress(Ingress::new("plain").host("plain.test").path("/", "web"))
        .start(BINARY);
    for (name, issued) in [
        ("x.a.test", &exact),
        ("X.A.test", &exact),
        ("y.a.test", &wild),
    ] {
        assert_eq!(
            served_certificate(&program, &Tls::name(name)),
            issued.der,
            "{name}"
        );
    }
    for tls in [
        Tls::name("a.test"),
        Tls::name("x.y.a.test"),
        Tls::name("plain.test"),
        Tls::name("unknown.test"),
        Tls::nameless(),
    ] {
        assert!(is_default(&served_certificate(&program, &tls)), "{tls:?}");
    }
    let request = Request::get("/")
        .host("plain.test")
        .over(&Tls::name("plain.test"));
    request.send(program.https()).is(200);
}

#[test]
fn a_host_without_certificate_uses_that_of_a_wildcard_host() {
    let web = Echo::start("web");
    let wild = Authority::new().issue(&["*.a.test"]);
    let program = Scenario::new()
        .service("web", &[web.address()])
        .secret("wild", &wild)
        .ingress(host("wild", "*.a.test", "wild"))
        .ingress(Ingress::new("plain").host("p.a.test").path("/", "web"))
        .start(BINARY);
    assert_eq!(
        served_certificate(&program, &Tls::name("p.a.test")),
        wild.der
    );
}

#[test]
fn the_default_certificate_can_be_set() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["default.test"]);
    let program = tls_scenario(web.address(), &issued, &[])
        .argument("--default-ssl-certificate=shop/cert")
        .start(BINARY);
    assert_eq!(
        served_certificate(&program, &Tls::name("unknown.test")),
        issued.der
    );
    assert_eq!(served_certificate(&program, &Tls::nameless()), issued.der);
}

#[test]
fn a_certificate_for_another_name_is_replaced_by_the_default() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["other.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    assert!(is_default(&served_certificate(
        &program,
        &Tls::name("a.test")
    )));
    Request::get("/").send(program.http()).is(308);
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(host("missing", "a.test", "missing"))
        .start(BINARY);
    assert!(is_default(&served_certificate(
        &program,
        &Tls::name("a.test")
    )));
    Request::get("/").send(program.http()).is(308);
}

#[test]
fn a_new_certificate_is_used_by_new_handshakes_only() {
    let web = Echo::start("web");
    let authority = Authority::new();
    let (first, second) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let scenario = |issued: &Issued| tls_scenario(web.address(), issued, &[]);
    let program = scenario(&first).start(BINARY);
    let tls = Tls::name("a.test");
    let mut old = Connection::open_tls(program.https(), &tls);
    assert_eq!(old.tls().certificate, first.der);
    scenario(&second).replace(&program);
    assert_eq!(served_certificate(&program, &tls), second.der);
    old.exchange(&Request::get("/")).is(200);
}

#[test]
fn a_broken_secret_keeps_the_last_certificate() {
    let web = Echo::start("web");
    let authority = Authority::new();
    let (good, other) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let program = tls_scenario(web.address(), &good, &[]).start(BINARY);
    let tls = Tls::name("a.test");
    for broken in [
        Issued {
            key: other.key.clone(),
            ..good.clone()
        },
        Issued {
            certificate: "nonsense".into(),
            ..good.clone()
        },
    ] {
        tls_scenario(web.address(), &broken, &[]).replace(&program);
        assert_eq!(
            served_certificate(&program, &tls),
            good.der,
            "the last valid one stays"
        );
        Request::get("/").over(&tls).send(program.https()).is(200);
        let findings = program.admin_get("/debug/findings").text();
        assert!(findings.contains("cert"), "{findings}");
    }
    tls_scenario(web.address(), &other, &[]).replace(&program);
    assert_eq!(
        served_certificate(&program, &tls),
        other.der,
        "a valid one replaces it"
    );
}

#[test]
fn a_deleted_secret_keeps_the_last_certificate() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    Scenario::new()
        .service("web", &[web.address()])
        .ingress(host("web", "a.test", "cert"))
        .replace(&program);
    assert_eq!(
        served_certificate(&program, &Tls::name("a.test")),
        issued.der
    );
}

#[test]
fn private_keys_are_never_exposed() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let secret = issued.key.lines().nth(1).unwrap();
    for path in ["/debug/table", "/debug/findings", "/metrics"] {
        assert!(
            !program.admin_get(path).text().contains(secret),
            "{path} exposes a key"
        );
    }
    assert!(
        !program.stderr().join("\n").contains(secret),
        "the log exposes a key"
    );
}

#[test]
fn alpn_selects_http_2_or_http_1() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let chosen = |program: &Program, offered: &[&str]| {
        let tls = Tls::name("a.test").alpn(offered);
        Connection::open_tls(program.https(), &tls)
            .tls()
            .alpn
            .clone()
    };
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    assert_eq!(chosen(&program, &["h2", "http/1.1"]).as_deref(), Some("h2"));
    assert_eq!(chosen(&program, &["http/1.1", "h2"]).as_deref(), Some("h2"));
    assert_eq!(chosen(&program, &["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&program, &[]), None);
    let program = tls_scenario(web.address(), &issued, &[])
        .settings(&[("use-http2", "false")])
        .start(BINARY);
    assert_eq!(
        chosen(&program, &["h2", "http/1.1"]).as_deref(),
        Some("http/1.1")
    );
}

#[test]
fn tls_versions_can_be_limited() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let (old, new) = (
        Tls::name("a.test").version(&rustls::version::TLS12),
        Tls::name("a.test").version(&rustls::version::TLS13),
    );
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    for tls in [&old, &new] {
        Request::get("/").over(tls).send(program.https()).is(200);
    }
    let program = tls_scenario(web.address(), &issued, &[])
        .settings(&[("ssl-protocols", "TLSv1.3")])
        .start(BINARY);
    Request::get("/").over(&new).send(program.https()).is(200);
    assert!(Connection::try_open_tls(program.https(), &old, &[]).is_err());
}

#[test]
fn ssl_reject_handshake_refuses_unknown_server_names() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[])
        .settings(&[("ssl-reject-handshake", "true")])
        .start(BINARY);
    Request::get("/")
        .over(&Tls::name("a.test"))
        .send(program.https())
        .is(200);
    for tls in [Tls::name("unknown.test"), Tls::nameless()] {
        let refused = Connection::try_open_tls(program.https(), &tls, &[]);
        assert!(refused.is_err(), "{tls:?} was served");
    }
}

#[test]
fn plain_http_on_the_https_port_is_400() {
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let program = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let mut connection = Connection::open(program.https());
    let page = connection.exchange(&Request::get("/")).is(400);
    assert!(
        page.text()
            .contains("plain HTTP request was sent to HTTPS port"),
        "{page:?}"
    );
    assert!(connection.is_closed());
    assert_eq!(web.requests(), 0);
}

#[test]
fn upstream_connections_can_use_tls() {
    // The program is its own upstream: it connects to one of its hosts over HTTPS.
    let web = Echo::start("web");
    let issued = Authority::new().issue(&["a.test"]);
    let inner = tls_scenario(web.address(), &issued, &[]).start(BINARY);
    let program = Scenario::simple(inner.https(), &[("backend-protocol", "HTTPS")]).start(BINARY);
    let echo = Request::get("/x").send(program.http()).echo();
    assert_eq!((echo.name(), echo.target()), ("web", "/x"));
    echo.has("x-forwarded-proto", "https");
}

#[test]
fn no_handshake_fails_while_certificates_change() {
    let web = Echo::start("web");
    let authority = Authority::new();
    let issued = [authority.issue(&["a.test"]), authority.issue(&["a.test"])];
    let program = Scenario::new()
        .service("web", &[web.address()])
        .ingress(host("web", "a.test", "cert"))
        .secret("cert", &issued[0])
        .start(BINARY);
    let address = program.https();
    let stop = headgate_testkit::Gate::new();
    let handshakes: Vec<_> = (0..2)
        .map(|_| {
            let allowed: Vec<Vec<u8>> = issued.iter().map(|one| one.der.clone()).collect();
            let stop = stop.clone();
            std::thread::spawn(move || {
                let mut count = 0;
                while !stop.is_open() {
                    let connection = Connection::open_tls(address, &Tls::name("a.test"));
                    assert!(allowed.contains(&connection.tls().certificate));
                    count += 1;
                }
                count
            })
        })
        .collect();
    for round in 1..=10 {
        let current = &issued[round % 2];
        Scenario::new()
            .service("web", &[web.address()])
            .ingress(host("web", "a.test", "cert"))
            .secret("cert", current)
            .replace(&program);
        wait::until("the new certificate", || {
            (served_certificate(&program, &Tls::name("a.test")) == current.der).then_some(())
        });
    }
    stop.open();
    for thread in handshakes {
        assert!(thread.join().unwrap() > 0);
    }
}
