//! `status.loadBalancer`, which the leader writes.

use headgate_apiserver::Recorded;
use serde_json::{Value, json};

use super::roles;
use super::support::{ingress, stop, until_metric, until_status, with};
use super::testenv::{TestEnv, until_leader};

const FIXED: &str = "--publish-status-address=192.0.2.9,192.0.2.1,lb.example,192.0.2.9";

#[test]
fn the_status_has_the_addresses_of_the_published_service() {
    let env = TestEnv::new();
    env.create(ingress("web", "a.test", "web"));
    let status =
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb.example"}]}});
    env.replace(env.publish_service(
        json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.7", "192.0.2.8"]}),
        status,
    ));
    let _program = env.controller(&[]);
    until_addresses(&env, "web", &["192.0.2.7", "192.0.2.8", "lb.example"]);
    // A real cluster chooses addresses; the in-memory one accepts these.
    let (node_port, cluster_ip) = ("10.96.0.7", "10.96.0.8");
    let steps = [
        (
            json!({"type": "NodePort", "clusterIP": node_port, "externalIPs": ["192.0.2.5"]}),
            Some("192.0.2.5"),
        ),
        (json!({"type": "NodePort", "clusterIP": node_port}), None),
        (
            json!({"type": "ExternalName", "externalName": "entry.example"}),
            Some("entry.example"),
        ),
        (json!({"type": "ClusterIP", "clusterIP": cluster_ip}), None),
    ];
    let mut last = String::new();
    for (spec, address) in steps {
        let entry = env.replace(env.publish_service(spec, json!({"loadBalancer": {}})));
        let of_cluster = entry["spec"]["clusterIP"].as_str();
        last = address.or(of_cluster).unwrap().to_owned();
        until_addresses(&env, "web", &[&last]);
    }
    // A later Ingress gets the same status.
    env.create(ingress("late", "late.test", "web"));
    until_addresses(&env, "late", &[&last]);
}

#[test]
fn without_a_published_service_the_status_has_node_addresses() {
    for (flag, addresses) in [
        (
            "--report-node-internal-ip-address=false",
            ["192.0.2.2", "198.51.100.1"],
        ),
        (
            "--report-node-internal-ip-address=true",
            ["192.0.2.1", "192.0.2.2"],
        ),
    ] {
        let env = TestEnv::new();
        let both = [("InternalIP", "192.0.2.1"), ("ExternalIP", "198.51.100.1")];
        env.create(node("one", &both));
        env.create(node("two", &[("InternalIP", "192.0.2.2")]));
        env.create(node("idle", &[("ExternalIP", "198.51.100.3")]));
        env.load([
            pod(&env, "headgate-0", "one", true),
            pod(&env, "headgate-1", "two", true),
            pod(&env, "headgate-2", "idle", false),
        ]);
        env.create(ingress("web", "a.test", "web"));
        let _program = env.controller(&[flag]);
        until_addresses(&env, "web", &addresses);
    }
}

#[test]
fn an_unchanged_status_is_not_written_again() {
    let env = TestEnv::new();
    let web = env.start_echo("web");
    env.serve_web(&[web.address()]);
    let program = env.controller(&[FIXED]);
    let addresses = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&env, "web", &addresses);
    let first = env.get("Ingress", "web").unwrap();

    env.modify("Ingress", "web", |ingress| {
        ingress["metadata"]["annotations"]["example.com/note"] = "changed".into();
    });
    // Statuses are written in order: once a later one is written, all earlier writes are done.
    env.create(ingress("late", "late.test", "web"));
    until_addresses(&env, "late", &addresses);
    // Another run does not write it again either.
    stop(&program);
    let program = env.controller(&[FIXED, "--update-status-on-shutdown=false"]);
    env.create(ingress("later", "later.test", "web"));
    until_addresses(&env, "later", &addresses);
    stop(&program);
    let writes = |name: &str| {
        env.api
            .requests()
            .iter()
            .filter(|request| writes_status(request, name))
            .count()
    };
    // The first run did not clear it, because the API server has no Pod of it.
    assert_eq!(writes("web"), 1);
    assert_eq!([writes("late"), writes("later")], [1, 1]);
    assert_eq!(
        env.get("Ingress", "web").unwrap()["status"],
        first["status"]
    );
}

#[test]
fn statuses_of_other_controllers_are_kept_and_this_one_clears_its_own_on_class_change() {
    let env = TestEnv::new();
    env.create(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "other"}, "spec": {"controller": "example.com/other"}}),
    );
    let other_status = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}});
    let other = with(ingress("other", "other.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["status"] = other_status.clone();
    });
    env.create(other);
    env.load([
        ingress("web", "a.test", "web"),
        ingress("released", "released.test", "web"),
    ]);
    let program = env.controller(&[FIXED]);
    let addresses = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&env, "released", &addresses);
    until_addresses(&env, "web", &addresses);

    env.modify("Ingress", "released", |ingress| {
        ingress["spec"]["ingressClassName"] = env.scoped("other").into();
    });
    until_addresses(&env, "released", &[]);
    until_status(&program, "released.test", 404);
    // The other controller writes its status, which stays.
    env.modify("Ingress", "released", |ingress| {
        ingress["status"] = other_status.clone()
    });
    env.create(ingress("late", "late.test", "web"));
    until_addresses(&env, "late", &addresses);
    for name in ["other", "released"] {
        assert_eq!(
            env.get("Ingress", name).unwrap()["status"],
            other_status,
            "{name}"
        );
    }
    assert!(
        !env.api
            .requests()
            .iter()
            .any(|request| writes_status(request, "other"))
    );
}

#[test]
fn only_the_last_replica_clears_statuses_on_shutdown() {
    let env = TestEnv::new();
    env.load([
        pod(&env, "headgate-0", "one", true),
        pod(&env, "headgate-1", "two", true),
    ]);
    env.create(ingress("web", "a.test", "web"));
    let flags = ["--publish-status-address=192.0.2.1", "--election-ttl=3s"];
    let first = env.controller(&flags);
    until_addresses(&env, "web", &["192.0.2.1"]);
    let second = env.replica("headgate-1", &flags);
    second.until_ready();

    stop(&first);
    assert_eq!(
        addresses(&env, "web"),
        ["192.0.2.1"],
        "another replica runs"
    );
    // The lease was released, so that the other replica acquires it at once.
    until_leader(&env, "headgate-1");
    until_metric(
        &second,
        "nginx_ingress_controller_leader_election_status",
        &[],
        1.0,
    );
    env.api
        .delete("Pod", &env.controller_namespace(), "headgate-0");

    stop(&second);
    assert_eq!(addresses(&env, "web"), [""; 0], "it was the last replica");
}

#[test]
fn update_status_on_shutdown_false_keeps_statuses() {
    let env = TestEnv::new();
    env.create(pod(&env, "headgate-0", "one", true));
    env.create(ingress("web", "a.test", "web"));
    let program = env.controller(&[
        "--publish-status-address=192.0.2.1",
        "--update-status-on-shutdown=false",
    ]);
    until_addresses(&env, "web", &["192.0.2.1"]);
    stop(&program);
    assert_eq!(addresses(&env, "web"), ["192.0.2.1"]);
}

#[test]
fn no_status_is_written_when_status_updates_are_off() {
    for flag in ["--update-status=false", "--disable-leader-election"] {
        let env = TestEnv::new();
        env.create(pod(&env, "headgate-0", "one", true));
        env.create(ingress("web", "a.test", "web"));
        let program = env.controller(&["--publish-status-address=192.0.2.1", flag]);
        until_status(&program, "a.test", 503);
        env.api
            .wait_for_request(|request| request.verb == "create" && request.resource == "events");
        stop(&program);
        assert!(
            !env.api
                .requests()
                .iter()
                .any(|request| request.resource == "ingresses/status"),
            "{flag}"
        );
        let leases = env
            .api
            .requests()
            .iter()
            .filter(|request| request.resource == "leases")
            .count();
        assert_eq!(leases == 0, flag.contains("election"), "{flag}");
    }
}

pub(super) fn node(name: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses = addresses
        .iter()
        .map(|(kind, address)| json!({"type": kind, "address": address}));
    let addresses: Vec<Value> = addresses.collect();
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"addresses": addresses}})
}

/// A Pod of the controller on this node.
pub(super) fn pod(env: &TestEnv, name: &str, node: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    // A real cluster rejects a Pod whose ServiceAccount does not exist.
    env.token("headgate", &[]);
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": env.controller_namespace(), "name": name, "labels": {"app": "headgate", "pod-template-hash": name}},
        "spec": {"nodeName": env.scoped(node), "serviceAccountName": roles::account("headgate", &[]),
            "containers": [{"name": "controller", "image": "headgate"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

/// Addresses in the status of an Ingress.
fn addresses(env: &TestEnv, name: &str) -> Vec<String> {
    addresses_of(&env.get("Ingress", name).unwrap())
}

fn addresses_of(ingress: &Value) -> Vec<String> {
    let entries = ingress["status"]["loadBalancer"]["ingress"].as_array();
    let text = |entry: &Value| {
        entry["ip"]
            .as_str()
            .or_else(|| entry["hostname"].as_str())
            .unwrap()
            .to_owned()
    };
    entries.into_iter().flatten().map(text).collect()
}

/// Waits until the status of an Ingress has these addresses (sorted here), in any order.
#[track_caller]
pub(super) fn until_addresses(env: &TestEnv, name: &str, expected: &[&str]) {
    env.until("Ingress", name, |ingress| {
        let mut addresses = addresses_of(ingress);
        addresses.sort();
        addresses == expected
    });
}

fn writes_status(request: &Recorded, name: &str) -> bool {
    let writes = ["patch", "update"].contains(&request.verb.as_str());
    writes && request.resource == "ingresses/status" && request.name == name
}
