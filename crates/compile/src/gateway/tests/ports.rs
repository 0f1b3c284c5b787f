//! Where Gateways are: sockets, addresses, and the Services that they need.

use super::*;
use crate::gateway::ConditionKind;
use crate::{Address, PublishedAddresses};

const RECORD: &str = "headgate-leader-gateway-ports";

/// A cluster with a record of local ports.
fn with_record() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.options.gateway = Some(GatewayOptions {
        ports: Some(Name::new("system", RECORD)),
        ..GatewayOptions::default()
    });
    cluster
}

fn gateway(cluster: &mut Cluster, name: &str, mut spec: Value) {
    spec["gatewayClassName"] = json!("headgate");
    cluster.apply(json!({
        "kind": "Gateway",
        "metadata": { "name": name, "namespace": "infra", "generation": 3, "uid": format!("uid-{name}") },
        "spec": spec,
    }));
}

fn http(port: u16) -> Value {
    json!({ "listeners": [{ "name": "http", "port": port, "protocol": "HTTP" }] })
}

fn record(cluster: &mut Cluster, data: Value) {
    cluster.apply(json!({
        "kind": "ConfigMap", "metadata": { "name": RECORD, "namespace": "system" }, "data": data,
    }));
}

fn service(cluster: &mut Cluster, owner: &str, status: Value) {
    cluster.apply(json!({
        "kind": "Service",
        "metadata": {
            "name": "one-headgate", "namespace": "infra",
            "ownerReferences": [{ "apiVersion": "v1", "kind": "Gateway", "name": "one", "uid": owner, "controller": true }],
        },
        "spec": { "type": "LoadBalancer", "clusterIP": "10.96.0.9" },
        "status": { "loadBalancer": { "ingress": status } },
    }));
}

/// `Accepted Programmed … sets=0 192.0.2.1` of a Gateway, and its first listener.
fn shown_gateway(cluster: &Cluster, name: &str) -> (String, String) {
    let StatusBody::Gateway { addresses, .. } = &cluster.status(Kind::Gateway, name).body else {
        unreachable!()
    };
    let values: Vec<_> = addresses.iter().map(|address| &*address.value).collect();
    let status = cluster.gateway_status(name);
    let mut lines = status.lines();
    let first = format!("{} [{}]", lines.next().unwrap(), values.join(" "));
    (first, lines.next().unwrap().to_owned())
}

fn sockets(cluster: &Cluster) -> Vec<(String, u16)> {
    let table = cluster.compiled.as_ref().unwrap().table();
    let tcp = table.listeners().iter();
    let tcp = tcp.map(|one| (one.address.to_string(), one.ports.own));
    let udp = table.udp_listeners().iter();
    let udp = udp.map(|one| (format!("udp {}", one.address), 0));
    let ports = [80, 443];
    tcp.chain(udp)
        .filter(|(address, _)| {
            !ports
                .iter()
                .any(|port| address.ends_with(&format!("0.0.0.0:{port}")))
        })
        .collect()
}

#[test]
fn sockets_are_on_the_local_ports_of_the_record() {
    let mut cluster = with_record();
    gateway(&mut cluster, "one", http(80));
    gateway(
        &mut cluster,
        "two",
        json!({ "listeners": [
            { "name": "http", "port": 80, "protocol": "HTTP" },
            { "name": "tcp", "port": 5300, "protocol": "TCP" },
            { "name": "udp", "port": 5300, "protocol": "UDP" },
        ] }),
    );
    cluster.compile_all();
    assert_eq!(sockets(&cluster), []);
    let (status, listener) = shown_gateway(&cluster, "infra/one");
    assert_eq!(
        status,
        "Accepted Programmed=AddressNotAssigned ResolvedRefs sets=0 []"
    );
    assert_eq!(listener, "http 0 Accepted Programmed=Pending ResolvedRefs");
    record(
        &mut cluster,
        json!({
            "20000": "infra/one:80/TCP",
            "20001": "infra/two:80/TCP",
            "20002": "infra/two:5300/UDP",
            "20003": "infra/two:5300/TCP unused since 2026-01-01T00:00:00Z",
        }),
    );
    cluster.compile_all();
    let expected = [
        ("0.0.0.0:20000", 80),
        ("0.0.0.0:20001", 80),
        ("udp 0.0.0.0:20002", 0),
    ];
    assert_eq!(
        sockets(&cluster),
        expected.map(|(at, port)| (at.to_owned(), port))
    );
    let services = cluster.compiled.as_ref().unwrap().gateway_services();
    let ports: Vec<_> = services
        .iter()
        .map(|one| (&*one.name.name, one.ports.values().collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        ports,
        [
            ("one-headgate", vec![&Some(20000)]),
            ("two-headgate", vec![&Some(20001), &None, &Some(20002)]),
        ]
    );
    service(&mut cluster, "uid-one", json!([]));
    cluster.compile_all();
    let (status, listener) = shown_gateway(&cluster, "infra/one");
    assert_eq!(
        status,
        "Accepted Programmed=AddressNotAssigned ResolvedRefs sets=0 []"
    );
    assert_eq!(listener, "http 0 Accepted Programmed ResolvedRefs");
    service(
        &mut cluster,
        "uid-one",
        json!([{ "hostname": "lb.example" }, { "ip": "192.0.2.1" }]),
    );
    cluster.compile_all();
    let (status, _) = shown_gateway(&cluster, "infra/one");
    assert_eq!(
        status,
        "Accepted Programmed ResolvedRefs sets=0 [192.0.2.1 lb.example]"
    );
    service(&mut cluster, "uid-other", json!([{ "ip": "192.0.2.1" }]));
    cluster.compile_all();
    let (status, _) = shown_gateway(&cluster, "infra/one");
    assert_eq!(status, "Accepted Programmed=Invalid ResolvedRefs sets=0 []");
}

#[test]
fn requested_addresses_are_those_of_the_service() {
    let mut cluster = with_record();
    let requested = |addresses: Value| {
        let mut spec = http(80);
        spec["addresses"] = addresses;
        spec
    };
    service(&mut cluster, "uid-one", json!([{ "ip": "192.0.2.1" }]));
    for (addresses, expected) in [
        (
            json!([{ "value": "192.0.2.1" }]),
            "Accepted Programmed ResolvedRefs sets=0 [192.0.2.1]",
        ),
        (
            json!([{ "value": "192.0.2.1" }, { "value": "192.0.2.2" }]),
            "Accepted Programmed=AddressNotUsable ResolvedRefs sets=0 [192.0.2.1]",
        ),
        (
            json!([{ "type": "test/x", "value": "y" }]),
            "Accepted=UnsupportedAddress Programmed=Invalid ResolvedRefs sets=0 []",
        ),
        (
            json!([{ "type": "IPAddress" }]),
            "Accepted Programmed ResolvedRefs sets=0 [192.0.2.1]",
        ),
    ] {
        gateway(&mut cluster, "one", requested(addresses));
        cluster.compile_all();
        assert_eq!(shown_gateway(&cluster, "infra/one").0, expected);
    }
}

#[test]
fn a_port_in_use_is_not_available() {
    let mut cluster = Cluster::new();
    cluster.options.reserved_ports = vec![(10254, "the admin port")];
    gateway(
        &mut cluster,
        "one",
        json!({ "listeners": [
            { "name": "ingress", "port": 80, "protocol": "HTTP" },
            { "name": "admin", "port": 10254, "protocol": "HTTP" },
            { "name": "admin-udp", "port": 10254, "protocol": "UDP" },
            { "name": "free", "port": 8080, "protocol": "HTTP" },
        ] }),
    );
    gateway(&mut cluster, "two", http(8080));
    let mut elsewhere = http(8080);
    elsewhere["addresses"] = json!([{ "value": "127.0.0.2" }]);
    gateway(&mut cluster, "three", elsewhere);
    cluster.compile_all();
    let expected = [
        ("0.0.0.0:8080", 8080),
        ("127.0.0.2:8080", 8080),
        ("udp 0.0.0.0:10254", 0),
    ];
    assert_eq!(
        sockets(&cluster),
        expected.map(|(at, port)| (at.to_owned(), port))
    );
    let (good, taken) = (
        "Accepted Programmed ResolvedRefs",
        "Accepted=PortUnavailable Programmed=Invalid ResolvedRefs",
    );
    assert_eq!(
        cluster.gateway_status("infra/one"),
        format!(
            "Accepted:ListenersNotValid Programmed ResolvedRefs sets=0\n\
             ingress 0 {taken}\nadmin 0 {taken}\nadmin-udp 0 {good}\nfree 0 {good}"
        )
    );
    let two = |cluster: &Cluster| cluster.gateway_status("infra/two");
    assert!(
        two(&cluster).starts_with("Accepted=ListenersNotValid"),
        "{}",
        two(&cluster)
    );
    assert_eq!(
        shown_gateway(&cluster, "infra/three").0,
        format!("{good} sets=0 [127.0.0.2]")
    );
    cluster.delete(Kind::Gateway, "infra/one");
    cluster.compile_all();
    assert!(
        two(&cluster).ends_with(&format!("http 0 {good}")),
        "{}",
        two(&cluster)
    );
}

#[test]
fn sockets_of_the_process_have_its_published_addresses() {
    let mut cluster = Cluster::new();
    let published = vec![Address::Hostname("edge.example".into())];
    cluster.options.gateway = Some(GatewayOptions {
        published: Some(PublishedAddresses::Fixed(published)),
        ..GatewayOptions::default()
    });
    gateway(&mut cluster, "one", http(8080));
    cluster.compile_all();
    let (status, _) = shown_gateway(&cluster, "infra/one");
    assert_eq!(
        status,
        "Accepted Programmed ResolvedRefs sets=0 [edge.example]"
    );
}

#[test]
fn parameters_are_those_of_the_gateway_then_of_the_class() {
    let mut cluster = with_record();
    let reference =
        |kind: &str, name: &str| json!({ "group": "headgate.dev", "kind": kind, "name": name });
    let with = |kind: &str, name: &str| {
        let mut spec = http(80);
        spec["infrastructure"] = json!({ "parametersRef": reference(kind, name) });
        spec
    };
    let status = |cluster: &mut Cluster| {
        cluster.compile_all();
        let status = cluster.gateway_status("infra/one");
        status.split(' ').next().unwrap().to_owned()
    };
    for (kind, name) in [("Other", "own"), ("HeadgateParameters", "own")] {
        gateway(&mut cluster, "one", with(kind, name));
        assert_eq!(status(&mut cluster), "Accepted=InvalidParameters");
    }
    let parameters = |namespace: &str, name: &str, service: Value| {
        json!({
            "kind": "HeadgateParameters", "metadata": { "name": name, "namespace": namespace }, "spec": { "service": service },
        })
    };
    cluster.apply(parameters("infra", "own", json!({ "type": "Other" })));
    assert_eq!(status(&mut cluster), "Accepted=InvalidParameters");
    let services = |cluster: &Cluster| {
        cluster.compiled.as_ref().unwrap().gateway_services()[0]
            .parameters
            .clone()
    };
    assert_eq!(services(&cluster), None);
    cluster.apply(parameters(
        "infra",
        "own",
        json!({ "type": "NodePort", "labels": { "a": "own" } }),
    ));
    assert_eq!(status(&mut cluster), "Accepted");
    let mut of_class = reference("HeadgateParameters", "all");
    of_class["namespace"] = json!("system");
    cluster.apply(json!({
        "kind": "GatewayClass", "metadata": { "name": "headgate" },
        "spec": { "controllerName": "headgate.dev/gateway-controller", "parametersRef": of_class },
    }));
    assert_eq!(status(&mut cluster), "Accepted=InvalidParameters");
    let defaults = json!({ "type": "ClusterIP", "labels": { "a": "all", "b": "all" }, "ipFamilyPolicy": "SingleStack" });
    cluster.apply(parameters("system", "all", defaults));
    assert_eq!(status(&mut cluster), "Accepted");
    let class = ObjectRef {
        kind: Kind::GatewayClass,
        name: Name::new("", "headgate"),
    };
    let StatusBody::GatewayClass { conditions, .. } =
        &cluster.compiled.as_ref().unwrap().gateway_statuses()[&class].body
    else {
        unreachable!()
    };
    assert!(
        conditions
            .iter()
            .any(|one| one.kind == ConditionKind::Accepted && one.holds)
    );
    let found = services(&cluster).unwrap();
    assert_eq!(found.kind.as_deref(), Some("NodePort"));
    assert_eq!(found.ip_family_policy.as_deref(), Some("SingleStack"));
    let labels: Vec<_> = found.labels.values().collect();
    assert_eq!(labels, ["own", "all"]);
}
