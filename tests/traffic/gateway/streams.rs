//! TLSRoutes with passthrough, TCPRoutes and UDPRoutes.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use headgate_testkit::{Connection, Scripted, Tls, wait};
use serde_json::{Value, json};

use super::setup::{Cluster, Running, to, weighted};

/// What a TLS backend sends once it has read a ClientHello.
const REPLY: &[u8] = b"reply";
/// Connections by which weights are judged.
const CONNECTIONS: usize = 600;

/// A listener of a protocol without a hostname.
fn listener(name: &str, port: u16, protocol: &str) -> Value {
    json!({ "name": name, "port": port, "protocol": protocol })
}

fn passthrough(name: &str, port: u16, hostname: Option<&str>) -> Value {
    json!({ "name": name, "port": port, "protocol": "TLS", "hostname": hostname, "tls": { "mode": "Passthrough" } })
}

/// A TCP backend that greets with its name.
fn greeter(name: &'static str) -> Scripted {
    Scripted::start(move |connection| {
        connection.send(name);
        connection.wait_for_close();
    })
}

/// A TLS backend, which reads the first record whole.
fn tls_backend() -> Scripted {
    Scripted::start(move |connection| {
        let head = connection.exactly(5);
        let length = head.map(|head| usize::from(head[3]) << 8 | usize::from(head[4]));
        if length.is_ok_and(|length| connection.exactly(length).is_ok()) {
            connection.send(REPLY);
            connection.wait_for_close();
        }
    })
}

/// Whether a ClientHello with this name gets to a backend; otherwise the connection is closed before any byte of it.
#[track_caller]
fn reaches(running: &Running, port: u16, name: &str) -> bool {
    let mut connection = Connection::open(running.at(port));
    connection.send(Tls::name(name).hello());
    match connection.try_exactly(REPLY.len()) {
        Ok(reply) => {
            assert_eq!(reply, REPLY, "{name}");
            true
        }
        Err(_) => {
            let rest = connection.rest().unwrap_or_default();
            assert!(rest.is_empty(), "{name} {rest:?}");
            false
        }
    }
}

/// The greeting of a port, empty if the connection is closed.
fn greeting(running: &Running, port: u16) -> String {
    let mut stream = TcpStream::connect(running.at(port)).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let mut greeting = [0; 2];
    match stream.read_exact(&mut greeting) {
        Ok(()) => String::from_utf8_lossy(&greeting).into_owned(),
        Err(_) => String::new(),
    }
}

fn route(parents: Value, service: &str) -> Value {
    json!({ "parentRefs": parents, "rules": [{ "backendRefs": [to(service)] }] })
}

fn gw() -> Value {
    json!([{ "name": "gw" }])
}

fn tls_route(
    cluster: Cluster,
    name: &str,
    parents: Value,
    hosts: &[&str],
    service: &str,
) -> Cluster {
    let mut spec = route(parents, service);
    spec["hostnames"] = json!(hosts);
    cluster.object("TLSRoute", name, spec)
}

#[test]
fn tls_route_simple_same_namespace() {
    let tls = Tls::name("abc.example.com");
    let backend = tls_backend();
    let cluster = Cluster::new()
        .gateway("gw", &[passthrough("tls", 8443, Some("*.example.com"))])
        .service("tls", &[backend.address()]);
    let running = tls_route(cluster, "r", gw(), &["abc.example.com"], "tls").start();
    assert!(reaches(&running, 8443, "abc.example.com"));
    assert!(!reaches(&running, 8443, "abd.example.com"));
    assert!(!reaches(&running, 8443, "example.com"));
    // A ClientHello in pieces.
    let mut connection = Connection::open(running.at(8443));
    for byte in tls.hello() {
        connection.send([byte]);
    }
    assert_eq!(connection.exactly(REPLY.len()), REPLY);
}

#[test]
fn tls_route_hostname_intersection() {
    let backend = tls_backend();
    let listeners = [
        (8441, Some("abc.example.com")),
        (8442, Some("*.example.com")),
        (8443, Some("*.com")),
        (8444, None),
    ];
    let mut cluster = Cluster::new().service("tls", &[backend.address()]);
    for (port, hostname) in listeners {
        let gateway = format!("gw-{port}");
        cluster = cluster.gateway(&gateway, &[passthrough("tls", port, hostname)]);
        let parents = json!([{ "name": gateway }]);
        let hosts = ["*.example.com", "other.com", "def.example.net"];
        cluster = tls_route(cluster, &gateway, parents, &hosts, "tls");
    }
    let running = cluster.start();
    for (name, ports) in [
        ("abc.example.com", &[8441, 8442, 8443, 8444][..]),
        ("abd.example.com", &[8442, 8443, 8444]),
        ("a.b.example.com", &[8442, 8443, 8444]),
        ("example.com", &[]),
        ("other.com", &[8443, 8444]),
        ("def.example.net", &[8444]),
        ("no.example.net", &[]),
    ] {
        for (port, _) in listeners {
            assert_eq!(
                reaches(&running, port, name),
                ports.contains(&port),
                "{name} {port}"
            );
        }
    }
}

#[track_caller]
fn check_refused(reference: Value) {
    let mut spec = route(gw(), "none");
    spec["hostnames"] = json!(["abc.example.com"]);
    spec["rules"][0]["backendRefs"] = json!([reference]);
    let running = Cluster::new()
        .gateway("gw", &[passthrough("tls", 8443, None)])
        .object("TLSRoute", "r", spec)
        .start();
    assert!(!reaches(&running, 8443, "abc.example.com"));
}

#[test]
fn tls_route_invalid_backend_ref_nonexistent() {
    check_refused(to("none"));
}

#[test]
fn tls_route_invalid_backend_ref_unknown_kind() {
    check_refused(json!({ "kind": "Other", "name": "none", "port": 80 }));
}

#[test]
fn tls_route_invalid_reference_grant() {
    check_refused(json!({ "namespace": "web", "name": "backend", "port": 80 }));
}

#[test]
fn tcp_route_multiple_routes_attachment() {
    let [v1, v2] = [greeter("v1"), greeter("v2")];
    let older = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "TCPRoute",
        "metadata": { "name": "z", "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": route(gw(), "v1"),
    });
    let mut newer = older.clone();
    newer["metadata"] =
        json!({ "name": "a", "namespace": "shop", "creationTimestamp": "2026-01-02T00:00:00Z" });
    newer["spec"] = route(gw(), "v2");
    let running = Cluster::new()
        .gateway("gw", &[listener("tcp", 9310, "TCP")])
        .service("v1", &[v1.address()])
        .service("v2", &[v2.address()])
        .any(older)
        .any(newer)
        .start();
    for _ in 0..10 {
        assert_eq!(greeting(&running, 9310), "v1");
    }
}

#[track_caller]
fn check_closed(reference: Value) {
    let mut spec = route(gw(), "none");
    spec["rules"][0]["backendRefs"] = json!([reference]);
    let running = Cluster::new()
        .gateway("gw", &[listener("tcp", 9300, "TCP")])
        .object("TCPRoute", "r", spec)
        .start();
    assert_eq!(greeting(&running, 9300), "");
}

#[test]
fn tcp_route_invalid_backend_ref_nonexistent() {
    check_closed(to("none"));
}

#[test]
fn tcp_route_invalid_cross_namespace_backend_ref() {
    check_closed(json!({ "namespace": "web", "name": "backend", "port": 80 }));
}

#[test]
fn tcp_route_reference_grant() {
    let v1 = greeter("v1");
    let parents = json!([{ "name": "gw", "namespace": "shop" }]);
    let mut spec = route(parents, "v1");
    spec["rules"][0]["backendRefs"][0]["namespace"] = json!("shop");
    let mut open = listener("tcp", 9320, "TCP");
    open["allowedRoutes"] = json!({ "namespaces": { "from": "All" } });
    let cluster = Cluster::new()
        .gateway("gw", &[open])
        .service("v1", &[v1.address()])
        .object_in("web", "TCPRoute", "r", spec);
    let granted = cluster.clone().object("ReferenceGrant", "grant", json!({
        "from": [{ "group": "gateway.networking.k8s.io", "kind": "TCPRoute", "namespace": "web" }],
        "to": [{ "group": "", "kind": "Service" }],
    }));
    let running = granted.start();
    assert_eq!(greeting(&running, 9320), "v1");
    cluster.replace(&running);
    assert_eq!(greeting(&running, 9320), "");
}

#[test]
fn tcp_route_parent_ref_attach_all() {
    let v1 = greeter("v1");
    let ports = [9310, 9311, 9312, 9313];
    let listeners = ports.map(|port| listener(&format!("tcp-{port}"), port, "TCP"));
    let running = Cluster::new()
        .gateway("gw", &listeners)
        .service("v1", &[v1.address()])
        .object("TCPRoute", "r", route(gw(), "v1"))
        .start();
    assert_eq!(ports.map(|port| greeting(&running, port)), ["v1"; 4]);
}

#[test]
fn tcp_route_parent_ref_port_and_section_name() {
    let backends = [greeter("v1"), greeter("v2"), greeter("v3")];
    let listeners = [
        listener("one", 9300, "TCP"),
        listener("two", 9301, "TCP"),
        listener("three", 9302, "TCP"),
    ];
    let running = Cluster::new()
        .gateway("gw", &listeners)
        .service("v1", &[backends[0].address()])
        .service("v2", &[backends[1].address()])
        .service("v3", &[backends[2].address()])
        .object(
            "TCPRoute",
            "one",
            route(json!([{ "name": "gw", "port": 9300 }]), "v1"),
        )
        .object(
            "TCPRoute",
            "two",
            route(json!([{ "name": "gw", "sectionName": "two" }]), "v2"),
        )
        .object(
            "TCPRoute",
            "three",
            route(
                json!([{ "name": "gw", "sectionName": "three", "port": 9302 }]),
                "v3",
            ),
        )
        .start();
    let greetings = [9300, 9301, 9302].map(|port| greeting(&running, port));
    assert_eq!(greetings, ["v1", "v2", "v3"]);
}

#[track_caller]
fn check_shares(counts: &BTreeMap<String, usize>) {
    let share = counts.get("v1").copied().unwrap_or_default() as f64 / CONNECTIONS as f64;
    assert!(
        (share - 0.7).abs() < 0.09 && !counts.contains_key("v3"),
        "{counts:?}"
    );
}

fn shares() -> Value {
    let backends = json!([weighted("v1", 70), weighted("v2", 30), weighted("v3", 0)]);
    json!({ "parentRefs": gw(), "rules": [{ "backendRefs": backends }] })
}

#[test]
fn tcp_route_weighted_routing() {
    let backends = [greeter("v1"), greeter("v2"), greeter("v3")];
    let running = Cluster::new()
        .gateway("gw", &[listener("tcp", 9300, "TCP")])
        .service("v1", &[backends[0].address()])
        .service("v2", &[backends[1].address()])
        .service("v3", &[backends[2].address()])
        .object("TCPRoute", "r", shares())
        .start();
    let mut counts = BTreeMap::new();
    for _ in 0..CONNECTIONS {
        *counts.entry(greeting(&running, 9300)).or_default() += 1;
    }
    check_shares(&counts);
}

/// A UDP Service whose backend responds to each datagram with its name.
fn udp_backend(cluster: Cluster, name: &'static str) -> Cluster {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    // Ends with the process.
    std::thread::spawn(move || {
        let mut datagram = [0; 64];
        while let Ok((_, from)) = socket.recv_from(&mut datagram) {
            let _ = socket.send_to(name.as_bytes(), from);
        }
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "shop" },
        "spec": { "ports": [{ "name": "dns", "port": 80, "protocol": "UDP" }] },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": name, "namespace": "shop", "labels": { "kubernetes.io/service-name": name } },
        "addressType": "IPv4",
        "ports": [{ "name": "dns", "port": address.port(), "protocol": "UDP" }],
        "endpoints": [{ "addresses": ["127.0.0.1"] }],
    });
    cluster.any(service).any(slice)
}

/// The response to a datagram of a new session, as soon as the port is open.
fn datagram(address: SocketAddr) -> String {
    wait::until("an open port", || {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        socket.send(b"?").ok()?;
        let mut response = [0; 64];
        // Fails if the port is closed.
        let length = socket.recv(&mut response).ok()?;
        Some(String::from_utf8_lossy(&response[..length]).into_owned())
    })
}

#[test]
fn udp_route() {
    // The same port as an HTTP listener.
    let http = listener("http", 5300, "HTTP");
    let cluster = Cluster::new().gateway("gw", &[listener("udp", 5300, "UDP"), http]);
    let running = udp_backend(cluster, "v1")
        .object("UDPRoute", "r", route(gw(), "v1"))
        .start();
    assert_eq!(datagram(running.at(5300)), "v1");
    running.check_at(5300, &[("/", "404")]);
}

#[test]
fn udp_route_multiple_routes_attachment() {
    let cluster = Cluster::new().gateway("gw", &[listener("udp", 5301, "UDP")]);
    let running = udp_backend(udp_backend(cluster, "v1"), "v2")
        .object("UDPRoute", "b", route(gw(), "v2"))
        .object("UDPRoute", "a", route(gw(), "v1"))
        .start();
    assert_eq!(datagram(running.at(5301)), "v1");
}

#[test]
fn udp_route_parent_ref_attach_all_listeners() {
    let ports = [5310, 5311, 5312];
    let listeners = ports.map(|port| listener(&format!("udp-{port}"), port, "UDP"));
    let cluster = udp_backend(Cluster::new().gateway("gw", &listeners), "v1");
    let running = cluster.object("UDPRoute", "r", route(gw(), "v1")).start();
    assert_eq!(ports.map(|port| datagram(running.at(port))), ["v1"; 3]);
}

#[test]
fn udp_route_parent_ref_port_and_section_name() {
    let listeners = [
        listener("one", 5300, "UDP"),
        listener("two", 5301, "UDP"),
        listener("three", 5302, "UDP"),
    ];
    let cluster = Cluster::new().gateway("gw", &listeners);
    let cluster = ["v1", "v2", "v3"].into_iter().fold(cluster, udp_backend);
    let running = cluster
        .object(
            "UDPRoute",
            "one",
            route(json!([{ "name": "gw", "port": 5300 }]), "v1"),
        )
        .object(
            "UDPRoute",
            "two",
            route(json!([{ "name": "gw", "sectionName": "two" }]), "v2"),
        )
        .object(
            "UDPRoute",
            "three",
            route(
                json!([{ "name": "gw", "sectionName": "three", "port": 5302 }]),
                "v3",
            ),
        )
        .start();
    let names = [5300, 5301, 5302].map(|port| datagram(running.at(port)));
    assert_eq!(names, ["v1", "v2", "v3"]);
}

#[test]
fn udp_route_weighted_routing() {
    let cluster = Cluster::new().gateway("gw", &[listener("udp", 5300, "UDP")]);
    let cluster = ["v1", "v2", "v3"].into_iter().fold(cluster, udp_backend);
    let running = cluster.object("UDPRoute", "r", shares()).start();
    let mut counts = BTreeMap::new();
    for _ in 0..CONNECTIONS {
        *counts.entry(datagram(running.at(5300))).or_default() += 1;
    }
    check_shares(&counts);
}
