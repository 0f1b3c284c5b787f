//! Backends: references, weights and protocols.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use headgate_testkit::{Connection, Echo, Http2, Scripted};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::setup::{Cluster, PORT, Running, filtered, outcome, parse, prefix, to, weighted};

/// Requests by which weights are judged; the deviation of a share is at most one point and a half.
const REQUESTS: usize = 1200;

/// Objects of namespace `web`: a Service with a backend.
fn web(cluster: Cluster, echo: &Echo) -> Cluster {
    let address = echo.address();
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "backend", "namespace": "web" },
        "spec": { "ports": [{ "port": 80, "targetPort": 8080 }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "backend", "namespace": "web",
            "labels": { "kubernetes.io/service-name": "backend" },
        },
        "addressType": "IPv4", "ports": [{ "port": address.port() }],
        "endpoints": [{ "addresses": [address.ip().to_string()] }],
    });
    cluster.any(service).any(slice)
}

fn grant(kind: &str, to: Value) -> Value {
    json!({
        "from": [{ "group": "gateway.networking.k8s.io", "kind": kind, "namespace": "shop" }],
        "to": [to],
    })
}

fn in_web() -> Value {
    json!({ "name": "backend", "namespace": "web", "port": 80 })
}

#[track_caller]
fn check_backend(reference: Value, expected: &str) {
    let v1 = Echo::start("v1");
    let cluster = Cluster::simple(&[&v1]).route("r", json!([{ "backendRefs": [reference] }]));
    cluster.start().check(&[("/", expected)]);
}

#[test]
fn http_route_invalid_backend_ref_unknown_kind() {
    check_backend(
        json!({ "kind": "NonExistent", "name": "v1", "port": 80 }),
        "500",
    );
}

#[test]
fn http_route_invalid_non_existent_backend_ref() {
    check_backend(to("none"), "500");
}

#[test]
fn http_route_invalid_cross_namespace_backend_ref() {
    let echo = Echo::start("web");
    let cluster = web(Cluster::simple(&[]), &echo);
    let cluster = cluster.route("r", json!([{ "backendRefs": [in_web()] }]));
    cluster.start().check(&[("/", "500")]);
}

#[test]
fn http_route_invalid_reference_grant() {
    let echo = Echo::start("web");
    let service = json!({ "group": "", "kind": "Service", "name": "backend" });
    let mut other_from = grant("HTTPRoute", service.clone());
    other_from["from"][0]["namespace"] = json!("other");
    let mut other_group = grant("HTTPRoute", service.clone());
    other_group["from"][0]["group"] = json!("");
    let cluster = web(Cluster::simple(&[]), &echo)
        .route("r", json!([{ "backendRefs": [in_web()] }]))
        .object(
            "ReferenceGrant",
            "wrong-namespace",
            grant("HTTPRoute", service.clone()),
        )
        .object_in("web", "ReferenceGrant", "wrong-from-group", other_group)
        .object_in(
            "web",
            "ReferenceGrant",
            "wrong-from-kind",
            grant("Gateway", service),
        )
        .object_in("web", "ReferenceGrant", "wrong-from-namespace", other_from)
        .object_in(
            "web",
            "ReferenceGrant",
            "wrong-to-group",
            grant("HTTPRoute", json!({ "group": "other", "kind": "Service" })),
        )
        .object_in(
            "web",
            "ReferenceGrant",
            "wrong-to-kind",
            grant("HTTPRoute", json!({ "group": "", "kind": "Secret" })),
        )
        .object_in(
            "web",
            "ReferenceGrant",
            "wrong-to-name",
            grant(
                "HTTPRoute",
                json!({ "group": "", "kind": "Service", "name": "other" }),
            ),
        );
    cluster.start().check(&[("/", "500")]);
}

#[test]
fn http_route_partially_invalid_via_invalid_reference_grant() {
    let (echo, v1) = (Echo::start("web"), Echo::start("v1"));
    let other = json!({ "group": "", "kind": "Service", "name": "other" });
    let rules = json!([
        { "matches": [prefix("/v2")], "backendRefs": [in_web()] },
        { "matches": [prefix("/")], "backendRefs": [to("v1")] },
    ]);
    let cluster = web(Cluster::simple(&[&v1]), &echo)
        .route("r", rules)
        .object_in("web", "ReferenceGrant", "grant", grant("HTTPRoute", other));
    cluster.start().check(&[("/v2", "500"), ("/", "v1")]);
}

#[test]
fn http_route_reference_grant() {
    let echo = Echo::start("web");
    let all = json!({ "group": "", "kind": "Service" });
    let cluster =
        web(Cluster::simple(&[]), &echo).route("r", json!([{ "backendRefs": [in_web()] }]));
    let granted =
        cluster
            .clone()
            .object_in("web", "ReferenceGrant", "grant", grant("HTTPRoute", all));
    let running = granted.start();
    running.check(&[("/", "web")]);
    cluster.replace(&running);
    running.check(&[("/", "500")]);
}

#[test]
fn http_route_no_backend_refs() {
    let rules = json!([
        { "matches": [prefix("/empty")], "backendRefs": [] },
        { "matches": [prefix("/absent")] },
    ]);
    let cluster = Cluster::simple(&[]).route("r", rules);
    cluster
        .start()
        .check(&[("/empty", "500"), ("/absent", "500")]);
}

#[test]
fn http_route_service_types() {
    let [manual, headless] = ["manual", "headless"].map(Echo::start);
    let service = |name: &str, spec: Value| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": name, "namespace": "shop" }, "spec": spec,
        })
    };
    let slice = |name: &str, family: &str, port: u16, addresses: &[&str]| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-{family}").to_lowercase(), "namespace": "shop",
                "labels": { "kubernetes.io/service-name": name },
            },
            "addressType": family, "ports": [{ "name": "first", "port": port }],
            "endpoints": addresses.iter().map(|address| json!({ "addresses": [address] })).collect::<Value>(),
        })
    };
    let ports = json!([{ "name": "first", "port": 80, "targetPort": 3000 }]);
    let rule =
        |name: &str| json!({ "matches": [prefix(&format!("/{name}"))], "backendRefs": [to(name)] });
    let cluster = Cluster::simple(&[])
        .any(service("manual", json!({ "ports": ports })))
        .any(slice(
            "manual",
            "IPv4",
            manual.address().port(),
            &["127.0.0.1"],
        ))
        .any(slice("manual", "IPv6", manual.address().port(), &[]))
        .any(service(
            "headless",
            json!({ "clusterIP": "None", "ports": ports }),
        ))
        .any(slice(
            "headless",
            "IPv4",
            headless.address().port(),
            &["127.0.0.1"],
        ))
        .any(slice("headless", "IPv6", headless.address().port(), &[]))
        .route("r", json!([rule("manual"), rule("headless")]));
    cluster
        .start()
        .check(&[("/manual", "manual"), ("/headless", "headless")]);
}

/// Sends requests one after the other on a connection, and counts who responds.
fn count(running: &Running, request: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut connection = Connection::open(running.at(PORT));
    for _ in 0..REQUESTS {
        let response = connection.exchange(&parse(request));
        *counts.entry(outcome(&response)).or_default() += 1;
        if response.field("connection") == Some("close") {
            connection = Connection::open(running.at(PORT));
        }
    }
    counts
}

#[track_caller]
fn check_shares(counts: &BTreeMap<String, usize>, expected: &[(&str, f64)]) {
    for (name, share) in expected {
        let found = counts.get(*name).copied().unwrap_or_default() as f64 / REQUESTS as f64;
        assert!((found - share).abs() < 0.065, "{name}: {counts:?}");
    }
    let names: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
    assert!(
        counts.keys().all(|name| names.contains(&&**name)),
        "{counts:?}"
    );
}

#[test]
fn http_route_weight() {
    let [v1, v2, v3] = ["v1", "v2", "v3"].map(Echo::start);
    let backends = json!([weighted("v1", 70), weighted("v2", 30), weighted("v3", 0)]);
    let cluster =
        Cluster::simple(&[&v1, &v2, &v3]).route("r", json!([{ "backendRefs": backends }]));
    let counts = count(&cluster.start(), "/");
    check_shares(&counts, &[("v1", 0.7), ("v2", 0.3)]);
}

#[test]
fn a_reference_that_cannot_be_resolved_gets_500_for_its_share_and_a_service_without_endpoints_503()
{
    let v1 = Echo::start("v1");
    let backends = json!([weighted("v1", 2), weighted("none", 1), weighted("empty", 1)]);
    let cluster = Cluster::simple(&[&v1])
        .service("empty", &[])
        .route("r", json!([{ "backendRefs": backends }]));
    let counts = count(&cluster.start(), "/");
    check_shares(&counts, &[("v1", 0.5), ("500", 0.25), ("503", 0.25)]);
}

/// A Service whose port has an `appProtocol`.
pub(super) fn with_protocol(cluster: Cluster, echo: &Echo, protocol: &str) -> Cluster {
    let (name, address) = (echo.name(), echo.address());
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "ports": [{ "name": "http", "port": 80, "appProtocol": protocol }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": "shop",
            "labels": { "kubernetes.io/service-name": name },
        },
        "addressType": "IPv4", "ports": [{ "name": "http", "port": address.port() }],
        "endpoints": [{ "addresses": [address.ip().to_string()] }],
    });
    cluster.any(service).any(slice)
}

#[test]
fn http_route_backend_protocol_h2c() {
    let v1 = Echo::start("v1");
    let cluster = with_protocol(Cluster::simple(&[]), &v1, "kubernetes.io/h2c")
        .route("r", json!([{ "backendRefs": [to("v1")] }]));
    let running = cluster.start();
    let mut client = Http2::clear(running.at(PORT));
    let request = http::Request::post("http://a.test/x?y=1").body(Full::from("hello"));
    let response = client.send(request.unwrap());
    let text = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.head.status(), 200, "{response:?}");
    for part in [
        r#""version":"HTTP/2.0""#,
        r#""target":"/x?y=1""#,
        r#""body":"hello""#,
    ] {
        assert!(text.contains(part), "{text}");
    }
    // A client of HTTP/1.1 gets the same.
    assert_eq!(running.send("/").is(200).echo().version(), "HTTP/2.0");
}

#[test]
fn a_protocol_that_is_not_known_is_http() {
    let v1 = Echo::start("v1");
    let cluster = with_protocol(Cluster::simple(&[]), &v1, "HTTPS")
        .route("r", json!([{ "backendRefs": [to("v1")] }]));
    assert_eq!(
        cluster.start().send("/").is(200).echo().version(),
        "HTTP/1.1"
    );
}

#[test]
fn http_route_backend_protocol_web_socket() {
    let v1 = Echo::start("v1");
    let cluster = with_protocol(Cluster::simple(&[]), &v1, "kubernetes.io/ws")
        .route("r", json!([{ "backendRefs": [to("v1")] }]));
    let running = cluster.start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(running.at(PORT))
            .await
            .unwrap();
        let opened = tokio_tungstenite::client_async("ws://a.test/ws", stream).await;
        let (mut socket, response) = opened.unwrap();
        assert_eq!(response.status(), 101);
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(
            socket.next().await.unwrap().unwrap(),
            Message::text("hello")
        );
    });
}

#[test]
fn bodies_are_neither_bounded_nor_read_ahead() {
    let upstream = Scripted::start(|connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let cluster = Cluster::simple(&[])
        .service("v1", &[upstream.address()])
        .route("r", json!([filtered("/", json!([]), "v1")]));
    let running = cluster.start();
    let mut client = Http2::clear(running.at(PORT));
    let large = Bytes::from(vec![b'x'; 3 << 20]);
    let request = http::Request::post("http://a.test/").body(Full::new(large));
    let response = client.send(request.unwrap());
    assert_eq!(response.head.status(), 200, "{response:?}");
    let received = upstream.wait_for(1).pop().unwrap();
    assert!(received.len() > 3 << 20, "{}", received.len());
}
