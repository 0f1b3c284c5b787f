//! The Gateway API: watches while its CRDs are installed, and statuses, which the leader writes.

use std::net::TcpListener;

use headgate_apiserver::{Effect, Fault, Options, Recorded};
use headgate_testkit::{Program, Request};
use serde_json::{Value, json};

use super::roles;
use super::support::{backend, ingress, stop, until_logged, until_metric, until_served_by};
use super::testenv::{TestEnv, until, until_leader};

pub(super) const GROUP: &str = "gateway.networking.k8s.io";
pub(super) const CONTROLLER: &str = "headgate.dev/gateway-controller";
pub(super) const ENABLED: &str = "--enable-gateway-api";
/// Gateways listen on their own ports; nothing here leads from a Service to others.
const OWN_PORTS: &str = "--gateway-port-range=none";
/// The kinds, by plural.
const KINDS: [&str; 10] = [
    "gatewayclasses",
    "gateways",
    "listenersets",
    "httproutes",
    "grpcroutes",
    "tlsroutes",
    "tcproutes",
    "udproutes",
    "backendtlspolicies",
    "referencegrants",
];

/// A CRD of the Gateway API that serves these versions.
fn definition(plural: &str, versions: &[&str]) -> Value {
    definition_in(GROUP, plural, versions)
}

/// A CRD of this group that serves these versions.
pub(super) fn definition_in(group: &str, plural: &str, versions: &[&str]) -> Value {
    let versions = versions.iter();
    let versions: Vec<Value> = versions
        .map(|name| json!({"name": name, "served": true, "storage": true}))
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {
                "gateway.networking.k8s.io/bundle-version": "v1.6.1",
                "gateway.networking.k8s.io/channel": "standard",
            },
        },
        "spec": {"group": group, "versions": versions},
    })
}

/// Installs the CRDs of all kinds.
pub(super) fn install(env: &TestEnv) {
    for plural in KINDS {
        env.api.create(definition(plural, &["v1"]));
    }
}

/// A GatewayClass of this controller; its name is not that of this test alone, so that Gateways can refer to it.
pub(super) fn class(name: &str) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "GatewayClass", "metadata": {"name": name},
        "spec": {"controllerName": CONTROLLER},
    })
}

pub(super) fn gateway(env: &TestEnv, name: &str, port: u16) -> Value {
    json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": "Gateway",
        "metadata": {"name": name, "namespace": env.namespace()},
        "spec": {
            "gatewayClassName": "headgate",
            "listeners": [{"name": "http", "port": port, "protocol": "HTTP"}],
        },
    })
}

pub(super) fn route(env: &TestEnv, kind: &str, name: &str, parent: &str, service: &str) -> Value {
    let mut route = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": kind,
        "metadata": {"name": name, "namespace": env.namespace()},
        "spec": {
            "parentRefs": [{"name": parent}],
            "rules": [{"backendRefs": [{"name": service, "port": 80}]}],
        },
    });
    if kind != "TCPRoute" && kind != "UDPRoute" {
        route["spec"]["hostnames"] = json!([format!("{name}.test")]);
    }
    route
}

/// A port that nothing listens on.
pub(super) fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// `None` at a real cluster, whose CRDs several tests cannot share.
pub(super) fn in_memory() -> Option<TestEnv> {
    let env = TestEnv::new();
    (!env.is_real_cluster()).then_some(env)
}

/// Conditions by type, as `Accepted=True/Accepted@1`, sorted.
fn conditions(value: &Value) -> Vec<String> {
    let all = value["conditions"].as_array().into_iter().flatten();
    let all = all.map(|one| {
        let text = |field: &str| one[field].as_str().unwrap_or_default().to_owned();
        format!(
            "{}={}/{}@{}",
            text("type"),
            text("status"),
            text("reason"),
            one["observedGeneration"]
        )
    });
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
}

pub(super) fn is_accepted(object: &Value) -> bool {
    let generation = &object["metadata"]["generation"];
    let expected = format!("Accepted=True/Accepted@{generation}");
    let status = &object["status"];
    let parents = status["parents"].as_array().into_iter().flatten();
    let own = parents.filter(|parent| parent["controllerName"] == CONTROLLER);
    own.chain([status])
        .any(|one| conditions(one).contains(&expected))
}

#[track_caller]
pub(super) fn until_accepted(env: &TestEnv, kind: &str, name: &str) {
    env.until(kind, name, is_accepted);
}

fn status_writes(env: &TestEnv, plural: &str, name: &str) -> Vec<Recorded> {
    let mut requests = env.api.requests();
    requests.retain(|request| {
        let writes = ["patch", "update"].contains(&&*request.verb);
        writes && request.resource == format!("{plural}/status") && request.name == name
    });
    requests
}

/// Waits until the echo upstream of this name serves a host on a port.
#[track_caller]
fn until_served_on(port: u16, host: &str, name: &str) {
    let address = ([127, 0, 0, 1], port).into();
    until("the route", || {
        let response = Request::get("/").host(host).try_send(address);
        response.is_ok_and(|response| response.status == 200 && response.echo().name() == name)
    });
}

#[track_caller]
fn until_refused(port: u16) {
    let address = ([127, 0, 0, 1], port).into();
    until("the end of the listener", || {
        Request::get("/")
            .host("web.test")
            .try_send(address)
            .is_err()
    });
}

#[test]
fn kinds_are_watched_while_their_crds_are_installed() {
    let Some(env) = in_memory() else { return };
    let web = env.start_echo("web");
    env.load(backend("web", &[web.address()]));
    env.create(ingress("web", "a.test", "web"));
    let program = env.controller(&[ENABLED, OWN_PORTS]);
    until_served_by(&program, "a.test", "web");
    let asked = |env: &TestEnv| {
        let requests = env.api.requests();
        let mut requests = requests.iter();
        requests.any(|request| request.path.contains(GROUP))
    };
    assert!(!asked(&env), "without CRDs nothing is asked");
    let requests = env.api.requests();
    let definitions = |request: &&Recorded| request.resource == "customresourcedefinitions";
    let metadata = |request: &Recorded| request.accept.contains("PartialObjectMetadata");
    assert!(requests.iter().filter(definitions).all(metadata));

    let port = free_port();
    for _ in 0..2 {
        install(&env);
        env.api.create(class("headgate"));
        env.api.create(gateway(&env, "gate", port));
        env.api
            .create(route(&env, "HTTPRoute", "web", "gate", "web"));
        until_accepted(&env, "HTTPRoute", "web");
        until_served_on(port, "web.test", "web");
        until_served_by(&program, "a.test", "web");
        for plural in KINDS {
            env.api
                .delete("CustomResourceDefinition", "", &format!("{plural}.{GROUP}"));
        }
        until_refused(port);
    }
    until_metric(&program, "headgate_objects", &["kind=\"Gateway\""], 0.0);
    let log = program.stderr();
    let expected = ["flags without effect", "there is no ConfigMap"];
    let is_expected = |line: &str| expected.iter().any(|text| line.contains(text));
    let alarming = log
        .iter()
        .find(|line| (line.contains(" WARN ") || line.contains("ERROR ")) && !is_expected(line));
    assert_eq!(alarming, None);
    stop(&program);
}

#[test]
fn a_replica_that_starts_lists_the_installed_kinds_before_it_is_ready() {
    let Some(env) = in_memory() else { return };
    let web = env.start_echo("web");
    env.load(backend("web", &[web.address()]));
    install(&env);
    let port = free_port();
    env.api.create(class("headgate"));
    env.api.create(gateway(&env, "gate", port));
    env.api
        .create(route(&env, "HTTPRoute", "web", "gate", "web"));
    let fault = Fault::new(Effect::Status(500)).resource("httproutes");
    env.api.inject(fault);
    let program = env.replica("headgate-0", &[ENABLED, OWN_PORTS]);
    env.api
        .wait_for_request(|request| request.resource == "httproutes");
    program.admin_get("/readyz").is(503);
    env.api.heal();
    program.until_ready();
    until_served_on(port, "web.test", "web");
}

#[test]
fn older_versions_are_watched_where_no_newer_one_is_served() {
    let Some(env) = in_memory() else { return };
    for plural in KINDS {
        let versions: &[&str] = match plural {
            "tcproutes" => &["v1alpha2"],
            "listenersets" => &["v1alpha1"],
            _ => &["v1"],
        };
        env.api.create(definition(plural, versions));
    }
    let port = free_port();
    env.api.create(class("headgate"));
    let mut gate = gateway(&env, "gate", port);
    gate["spec"]["listeners"] = json!([{"name": "tcp", "port": port, "protocol": "TCP"}]);
    env.api.create(gate);
    env.api
        .create(route(&env, "TCPRoute", "web", "gate", "web"));
    let _program = env.controller(&[ENABLED, OWN_PORTS]);
    until_accepted(&env, "TCPRoute", "web");
    let writes = status_writes(&env, "tcproutes", "web");
    assert!(writes[0].path.contains("/v1alpha2/"), "{writes:?}");

    // A newer version that is served later replaces it.
    env.api.modify(
        "CustomResourceDefinition",
        "",
        &format!("tcproutes.{GROUP}"),
        |definition| {
            definition["spec"]["versions"] = json!([
                {"name": "v1", "served": true, "storage": true},
                {"name": "v1alpha2", "served": true, "storage": false},
            ]);
        },
    );
    env.api
        .create(route(&env, "TCPRoute", "late", "gate", "web"));
    env.until("TCPRoute", "late", is_accepted);
    env.api.wait_for_request(|request| {
        request.resource == "tcproutes" && request.path.contains("/v1/") && request.verb == "watch"
    });
}

#[test]
fn statuses_are_written_once_and_those_of_other_controllers_are_kept() {
    let Some(env) = in_memory() else { return };
    let web = env.start_echo("web");
    env.load(backend("web", &[web.address()]));
    install(&env);
    let port = free_port();
    env.api.create(class("headgate"));
    env.api.create(class("unused"));
    let mut gate = gateway(&env, "gate", port);
    let foreign = json!({"type": "example.com/Audited", "status": "True", "reason": "Done",
        "message": "", "observedGeneration": 7, "lastTransitionTime": "2020-01-01T00:00:00Z"});
    gate["status"] = json!({"conditions": [foreign,
        {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "",
            "lastTransitionTime": "1970-01-01T00:00:00Z"}]});
    env.api.create(gate);
    let mut other = route(&env, "HTTPRoute", "web", "gate", "web");
    let entry = json!({"controllerName": "example.com/other", "parentRef": {"name": "other"}, "conditions": [foreign]});
    let stale =
        json!({"controllerName": CONTROLLER, "parentRef": {"name": "former"}, "conditions": []});
    other["status"] = json!({"parents": [entry, stale]});
    env.api.create(other.clone());
    let program = env.controller(&[ENABLED, OWN_PORTS]);
    until_accepted(&env, "HTTPRoute", "web");
    until_served_on(port, "web.test", "web");
    env.until("Gateway", "gate", |gate| {
        gate["status"]["listeners"][0]["attachedRoutes"] == 1
    });
    let gate = env.get("Gateway", "gate").unwrap();
    let status = &gate["status"];
    assert_eq!(status["conditions"][0], foreign);
    assert_eq!(
        conditions(status),
        [
            "Accepted=True/Accepted@1",
            "Programmed=False/AddressNotAssigned@1",
            "ResolvedRefs=True/ResolvedRefs@1",
            "example.com/Audited=True/Done@7",
        ]
    );
    assert_eq!(
        status["listeners"][0]["supportedKinds"],
        json!([{"group": GROUP, "kind": "HTTPRoute"}, {"group": GROUP, "kind": "GRPCRoute"}])
    );
    let served = env.get("HTTPRoute", "web").unwrap();
    let parents = served["status"]["parents"].as_array().unwrap();
    assert_eq!(parents.len(), 2, "the stale entry is gone: {parents:#?}");
    assert_eq!(parents[0], entry);
    assert_eq!(
        parents[1]["parentRef"],
        json!({"group": GROUP, "kind": "Gateway", "name": "gate", "namespace": env.namespace()})
    );
    for name in ["headgate", "unused"] {
        let class = env.api.until("GatewayClass", "", name, is_accepted);
        let features = class["status"]["supportedFeatures"].as_array().unwrap();
        let names = features.iter().map(|feature| feature["name"].as_str());
        assert!(names.is_sorted() && !features.is_empty());
    }

    // A new generation changes observedGeneration alone.
    let time = |object: &Value| {
        let parents = &object["status"]["parents"];
        parents[1]["conditions"][0]["lastTransitionTime"].clone()
    };
    env.modify("HTTPRoute", "web", |route| {
        route["spec"]["hostnames"] = json!(["web.test", "also.test"]);
    });
    env.until("HTTPRoute", "web", is_accepted);
    assert_eq!(time(&env.get("HTTPRoute", "web").unwrap()), time(&served));
    // Another run writes nothing that is written.
    stop(&program);
    env.api.clear_requests();
    let program = env.controller(&[ENABLED, OWN_PORTS]);
    env.api
        .create(route(&env, "HTTPRoute", "late", "gate", "web"));
    until_accepted(&env, "HTTPRoute", "late");
    for (plural, name) in [("httproutes", "web"), ("gatewayclasses", "headgate")] {
        assert_eq!(status_writes(&env, plural, name), [], "{plural} {name}");
    }

    // Once the Gateway is gone, so are this controller's entries.
    env.delete("Gateway", "gate");
    env.until("HTTPRoute", "web", |route| {
        route["status"]["parents"] == json!([entry])
    });
    env.until("HTTPRoute", "late", |route| {
        route["status"]["parents"] == json!([])
    });
    stop(&program);
}

#[test]
fn a_status_that_another_client_changes_meanwhile_is_written_to_the_newer_object() {
    let Some(env) = in_memory() else { return };
    install(&env);
    env.api.create(class("headgate"));
    env.api.create(gateway(&env, "gate", free_port()));
    let fault = Fault::new(Effect::Status(409)).verb("update").times(2);
    env.api.inject(fault.resource("httproutes/status"));
    env.api
        .create(route(&env, "HTTPRoute", "web", "gate", "web"));
    let _program = env.controller(&[ENABLED, OWN_PORTS]);
    until_accepted(&env, "HTTPRoute", "web");
    assert_eq!(status_writes(&env, "httproutes", "web").len(), 3);

    // What another client breaks is repaired.
    env.modify("HTTPRoute", "web", |route| {
        route["status"] = json!({"parents": []});
    });
    until_accepted(&env, "HTTPRoute", "web");
}

#[test]
fn only_the_leader_writes_and_another_takes_over() {
    let Some(env) = in_memory() else { return };
    install(&env);
    env.api.create(class("headgate"));
    env.api.create(gateway(&env, "gate", free_port()));
    let flags = [
        ENABLED,
        OWN_PORTS,
        "--election-ttl=3s",
        "--bind-address=127.0.0.1",
    ];
    let replica = |pod: &str| -> Program {
        let program = env.replica_with_account(pod, pod, &flags);
        program.until_ready();
        program
    };
    let first = replica("headgate-0");
    env.api
        .create(route(&env, "HTTPRoute", "one", "gate", "web"));
    until_accepted(&env, "HTTPRoute", "one");
    let second = replica("headgate-1");
    env.api
        .create(route(&env, "HTTPRoute", "two", "gate", "web"));
    until_accepted(&env, "HTTPRoute", "two");
    // Killed, so that it cannot release its lease.
    drop(first);
    env.api
        .create(route(&env, "HTTPRoute", "three", "gate", "web"));
    until_leader(&env, "headgate-1");
    until_accepted(&env, "HTTPRoute", "three");
    let written = |pod: &str| -> Vec<String> {
        let user = env.user(&roles::account(pod, &flags));
        let mut requests = env.api.requests();
        requests.retain(|request| request.resource == "httproutes/status" && request.user == user);
        requests.into_iter().map(|request| request.name).collect()
    };
    assert_eq!(written("headgate-0"), ["one", "two"]);
    assert_eq!(written("headgate-1"), ["three"]);
    stop(&second);
}

#[test]
fn many_statuses_are_paced() {
    const ROUTES: usize = 300;
    let Some(env) = in_memory() else { return };
    install(&env);
    env.api.create(class("headgate"));
    env.api.create(gateway(&env, "gate", free_port()));
    let routes = (0..ROUTES).map(|number| {
        let name = format!("web-{number}");
        route(&env, "HTTPRoute", &name, "gate", "web")
    });
    env.api.load(routes);
    let start = std::time::Instant::now();
    let program = env.controller(&[ENABLED, OWN_PORTS]);
    env.until("Gateway", "gate", |gate| {
        gate["status"]["listeners"][0]["attachedRoutes"] == ROUTES
    });
    for number in 0..ROUTES {
        until_accepted(&env, "HTTPRoute", &format!("web-{number}"));
    }
    let took = start.elapsed();
    let requests = env.api.requests();
    let writes = requests
        .iter()
        .filter(|request| request.resource == "httproutes/status")
        .count();
    assert_eq!(writes, ROUTES, "each once");
    // A hundred a second.
    assert!(took.as_millis() >= ROUTES as u128 * 9, "{took:?}");
    until_metric(&program, "headgate_gateway_status_writes_pending", &[], 0.0);
}

#[test]
fn without_permissions_ingresses_are_served_and_the_missing_ones_are_named() {
    let Some(env) = in_memory() else { return };
    install(&env);
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let token = env
        .api
        .service_account(&env.controller_namespace(), "narrow");
    roles::bind(&env, "everywhere", "narrow");
    let kubeconfig = env.api.kubeconfig_for(&token);
    let program = env.replica_with_kubeconfig(&kubeconfig, "headgate-0", &[ENABLED, OWN_PORTS]);
    program.until_ready();
    until_served_by(&program, "a.test", "web");
    for permission in [
        "customresourcedefinitions.apiextensions.k8s.io",
        "gateways.gateway.networking.k8s.io",
        "namespaces",
    ] {
        let needle = format!("allow list and watch of {permission}");
        until_logged(&program, &needle, |line| line.contains(&needle));
    }
    let log = program.stderr();
    let about = |line: &&String| line.contains("allow list and watch of gateways.");
    assert_eq!(log.iter().filter(about).count(), 1, "told once");
    stop(&program);
}

#[test]
fn a_class_that_gateways_use_has_a_finalizer() {
    const FINALIZER: &str = "gateway-exists-finalizer.gateway.networking.k8s.io";
    let Some(env) = in_memory() else { return };
    install(&env);
    let mut own = class("headgate");
    own["metadata"]["finalizers"] = json!(["example.com/other"]);
    env.api.create(own);
    env.api.create(class("unused"));
    let _program = env.controller(&[ENABLED, OWN_PORTS]);
    env.api.until("GatewayClass", "", "headgate", is_accepted);
    let has =
        |finalizers: Value| move |class: &Value| class["metadata"]["finalizers"] == finalizers;
    env.api.create(gateway(&env, "gate", free_port()));
    let both = json!(["example.com/other", FINALIZER]);
    env.api.until("GatewayClass", "", "headgate", has(both));
    let unused = env.api.until("GatewayClass", "", "unused", is_accepted);
    assert_eq!(unused["metadata"]["finalizers"], Value::Null);
    env.delete("Gateway", "gate");
    let other = json!(["example.com/other"]);
    env.api.until("GatewayClass", "", "headgate", has(other));
}

#[test]
fn without_streaming_lists_kinds_are_listed_in_pages() {
    let env = TestEnv::with(Options {
        streaming_lists: false,
        ..Options::default()
    });
    if env.is_real_cluster() {
        return;
    }
    install(&env);
    env.api.create(class("headgate"));
    env.api.create(gateway(&env, "gate", free_port()));
    let _program = env.controller(&[ENABLED, OWN_PORTS]);
    until_accepted(&env, "Gateway", "gate");
}
