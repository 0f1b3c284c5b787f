//! The Gateway on the ports of Ingresses.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use headgate_testkit::manifest::{Ingress, NAMESPACE};
use headgate_testkit::{Authority, Connection, Echo, Http2, Program, Request, Scenario, Tls, wait};
use http_body_util::Full;
use serde_json::{Value, json};

use super::passthrough;
use super::setup::BINARY;

fn object(kind: &str, name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": spec,
    })
}

/// With a GatewayClass, and the flag for Gateway `edge`.
fn scenario() -> Scenario {
    shared(Scenario::new())
}

fn shared(scenario: Scenario) -> Scenario {
    let mut class = object(
        "GatewayClass",
        "headgate",
        json!({ "controllerName": "headgate.dev/gateway-controller" }),
    );
    class["metadata"] = json!({ "name": "headgate" });
    let flag = format!("--gateway-on-ingress-ports={NAMESPACE}/edge");
    scenario.object(class).argument(&flag)
}

/// Gateway `edge` with a listener for HTTP, and those for HTTPS of these hostnames with their Secrets.
fn edge(program: &Program, secure: &[(Option<&str>, &str)]) -> Value {
    let mut listeners = vec![json!({
        "name": "http", "port": program.http().port(), "protocol": "HTTP",
    })];
    for (number, (hostname, secret)) in secure.iter().enumerate() {
        listeners.push(json!({
            "name": format!("https-{number}"), "port": program.https().port(), "protocol": "HTTPS",
            "hostname": hostname, "tls": { "certificateRefs": [{ "name": secret }] },
        }));
    }
    let spec = json!({ "gatewayClassName": "headgate", "listeners": listeners });
    object("Gateway", "edge", spec)
}

/// An HTTPRoute for path prefixes of `a.test` to Service `new`.
fn moved(paths: &[&str]) -> Value {
    let matches = paths
        .iter()
        .map(|path| json!({ "path": { "type": "PathPrefix", "value": path } }));
    let rule = json!({
        "matches": matches.collect::<Value>(), "backendRefs": [{ "name": "new", "port": 80 }],
    });
    let spec =
        json!({ "parentRefs": [{ "name": "edge" }], "hostnames": ["a.test"], "rules": [rule] });
    object("HTTPRoute", "moved", spec)
}

/// The name of the backend that a request gets, or a status.
fn outcome(request: &Request, program: &Program, is_tls: bool) -> String {
    let address = if is_tls {
        program.https()
    } else {
        program.http()
    };
    let response = request.send(address);
    match response.status {
        200 => response.echo().name().to_owned(),
        status => status.to_string(),
    }
}

#[test]
fn a_host_moves_path_by_path_and_back_without_a_failed_request() {
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    let base = || {
        scenario()
            .service("old", &[old.address()])
            .service("new", &[new.address()])
    };
    let with = |base: Scenario, paths: &[&str]| {
        let mut ingress = Ingress::new("web");
        for path in paths {
            ingress = ingress.path(path, "old");
        }
        base.ingress(ingress)
    };
    let program = with(base(), &["/", "/a", "/b"]).start(BINARY);
    let both = || base().object(edge(&program, &[]));
    let steps = [
        with(both(), &["/", "/a", "/b"]),
        with(both().object(moved(&["/a"])), &["/", "/a", "/b"]),
        with(both().object(moved(&["/a"])), &["/", "/b"]),
        with(both().object(moved(&["/a", "/b"])), &["/", "/b"]),
        both().object(moved(&["/", "/a", "/b"])),
        with(both().object(moved(&["/a", "/b"])), &["/", "/b"]),
        with(both().object(moved(&["/a"])), &["/", "/a", "/b"]),
        with(base(), &["/", "/a", "/b"]),
    ];
    let expected = [
        ["old", "old", "old"],
        ["old", "new", "old"],
        ["old", "new", "old"],
        ["old", "new", "new"],
        ["new", "new", "new"],
        ["old", "new", "new"],
        ["old", "new", "old"],
        ["old", "old", "old"],
    ];
    let paths = ["/", "/a/x", "/b"];
    let (done, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let client = |path: &'static str| {
            let (program, done, sent) = (&program, &done, &sent);
            move || {
                let request = Request::get(path).host("a.test");
                let mut connection = Connection::open(program.http());
                while !done.load(Ordering::Relaxed) {
                    let response = connection.exchange(&request).is(200);
                    if response.field("connection") == Some("close") {
                        connection = Connection::open(program.http());
                    }
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        for path in paths {
            scope.spawn(client(path));
        }
        for (step, expected) in steps.iter().zip(expected) {
            step.replace(&program);
            let served =
                paths.map(|path| outcome(&Request::get(path).host("a.test"), &program, false));
            assert_eq!(served, expected);
            let before = sent.load(Ordering::Relaxed);
            wait::until("requests between two steps", || {
                (sent.load(Ordering::Relaxed) >= before + 30).then_some(())
            });
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_server_name_has_the_certificate_of_those_who_serve_it_and_any_request_is_served() {
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    let authority = Authority::new();
    let (own, edges) = (authority.issue(&["b.test"]), authority.issue(&["a.test"]));
    let base = || {
        scenario()
            .service("old", &[old.address()])
            .service("new", &[new.address()])
            .secret("own", &own)
            .secret("edge", &edges)
            .ingress(
                Ingress::new("web")
                    .host("b.test")
                    .tls(&["b.test"], "own")
                    .path("/", "old"),
            )
            .ingress(Ingress::new("rest").path("/", "old"))
    };
    let program = base().start(BINARY);
    let names = |name: &str| {
        let connection = Connection::open_tls(program.https(), &Tls::name(name));
        connection.tls().certificate.clone()
    };
    for hostname in [Some("a.test"), None] {
        base()
            .object(edge(&program, &[(hostname, "edge")]))
            .object(moved(&["/a"]))
            .replace(&program);
        assert_eq!(names("a.test"), edges.der, "{hostname:?}");
        assert_eq!(names("b.test"), own.der, "{hostname:?}");
        // A connection serves every host, whatever its server name, as that of an Ingress does.
        for server_name in ["a.test", "b.test", "c.test"] {
            let tls = Tls::name(server_name);
            let send = |host: &str, path: &str| {
                let request = Request::get(path).host(host).over(&tls);
                outcome(&request, &program, true)
            };
            let served = [
                send("a.test", "/a"),
                send("a.test", "/"),
                send("b.test", "/a"),
                send("c.test", "/"),
            ];
            assert_eq!(
                served,
                ["new", "old", "old", "404"],
                "{server_name} {hostname:?}"
            );
            let mut client = Http2::tls(program.https(), &tls.clone().alpn(&["h2"]));
            let mut get = |host: &str, path: &str| {
                let request = http::Request::get(format!("https://{host}{path}"));
                let response = client.send(request.body(Full::<Bytes>::default()).unwrap());
                response.head.status().as_u16()
            };
            assert_eq!(
                [
                    get("a.test", "/a"),
                    get("a.test", "/"),
                    get("b.test", "/"),
                    get("c.test", "/")
                ],
                [200, 200, 200, 404]
            );
        }
        // The redirect to https is one of the Ingress, for what it serves.
        let plain =
            |host: &str, path: &str| outcome(&Request::get(path).host(host), &program, false);
        assert_eq!(plain("b.test", "/a"), "308");
        assert_eq!(plain("a.test", "/a"), "new");
    }
}

#[test]
fn a_redirect_to_https_is_not_for_paths_of_the_gateway() {
    let (old, new) = (Echo::start("old"), Echo::start("new"));
    let issued = Authority::new().issue(&["a.test"]);
    let base = || {
        scenario()
            .service("old", &[old.address()])
            .service("new", &[new.address()])
            .secret("cert", &issued)
            .ingress(
                Ingress::new("web")
                    .tls(&["a.test"], "cert")
                    .path("/", "old"),
            )
    };
    let program = base().start(BINARY);
    base()
        .object(edge(&program, &[(None, "cert")]))
        .object(moved(&["/a"]))
        .replace(&program);
    let plain = |path: &str| outcome(&Request::get(path).host("a.test"), &program, false);
    assert_eq!([plain("/a"), plain("/")], ["new", "308"]);
    // What no host has: the built-in paths, and 404.
    let unknown = |path: &str| outcome(&Request::get(path).host("unknown.test"), &program, false);
    assert_eq!(unknown("/"), "404");
    Request::get("/healthz")
        .host("unknown.test")
        .send(program.http())
        .is(200);
    let log = program.stderr().join("\n");
    let said = format!(
        "host a.test is also served by HTTPRoute {NAMESPACE}/moved of Gateway {NAMESPACE}/edge"
    );
    assert!(log.contains(&said), "{log}");
}

#[test]
fn connections_that_an_ingress_passes_through_stay_so() {
    let hello = passthrough::tls().hello();
    let (web, plain) = (passthrough::backend(hello.len()), Echo::start("plain"));
    let issued = Authority::new().issue(&["a.test"]);
    let base = || shared(passthrough::scenario(web.address(), &plain)).secret("cert", &issued);
    let program = base().start(BINARY);
    base()
        .object(edge(&program, &[(Some("a.test"), "cert"), (None, "cert")]))
        .replace(&program);
    let mut connection = Connection::open(program.https());
    connection.send(&hello);
    web.wait_for(1);
    let request = Request::get("/").host("b.test").over(&Tls::name("b.test"));
    request.send(program.https()).is(200);
}
