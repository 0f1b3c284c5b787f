//! Statuses that the official conformance suite asserts, by the names of its tests. Those of its tests that are about traffic
//! are among the traffic tests.

use serde_json::{Value, json};

use super::{Cluster, backend};
use crate::Kind;
use crate::gateway::StatusBody;

const HTTP: &str = r#"[{ "name": "http", "port": 8080, "protocol": "HTTP" }]"#;

/// A cluster with Gateway `gw`, which has these listeners.
fn with(listeners: Value) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.gateway("gw", json!({ "listeners": listeners }));
    cluster
}

fn http() -> Value {
    serde_json::from_str(HTTP).unwrap()
}

/// The status of a route of `kind` with this parent, and the number of routes of the first listener.
fn status(cluster: &mut Cluster, kind: (Kind, &str), parent: Value, hostnames: Value) -> String {
    let mut spec = json!({ "parentRefs": [parent], "rules": [{ "backendRefs": [backend("v1")] }] });
    if !hostnames.is_null() {
        spec["hostnames"] = hostnames;
    }
    cluster.route_of(kind.1, "r", spec);
    cluster.compile_all();
    let status = cluster.status_of(kind.0, "infra/r");
    let gateway = cluster.gateway_status("infra/gw");
    let listener = gateway.lines().nth(1).unwrap_or_default();
    let attached = listener.split(' ').nth(1).unwrap_or_default();
    format!("{status}, {attached} attached")
}

const OF_HTTP: (Kind, &str) = (Kind::HttpRoute, "HTTPRoute");
const OF_TLS: (Kind, &str) = (Kind::TlsRoute, "TLSRoute");
const OF_TCP: (Kind, &str) = (Kind::TcpRoute, "TCPRoute");
const OF_UDP: (Kind, &str) = (Kind::UdpRoute, "UDPRoute");
const NOT_ALLOWED: &str = "Accepted=NotAllowedByListeners ResolvedRefs, 0 attached";
const NO_PARENT: &str = "Accepted=NoMatchingParent ResolvedRefs, 0 attached";

#[track_caller]
fn check(listeners: Value, kind: (Kind, &str), parent: Value, expected: &str) {
    let found = status(&mut with(listeners), kind, parent, Value::Null);
    assert_eq!(found, expected);
}

#[test]
fn http_route_disallowed_kind() {
    let mut listeners = http();
    listeners[0]["protocol"] = json!("TLS");
    listeners[0]["tls"] = json!({ "mode": "Passthrough" });
    listeners[0]["allowedRoutes"] = json!({ "kinds": [{ "kind": "TLSRoute" }] });
    check(listeners, OF_HTTP, json!({ "name": "gw" }), NOT_ALLOWED);
}

#[test]
fn http_route_invalid_cross_namespace_parent_ref() {
    let mut cluster = with(http());
    cluster.service("web", "v1", 9);
    cluster.apply(json!({
        "kind": "HTTPRoute", "metadata": { "name": "r", "namespace": "web" },
        "spec": {
            "parentRefs": [{ "name": "gw", "namespace": "infra" }],
            "rules": [{ "backendRefs": [backend("v1")] }],
        },
    }));
    cluster.compile_all();
    assert_eq!(
        cluster.route_status("web/r"),
        "Accepted=NotAllowedByListeners ResolvedRefs"
    );
}

#[test]
fn http_route_invalid_parent_ref_not_matching_section_name() {
    let parent = json!({ "name": "gw", "sectionName": "other" });
    check(http(), OF_HTTP, parent, NO_PARENT);
}

#[test]
fn http_route_invalid_parent_ref_not_matching_listener_port() {
    check(
        http(),
        OF_HTTP,
        json!({ "name": "gw", "port": 81 }),
        NO_PARENT,
    );
}

#[test]
fn http_route_invalid_parent_ref_section_name_not_matching_port() {
    let parent = json!({ "name": "gw", "sectionName": "http", "port": 81 });
    check(http(), OF_HTTP, parent, NO_PARENT);
}

#[test]
fn http_route_observed_generation_bump() {
    let mut cluster = with(http());
    status(&mut cluster, OF_HTTP, json!({ "name": "gw" }), Value::Null);
    cluster.apply(json!({
        "kind": "HTTPRoute",
        "metadata": { "name": "r", "namespace": "infra", "generation": 6 },
        "spec": { "parentRefs": [{ "name": "gw" }], "rules": [{ "backendRefs": [backend("v1")] }] },
    }));
    cluster.compile_all();
    let status = cluster.status(Kind::HttpRoute, "infra/r");
    assert_eq!(status.generation, 6);
    assert!(matches!(&status.body, StatusBody::Route { parents } if parents.len() == 1));
}

#[test]
fn tls_route_invalid_no_matching_listener_hostname() {
    let passthrough = |hostname: &str| json!([{ "name": "tls", "port": 443, "protocol": "TLS", "hostname": hostname, "tls": { "mode": "Passthrough" } }]);
    for (listener, route) in [
        ("abc.example.com", "other.example.com"),
        ("*.example.com", "abc.example.org"),
    ] {
        let mut cluster = with(passthrough(listener));
        let found = status(
            &mut cluster,
            OF_TLS,
            json!({ "name": "gw" }),
            json!([route]),
        );
        let expected = "Accepted=NoMatchingListenerHostname ResolvedRefs, 0 attached";
        assert_eq!(found, expected, "{listener} {route}");
    }
}

#[test]
fn tls_route_invalid_no_matching_listener() {
    let parent = || json!({ "name": "gw" });
    check(http(), OF_TLS, parent(), NOT_ALLOWED);
    let mut https = http();
    https[0]["protocol"] = json!("HTTPS");
    check(https, OF_TLS, parent(), NOT_ALLOWED);
    let section = json!({ "name": "gw", "sectionName": "none" });
    check(http(), OF_TLS, section, NO_PARENT);
}

#[test]
fn tcp_route_invalid_non_tcp_listener() {
    check(http(), OF_TCP, json!({ "name": "gw" }), NOT_ALLOWED);
}

#[test]
fn udp_route_not_allowed_by_listeners() {
    let listeners = json!([{ "name": "tls", "port": 443, "protocol": "TLS", "tls": { "mode": "Passthrough" } }]);
    // The Service has no port for UDP.
    let expected = "Accepted=NotAllowedByListeners ResolvedRefs=BackendNotFound, 0 attached";
    check(listeners, OF_UDP, json!({ "name": "gw" }), expected);
}

#[test]
fn udp_route_invalid_backend_refs() {
    let udp = || json!([{ "name": "udp", "port": 5300, "protocol": "UDP" }]);
    // The Service has the port for TCP only.
    let expected = "Accepted ResolvedRefs=BackendNotFound, 1 attached";
    check(udp(), OF_UDP, json!({ "name": "gw" }), expected);
    let mut cluster = with(udp());
    let reference = json!({ "name": "v1", "namespace": "web", "port": 8080 });
    let spec =
        json!({ "parentRefs": [{ "name": "gw" }], "rules": [{ "backendRefs": [reference] }] });
    cluster.route_of("UDPRoute", "r", spec);
    cluster.compile_all();
    let found = cluster.status_of(Kind::UdpRoute, "infra/r");
    assert_eq!(found, "Accepted ResolvedRefs=RefNotPermitted");
}

#[test]
fn tls_route_listener_passthrough_supported_kinds() {
    let mut cluster = with(json!([{
        "name": "tls", "port": 443, "protocol": "TLS", "tls": { "mode": "Passthrough" },
        "allowedRoutes": { "kinds": [{ "kind": "TCPRoute" }, { "kind": "TLSRoute" }] },
    }]));
    cluster.compile_all();
    let shown = cluster.gateway_status("infra/gw");
    assert!(shown.contains("ResolvedRefs=InvalidRouteKinds"), "{shown}");
    match &cluster.status(Kind::Gateway, "infra/gw").body {
        StatusBody::Gateway { listeners, .. } => {
            assert_eq!(listeners[0].kinds, [Kind::TlsRoute]);
        }
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_grant_concerns_only_references_into_its_namespace() {
    let mut cluster = with(http());
    cluster.service("web", "other", 9);
    let route = |cluster: &mut Cluster, name: &str, reference: Value| {
        let spec = json!({ "parentRefs": [{ "name": "gw" }], "rules": [{
            "matches": [{ "path": { "type": "Exact", "value": format!("/{name}") } }],
            "backendRefs": [reference],
        }] });
        cluster.route(name, spec);
    };
    route(&mut cluster, "inside", backend("v1"));
    let outside = json!({ "name": "other", "namespace": "web", "port": 8080 });
    route(&mut cluster, "outside", outside);
    cluster.compile_all();
    let statuses = |cluster: &Cluster| {
        ["infra/inside", "infra/outside"].map(|name| cluster.route_status(name))
    };
    let refused = [
        "Accepted ResolvedRefs",
        "Accepted ResolvedRefs=RefNotPermitted",
    ];
    assert_eq!(statuses(&cluster), refused);
    for (namespace, granted) in [("infra", false), ("web", true)] {
        cluster.apply(json!({
            "kind": "ReferenceGrant",
            "metadata": { "name": "grant", "namespace": namespace },
            "spec": {
                "from": [{ "group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "infra" }],
                "to": [{ "group": "", "kind": "Service" }],
            },
        }));
        // Also compares with a compilation of everything.
        cluster.compile_all();
        let is_resolved = statuses(&cluster)[1] == "Accepted ResolvedRefs";
        assert_eq!(is_resolved, granted, "{namespace}");
    }
    cluster.delete(Kind::ReferenceGrant, "web/grant");
    cluster.compile_all();
    assert_eq!(statuses(&cluster), refused);
}

/// Applies a ListenerSet of Gateway `gw` with these listeners.
fn listener_set(cluster: &mut Cluster, name: &str, listeners: Value) {
    cluster.apply(json!({
        "kind": "ListenerSet", "metadata": { "name": name, "namespace": "infra" },
        "spec": { "parentRef": { "name": "gw" }, "listeners": listeners },
    }));
}

fn reasons(cluster: &Cluster, set: &str) -> Vec<String> {
    let StatusBody::ListenerSet { listeners, .. } = &cluster.status(Kind::ListenerSet, set).body
    else {
        unreachable!()
    };
    let reasons = listeners.iter().map(|listener| {
        let accepted = listener
            .conditions
            .iter()
            .find(|one| one.kind.as_str() == "Accepted");
        format!("{} {}", listener.name, accepted.unwrap().reason)
    });
    reasons.collect()
}

#[test]
fn listener_set_hostname_and_protocol_conflict() {
    let listener = |name: &str, protocol: &str, hostname: Option<&str>| json!({ "name": name, "port": 8080, "protocol": protocol, "hostname": hostname });
    let mut cluster = Cluster::new();
    cluster.gateway(
        "gw",
        json!({
            "allowedListeners": { "namespaces": { "from": "Same" } },
            "listeners": [listener("own", "HTTP", Some("a.test"))],
        }),
    );
    let first = json!([
        listener("same", "HTTP", Some("a.test")),
        listener("other", "HTTP", Some("b.test")),
        listener("tcp", "TCP", None),
        listener("udp", "UDP", None),
    ]);
    listener_set(&mut cluster, "first", first);
    let second = json!([
        listener("again", "HTTP", Some("b.test")),
        listener("third", "HTTP", Some("c.test")),
        listener("udp", "UDP", None),
    ]);
    listener_set(&mut cluster, "second", second);
    cluster.compile_all();
    assert_eq!(
        reasons(&cluster, "infra/first"),
        [
            "same HostnameConflict",
            "other Accepted",
            "tcp ProtocolConflict",
            "udp Accepted"
        ]
    );
    assert_eq!(
        reasons(&cluster, "infra/second"),
        [
            "again HostnameConflict",
            "third Accepted",
            "udp HostnameConflict"
        ]
    );
}
