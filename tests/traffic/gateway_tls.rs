//! TLS of Gateways, towards clients and towards endpoints.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use bytes::Bytes;
use headgate_testkit::manifest::NAMESPACE;
use headgate_testkit::{
    Authority, Connection, Echo, Http2, Issued, Program, Request, Response, Scenario, Tls, wait,
};
use http_body_util::Full;
use serde_json::{Value, json};

use super::setup::BINARY;
use super::streams::{at, free_ports};

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": spec,
    })
}

/// A GatewayClass, and Gateway `edge` with these listeners and settings of TLS.
fn gateway(listeners: Value, tls: Value) -> Scenario {
    let mut class = object(
        "GatewayClass",
        "headgate",
        json!({ "controllerName": "headgate.dev/gateway-controller" }),
    );
    class["metadata"] = json!({ "name": "headgate" });
    Scenario::new()
        .object(class)
        .object(edge("edge", listeners, tls))
}

fn edge(name: &str, listeners: Value, tls: Value) -> Value {
    object(
        "Gateway",
        name,
        json!({ "gatewayClassName": "headgate", "listeners": listeners, "tls": tls }),
    )
}

fn listener(name: &str, port: u16, protocol: &str) -> Value {
    json!({ "name": name, "port": port, "protocol": protocol })
}

/// One that terminates TLS with the certificate `cert`.
fn secure(name: &str, port: u16, protocol: &str) -> Value {
    let mut listener = listener(name, port, protocol);
    listener["tls"] = json!({ "mode": "Terminate", "certificateRefs": [{ "name": "cert" }] });
    listener
}

/// A route of all Gateways in `gateways` to Service `web`.
fn route(kind: &str, gateways: &[&str]) -> Value {
    let parents: Vec<Value> = gateways
        .iter()
        .map(|name| json!({ "name": name }))
        .collect();
    let mut spec = json!({ "parentRefs": parents, "rules": [{ "backendRefs": [{ "name": "web", "port": 80 }] }] });
    if kind == "TLSRoute" {
        spec["hostnames"] = json!(["*.test"]);
    }
    object(kind, &kind.to_lowercase(), spec)
}

/// A policy for Service `web`, by the authorities in ConfigMap `ca`.
fn policy(hostname: &str, alternatives: Value) -> Value {
    object(
        "BackendTLSPolicy",
        "web",
        json!({
            "targetRefs": [{ "group": "", "kind": "Service", "name": "web" }],
            "validation": {
                "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "ca" }],
                "hostname": hostname, "subjectAltNames": alternatives,
            },
        }),
    )
}

fn authorities(name: &str, text: &str) -> Value {
    headgate_testkit::manifest::config_map(NAMESPACE, name, &[("ca.crt", text)])
}

/// The response to a request, as soon as the port is open.
fn get(port: u16, request: &Request) -> Response {
    open(port);
    request.send(at(port))
}

fn open(port: u16) -> SocketAddr {
    wait::until("an open port", || TcpStream::connect(at(port)).ok());
    at(port)
}

fn to_a() -> Request {
    Request::get("/").host("a.test")
}

#[test]
fn a_policy_encrypts_and_verifies_connections_to_endpoints() {
    let (ca, other) = (Authority::new(), Authority::new());
    let web = Echo::secure("web", &ca.issue(&["api.internal", "*.wild.internal"]));
    let [port] = free_ports();
    let scenario = || {
        gateway(json!([listener("http", port, "HTTP")]), json!({}))
            .service("web", &[web.address()])
            .object(route("HTTPRoute", &["edge"]))
    };
    let with = |policy: Value, pem: &str| scenario().object(policy).object(authorities("ca", pem));
    let dns = |name: &str| json!([{ "type": "Hostname", "hostname": name }]);
    let program = with(policy("api.internal", json!([])), &ca.pem()).start(BINARY);
    let echo = get(port, &to_a()).is(200).echo();
    assert_eq!(echo.tls("serverName"), Some("api.internal"));
    assert_eq!(echo.tls("protocol"), Some("http/1.1"));
    assert_eq!(echo.tls("client"), None);
    for (policy, pem, expected) in [
        (policy("api.other", json!([])), ca.pem(), Err(())),
        (policy("api.internal", json!([])), other.pem(), Err(())),
        (policy("api.internal", json!([])), String::new(), Err(())),
        (
            policy("sent.internal", dns("a.wild.internal")),
            ca.pem(),
            Ok("sent.internal"),
        ),
        (policy("api.internal", dns("api.other")), ca.pem(), Err(())),
        (
            policy("api.internal", json!([])),
            ca.pem(),
            Ok("api.internal"),
        ),
    ] {
        with(policy.clone(), &pem).replace(&program);
        let response = to_a().send(at(port));
        match expected {
            Ok(name) => assert_eq!(response.is(200).echo().tls("serverName"), Some(name)),
            Err(()) => assert_eq!(response.status, 502, "{policy} {response:?}"),
        }
    }
    // Without a policy the endpoint gets plain text, and refuses it.
    scenario().replace(&program);
    assert_ne!(to_a().send(at(port)).status, 200);
}

#[test]
fn calls_and_upgrades_go_over_tls_as_well() {
    let ca = Authority::new();
    let web = Echo::secure("web", &ca.issue(&["api.internal"]));
    let [port] = free_ports();
    let _program = gateway(json!([listener("http", port, "HTTP")]), json!({}))
        .service("web", &[web.address()])
        .object(route("HTTPRoute", &["edge"]))
        .object(route("GRPCRoute", &["edge"]))
        .object(policy("api.internal", json!([])))
        .object(authorities("ca", &ca.pem()))
        .start(BINARY);
    let call = http::Request::post(format!("http://a.test:{port}/a.Echo/Echo"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(b"\0\0\0\0\0")))
        .unwrap();
    let mut client = Http2::clear(open(port));
    let response = client.send(call);
    assert_eq!(response.field("x-name"), Some("web"), "{response:?}");
    assert_eq!(response.trailer("grpc-status"), Some("0"), "{response:?}");
    let mut connection = Connection::open(at(port));
    connection.send(
        "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    let head = connection.try_head().unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[test]
fn each_gateway_shows_endpoints_its_own_certificate() {
    let ca = Authority::new();
    let web = Echo::secure("web", &ca.issue(&["api.internal"]));
    let (one, two) = (ca.issue(&["one.internal"]), ca.issue(&["two.internal"]));
    let ports: [u16; 3] = free_ports();
    let showing = |name: &str| json!({ "backend": { "clientCertificateRef": { "name": name } } });
    let http = |port: u16| json!([listener("http", port, "HTTP")]);
    let _program = gateway(http(ports[0]), json!({}))
        .object(edge("one", http(ports[1]), showing("one")))
        .object(edge("two", http(ports[2]), showing("two")))
        .service("web", &[web.address()])
        .secret("one", &one)
        .secret("two", &two)
        .object(route("HTTPRoute", &["edge", "one", "two"]))
        .object(policy("api.internal", json!([])))
        .object(authorities("ca", &ca.pem()))
        .start(BINARY);
    let hex = |issued: &Issued| -> String {
        issued
            .der
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    };
    for _ in 0..2 {
        for (port, expected) in ports
            .into_iter()
            .zip([None, Some(hex(&one)), Some(hex(&two))])
        {
            let response = get(port, &to_a());
            assert_eq!(response.is(200).echo().tls("client"), expected.as_deref());
        }
    }
}

/// Whether a request with this certificate is served; else the handshake fails.
fn is_served(port: u16, tls: &Tls) -> bool {
    let error = match to_a().over(tls).try_send(open(port)) {
        Ok(response) => return response.status == 200,
        Err(error) => error,
    };
    // The alert, or what is left of the connection after it.
    let kinds = [
        ErrorKind::InvalidData,
        ErrorKind::ConnectionReset,
        ErrorKind::BrokenPipe,
        ErrorKind::UnexpectedEof,
    ];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    false
}

fn frontend(map: &str, mode: &str) -> Value {
    let references = json!([{ "group": "", "kind": "ConfigMap", "name": map }]);
    json!({ "frontend": { "default": { "validation": { "caCertificateRefs": references, "mode": mode } } } })
}

#[test]
fn clients_need_a_certificate_of_the_authorities_of_their_port() {
    let (server, ca, other) = (Authority::new(), Authority::new(), Authority::new());
    let web = Echo::start("web");
    let [default, own] = free_ports();
    let scenario = |mode: &str, first: &str| {
        let mut tls = frontend("ca", mode);
        tls["frontend"]["perPort"] =
            json!([{ "port": own, "tls": frontend("other", mode)["frontend"]["default"] }]);
        gateway(
            json!([
                secure("default", default, "HTTPS"),
                secure("own", own, "HTTPS")
            ]),
            tls,
        )
        .service("web", &[web.address()])
        .secret("cert", &server.issue(&["a.test"]))
        .object(route("HTTPRoute", &["edge"]))
        .object(authorities("ca", first))
        .object(authorities("other", &other.pem()))
    };
    let program = scenario("AllowValidOnly", &ca.pem()).start(BINARY);
    let without = Tls::name("a.test");
    let (of_ca, of_other) = (
        without.clone().showing(&ca.issue(&["client"])),
        without.clone().showing(&other.issue(&["client"])),
    );
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for (port, tls, served) in [
            (default, &of_ca, true),
            (default, &of_other, false),
            (default, &without, false),
            (own, &of_ca, false),
            (own, &of_other, true),
            (own, &without, false),
        ] {
            assert_eq!(
                is_served(port, &tls.clone().version(version)),
                served,
                "{port} {tls:?}"
            );
        }
    }
    scenario("AllowInsecureFallback", &ca.pem()).replace(&program);
    for tls in [&of_ca, &of_other, &without] {
        assert!(is_served(default, tls) && is_served(own, tls), "{tls:?}");
    }
    scenario("AllowValidOnly", &other.pem()).replace(&program);
    assert!(!is_served(default, &of_ca) && is_served(default, &of_other));
    // Without authorities no client is served; another port is.
    scenario("AllowValidOnly", "").replace(&program);
    wait::until("a closed port", || TcpStream::connect(at(default)).err());
    assert!(is_served(own, &of_other));
}

#[test]
fn terminated_tls_is_forwarded_in_plain_text_or_by_a_policy() {
    let ca = Authority::new();
    let (plain, secret) = (
        Echo::start("plain"),
        Echo::secure("secret", &ca.issue(&["api.internal"])),
    );
    let [port] = free_ports();
    let served = ca.issue(&["a.test"]);
    let scenario = |web: &Echo| {
        gateway(json!([secure("tls", port, "TLS")]), json!({}))
            .service("web", &[web.address()])
            .secret("cert", &served)
            .object(route("TLSRoute", &["edge"]))
            .object(authorities("ca", &ca.pem()))
    };
    let program = scenario(&plain).start(BINARY);
    open(port);
    // The protocols of the client are none of the Gateway's business.
    let tls = Tls::name("a.test").alpn(&["mqtt"]);
    let mut connection = Connection::open_tls(at(port), &tls);
    assert_eq!(
        (&connection.tls().certificate, &connection.tls().alpn),
        (&served.der, &None)
    );
    let echo = connection.exchange(&to_a()).is(200).echo();
    assert_eq!(echo.name(), "plain");
    assert_eq!(
        echo.all("x-forwarded-for"),
        [""; 0],
        "it is no request for the proxy"
    );
    drop(connection);
    let counted = |program: &Program| {
        program.metric(
            "headgate_stream_bytes_total",
            &[&format!("port=\"{port}\""), "direction=\"received\""],
        )
    };
    wait::until("the bytes of the session", || {
        (counted(&program) > 0.0).then_some(())
    });
    scenario(&secret)
        .object(policy("api.internal", json!([])))
        .replace(&program);
    let response = to_a().over(&tls).send(at(port));
    assert_eq!(
        response.is(200).echo().tls("serverName"),
        Some("api.internal")
    );
    // Never in plain text, nor to an endpoint that is not the one.
    scenario(&secret)
        .object(policy("api.other", json!([])))
        .replace(&program);
    assert!(to_a().over(&tls).try_send(at(port)).is_err());
    // A name without a route: the connection is closed.
    let refused = Connection::try_open_tls(at(port), &Tls::name("a.example"), &[]);
    assert!(refused.is_err());
}

#[test]
fn one_port_terminates_and_passes_through_by_the_server_name() {
    let ca = Authority::new();
    let (plain, secret) = (
        Echo::start("plain"),
        Echo::secure("secret", &ca.issue(&["b.test"])),
    );
    let [port] = free_ports();
    let mut ended = secure("ended", port, "TLS");
    ended["hostname"] = json!("a.test");
    let mut passed = listener("passed", port, "TLS");
    passed["hostname"] = json!("b.test");
    passed["tls"] = json!({ "mode": "Passthrough" });
    let route = |name: &str, section: &str| {
        object(
            "TLSRoute",
            name,
            json!({
                "parentRefs": [{ "name": "edge", "sectionName": section }], "hostnames": ["*.test"],
                "rules": [{ "backendRefs": [{ "name": name, "port": 80 }] }],
            }),
        )
    };
    let _program = gateway(json!([ended, passed]), json!({}))
        .service("plain", &[plain.address()])
        .service("secret", &[secret.address()])
        .secret("cert", &ca.issue(&["a.test"]))
        .object(route("plain", "ended"))
        .object(route("secret", "passed"))
        .start(BINARY);
    for (name, backend, server_name) in [
        ("a.test", "plain", None),
        ("b.test", "secret", Some("b.test")),
    ] {
        let response = get(port, &Request::get("/").host(name).over(&Tls::name(name)));
        let echo = response.is(200).echo();
        assert_eq!(
            (echo.name(), echo.tls("serverName")),
            (backend, server_name)
        );
    }
}
