//! The Services of Gateways over real HTTP.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use headgate_cluster::gateway_services::{
    GatewayServiceInput, GatewayServiceOptions, GatewayServiceWriter,
};
use headgate_cluster::lease::{Leader, Leadership};
use headgate_compile::gateway::GatewayService;
use headgate_compile::objects::custom::ServiceParameters;
use headgate_compile::{Name, Protocol};
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use write::World;

const RECORD: &str = "headgate-leader-gateway-ports";

/// What the chart allows.
fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list", "watch", "create", "update", "delete"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch", "create", "update", "delete"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [RECORD], "verbs": ["get", "update"]},
    ])
}

/// An API server with namespaces.
fn world() -> World {
    let world = World::start();
    for name in ["infra", "ingress"] {
        world
            .api
            .replace(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    world
}

/// Waits, woken by changes of any object. The record exists from the first pass on.
#[track_caller]
fn until(world: &World, mut condition: impl FnMut() -> bool) {
    world
        .api
        .until("ConfigMap", "ingress", RECORD, |_| condition());
}

struct Writer {
    input: watch::Sender<Option<GatewayServiceInput>>,
    _leadership: watch::Sender<Leadership>,
    _stop: oneshot::Sender<()>,
}

impl Writer {
    fn start(world: &World) -> Self {
        let client = world.client_with("headgate", &rules());
        let options = GatewayServiceOptions {
            controller: "headgate.dev/gateway-controller".into(),
            record: Name::new("ingress", RECORD),
            range: 20000..=20003,
            endpoints: Name::new("ingress", "headgate-controller"),
        };
        let writer = GatewayServiceWriter::new(client, options);
        let (input, inputs) = watch::channel(None);
        let leader = Leader::new(Instant::now() + Duration::from_secs(3600));
        let (leadership, follower) = watch::channel(Leadership::Leader(leader));
        let (stop, stopped) = oneshot::channel::<()>();
        world.runtime.spawn(writer.run(inputs, follower, async {
            let _ = stopped.await;
        }));
        Self {
            input,
            _leadership: leadership,
            _stop: stop,
        }
    }

    fn send(&self, services: &[GatewayService], foreign: &[&str]) {
        self.input.send_replace(Some(GatewayServiceInput {
            services: services.to_vec(),
            foreign: foreign.iter().map(|uid| Arc::from(*uid)).collect(),
        }));
    }
}

fn service(gateway: &str, ports: &[(u16, Protocol, Option<u16>)]) -> GatewayService {
    let ports = ports
        .iter()
        .map(|(port, protocol, local)| ((*port, *protocol), *local));
    GatewayService {
        gateway: Name::new("infra", gateway),
        uid: format!("uid-{gateway}").into(),
        name: Name::new("infra", &format!("{gateway}-headgate")),
        labels: BTreeMap::from([(
            "gateway.networking.k8s.io/gateway-name".to_owned(),
            gateway.to_owned(),
        )]),
        annotations: BTreeMap::new(),
        ports: ports.collect(),
        parameters: Some(ServiceParameters::default()),
        load_balancer_ip: None,
    }
}

fn own_slice(world: &World, name: &str, endpoints: Value) {
    world.api.replace(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "ingress", "labels": {"kubernetes.io/service-name": "headgate-controller"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80}], "endpoints": endpoints,
    }));
}

fn record(world: &World) -> Value {
    let map = world.api.get("ConfigMap", "ingress", RECORD);
    map.map_or(Value::Null, |map| map["data"].clone())
}

fn present(world: &World, name: &str) -> Option<Value> {
    world.api.get("Service", "infra", name)
}

fn slices(world: &World) -> Vec<Value> {
    let all = world.api.list("EndpointSlice").into_iter();
    all.filter(|slice| slice["metadata"]["namespace"] == "infra")
        .collect()
}

#[test]
fn services_follow_gateways() {
    let world = world();
    own_slice(
        &world,
        "own-1",
        json!([
            {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "one"},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false, "serving": true, "terminating": true}},
        ]),
    );
    let writer = Writer::start(&world);
    let tcp = Protocol::Tcp;
    let wanted = |local| {
        [service(
            "same",
            &[(80, tcp, local), (53, Protocol::Udp, local.map(|_| 20000))],
        )]
    };
    writer.send(&wanted(None), &[]);
    until(&world, || {
        record(&world) == json!({"20000": "infra/same:53/UDP", "20001": "infra/same:80/TCP"})
    });
    assert_eq!(
        present(&world, "same-headgate"),
        None,
        "no socket is open yet"
    );

    writer.send(&wanted(Some(20001)), &[]);
    until(&world, || slices(&world).len() == 1);
    let made = present(&world, "same-headgate").unwrap();
    let ports = made["spec"]["ports"].as_array().unwrap().iter();
    let ports: Vec<_> = ports
        .map(|port| format!("{} {} {}", port["name"], port["port"], port["targetPort"]))
        .collect();
    assert_eq!(ports, ["\"udp-53\" 53 20000", "\"tcp-80\" 80 20001"]);
    assert_eq!(made["spec"]["type"], "LoadBalancer");
    assert_eq!(made["spec"]["selector"], Value::Null);
    assert_eq!(made["metadata"]["ownerReferences"][0]["uid"], "uid-same");
    let slice = &slices(&world)[0];
    assert_eq!(
        slice["metadata"]["ownerReferences"][0]["uid"],
        made["metadata"]["uid"]
    );
    assert_eq!(slice["endpoints"][0]["nodeName"], "one");
    assert_eq!(slice["endpoints"][1]["conditions"]["terminating"], true);
    assert_eq!(
        slice["ports"][1],
        json!({"name": "tcp-80", "port": 20001, "protocol": "TCP"})
    );

    // Nothing is written when nothing changes: the next pass writes only what the next input needs.
    let of_same = |world: &World| {
        let mut all = slices(world).into_iter();
        all.find(|slice| {
            slice["metadata"]["labels"]["kubernetes.io/service-name"] == "same-headgate"
        })
        .unwrap()
    };
    let versions = |world: &World| {
        let of = |object: &Value| object["metadata"]["resourceVersion"].clone();
        (
            of(&present(world, "same-headgate").unwrap()),
            of(&of_same(world)),
        )
    };
    let before = versions(&world);
    let mut two = wanted(Some(20001)).to_vec();
    two.push(service("other", &[(80, tcp, Some(20002))]));
    writer.send(&two, &[]);
    until(&world, || {
        present(&world, "other-headgate").is_some() && slices(&world).len() == 2
    });
    assert_eq!(versions(&world), before);

    own_slice(&world, "own-1", json!([{"addresses": ["10.0.0.3"]}]));
    writer.send(&two, &[]);
    until(&world, || {
        slices(&world)
            .iter()
            .all(|slice| slice["endpoints"][0]["addresses"][0] == "10.0.0.3")
    });
    own_slice(&world, "own-2", json!([{"addresses": ["10.0.0.4"]}]));
    writer.send(&two, &[]);
    until(&world, || slices(&world).len() == 4);
    world.api.delete("EndpointSlice", "ingress", "own-1");
    writer.send(&two, &[]);
    until(&world, || slices(&world).len() == 2);

    writer.send(&two[..1], &["uid-other"]);
    until(&world, || present(&world, "other-headgate").is_none());
    let record = record(&world);
    assert!(
        record["20002"]
            .as_str()
            .unwrap()
            .starts_with("infra/other:80/TCP unused since "),
        "{record}"
    );
    assert_eq!(record["20001"], "infra/same:80/TCP");
}

#[test]
fn a_service_of_something_else_is_left_alone() {
    let world = world();
    own_slice(&world, "own-1", json!([{"addresses": ["10.0.0.1"]}]));
    let theirs = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "same-headgate", "namespace": "infra"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}},
    });
    world.api.replace(theirs);
    let before = present(&world, "same-headgate");
    let writer = Writer::start(&world);
    let tcp = Protocol::Tcp;
    let both = [
        service("other", &[(80, tcp, Some(20000))]),
        service("same", &[(80, tcp, Some(20001))]),
    ];
    writer.send(&both, &["uid-same"]);
    until(&world, || slices(&world).len() == 1);
    writer.send(&both, &["uid-same"]);
    let mut again = both;
    again[0].annotations.insert("a".into(), "b".into());
    writer.send(&again, &["uid-same"]);
    until(&world, || {
        present(&world, "other-headgate").unwrap()["metadata"]["annotations"]["a"] == "b"
    });
    assert_eq!(present(&world, "same-headgate"), before);
}

#[test]
fn what_others_set_stays_and_what_is_no_longer_wanted_goes() {
    let world = world();
    own_slice(&world, "own-1", json!([{"addresses": ["10.0.0.1"]}]));
    let writer = Writer::start(&world);
    let mut wanted = service("same", &[(80, Protocol::Tcp, Some(20000))]);
    wanted
        .annotations
        .insert("example.com/a".into(), "1".into());
    wanted.parameters = Some(ServiceParameters {
        external_traffic_policy: Some("Local".into()),
        load_balancer_source_ranges: Some(vec!["192.0.2.0/24".into()]),
        ..ServiceParameters::default()
    });
    writer.send(&[wanted.clone()], &[]);
    until(&world, || present(&world, "same-headgate").is_some());
    let mut changed = present(&world, "same-headgate").unwrap();
    assert_eq!(changed["spec"]["externalTrafficPolicy"], "Local");
    assert_eq!(
        changed["spec"]["loadBalancerSourceRanges"],
        json!(["192.0.2.0/24"])
    );
    changed["metadata"]["annotations"]["cloud.example/id"] = json!("lb-1");
    changed["spec"]["ports"][0]["targetPort"] = json!(9);
    world.api.replace(changed);
    wanted.annotations.clear();
    wanted.parameters = Some(ServiceParameters::default());
    writer.send(&[wanted], &[]);
    let service = || present(&world, "same-headgate").unwrap();
    until(&world, || {
        service()["spec"]["ports"][0]["targetPort"] == 20000
    });
    let annotations = service()["metadata"]["annotations"].clone();
    let names: BTreeSet<_> = annotations.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        names,
        ["cloud.example/id", "headgate.dev/gateway-controller"]
            .map(str::to_owned)
            .into()
    );
    assert_eq!(service()["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(service()["spec"]["loadBalancerSourceRanges"], Value::Null);
}
