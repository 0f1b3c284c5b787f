//! What the leader writes to `status.loadBalancer`.

use headgate_testkit::kubernetes::Recorded;
use headgate_testkit::{ApiServer, Echo, Program, wait};
use serde_json::{Value, json};

use super::place::Place;
use super::support::{
    HOME, SHOP, api, controller, ingress, publish, replica, until_metric, until_status, with,
};

const PUBLISH: &str = "--publish-service=ingress-nginx/entry";
const FIXED: &str = "--publish-status-address=192.0.2.9,192.0.2.1,lb.example,192.0.2.9";

#[test]
fn addresses_of_the_published_service_are_told_as_it_changes() {
    let api = api();
    api.create(ingress("web", "a.test", "web"));
    let given =
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb.example"}]}});
    api.create(entry(
        json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.7", "192.0.2.8"]}),
        given,
    ));
    let _program = controller(&api, &[PUBLISH]);
    until_addresses(&api, "web", &["192.0.2.7", "192.0.2.8", "lb.example"]);
    let steps = [
        (
            json!({"type": "NodePort", "clusterIP": "10.96.0.7", "externalIPs": ["192.0.2.5"]}),
            "192.0.2.5",
        ),
        (
            json!({"type": "NodePort", "clusterIP": "10.96.0.7"}),
            "10.96.0.7",
        ),
        (
            json!({"type": "ExternalName", "externalName": "entry.example"}),
            "entry.example",
        ),
        (
            json!({"type": "ClusterIP", "clusterIP": "10.96.0.8"}),
            "10.96.0.8",
        ),
    ];
    for (spec, address) in steps {
        api.replace(entry(spec, json!({"loadBalancer": {}})));
        until_addresses(&api, "web", &[address]);
    }
    // Who comes later is told the same.
    api.create(ingress("late", "late.test", "web"));
    until_addresses(&api, "late", &["10.96.0.8"]);
}

#[test]
fn addresses_of_nodes_are_told_where_none_are_given() {
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
        let api = api();
        api.create(node(
            "one",
            &[("InternalIP", "192.0.2.1"), ("ExternalIP", "198.51.100.1")],
        ));
        api.create(node("two", &[("InternalIP", "192.0.2.2")]));
        api.create(node("idle", &[("ExternalIP", "198.51.100.3")]));
        api.load([
            pod("headgate-0", "one", true),
            pod("headgate-1", "two", true),
            pod("headgate-2", "idle", false),
        ]);
        api.create(ingress("web", "a.test", "web"));
        let _program = controller(&api, &[flag]);
        until_addresses(&api, "web", &addresses);
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let api = api();
    let web = Echo::start("web");
    publish(&api, &[web.address()]);
    let program = controller(&api, &[FIXED]);
    let told = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&api, "web", &told);
    let first = api.get("Ingress", SHOP, "web").unwrap();

    api.modify("Ingress", SHOP, "web", |ingress| {
        ingress["metadata"]["annotations"]["example.com/note"] = "changed".into();
    });
    // The status of one that comes later is written after everything that had to be.
    api.create(ingress("late", "late.test", "web"));
    until_addresses(&api, "late", &told);
    // Nor does another run write what is written.
    program.terminate();
    program.wait();
    let program = controller(&api, &[FIXED, "--update-status-on-shutdown=false"]);
    api.create(ingress("later", "later.test", "web"));
    until_addresses(&api, "later", &told);
    program.terminate();
    program.wait();
    let writes = |name: &str| {
        api.requests()
            .iter()
            .filter(|request| writes_status(request, name))
            .count()
    };
    // Kept by the first run, whose Pod the API server does not know to be the last.
    assert_eq!(writes("web"), 1);
    assert_eq!([writes("late"), writes("later")], [1, 1]);
    assert_eq!(
        api.get("Ingress", SHOP, "web").unwrap()["status"],
        first["status"]
    );
}

#[test]
fn a_foreign_status_is_left_alone_and_ours_leaves_with_us() {
    let api = api();
    api.create(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "other"}, "spec": {"controller": "example.com/other"}}),
    );
    let theirs = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}});
    let foreign = with(ingress("foreign", "foreign.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["status"] = theirs.clone();
    });
    api.create(foreign);
    api.load([
        ingress("web", "a.test", "web"),
        ingress("leaving", "leaving.test", "web"),
    ]);
    let program = controller(&api, &[FIXED]);
    let told = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&api, "leaving", &told);
    until_addresses(&api, "web", &told);

    api.modify("Ingress", SHOP, "leaving", |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
    });
    until_addresses(&api, "leaving", &[]);
    until_status(&program, "leaving.test", 404);
    // Their controller takes it over; that stays.
    api.modify("Ingress", SHOP, "leaving", |ingress| {
        ingress["status"] = theirs.clone()
    });
    api.create(ingress("late", "late.test", "web"));
    until_addresses(&api, "late", &told);
    for name in ["foreign", "leaving"] {
        assert_eq!(
            api.get("Ingress", SHOP, name).unwrap()["status"],
            theirs,
            "{name}"
        );
    }
    assert!(
        !api.requests()
            .iter()
            .any(|request| writes_status(request, "foreign"))
    );
}

#[test]
fn only_the_last_replica_clears() {
    let api = api();
    api.load([
        pod("headgate-0", "one", true),
        pod("headgate-1", "two", true),
    ]);
    api.create(ingress("web", "a.test", "web"));
    let flags = ["--publish-status-address=192.0.2.1", "--election-ttl=3s"];
    let first = controller(&api, &flags);
    until_addresses(&api, "web", &["192.0.2.1"]);
    let second = replica(&api, "headgate-1", &flags);
    second.until_ready();

    first.terminate();
    assert!(first.wait().success());
    assert_eq!(addresses(&api, "web"), ["192.0.2.1"], "another runs");
    // The lease was given back, so that the other leads at once.
    until_leader(&api, "headgate-1");
    until_metric(
        &second,
        "nginx_ingress_controller_leader_election_status",
        &[],
        1.0,
    );
    api.delete("Pod", HOME, "headgate-0");

    second.terminate();
    assert!(second.wait().success());
    assert_eq!(addresses(&api, "web"), [""; 0], "nobody is left");
}

#[test]
fn nobody_clears_when_told_so() {
    let api = api();
    api.create(pod("headgate-0", "one", true));
    api.create(ingress("web", "a.test", "web"));
    let program = controller(
        &api,
        &[
            "--publish-status-address=192.0.2.1",
            "--update-status-on-shutdown=false",
        ],
    );
    until_addresses(&api, "web", &["192.0.2.1"]);
    program.terminate();
    assert!(program.wait().success());
    assert_eq!(addresses(&api, "web"), ["192.0.2.1"]);
}

#[test]
fn nothing_is_written_where_that_is_switched_off() {
    for flag in ["--update-status=false", "--disable-leader-election"] {
        let api = api();
        api.create(pod("headgate-0", "one", true));
        api.create(ingress("web", "a.test", "web"));
        let program = controller(&api, &["--publish-status-address=192.0.2.1", flag]);
        until_status(&program, "a.test", 503);
        api.wait_for_request(|request| request.verb == "create" && request.resource == "events");
        stop(&program);
        assert!(
            !api.requests()
                .iter()
                .any(|request| request.resource == "ingresses/status"),
            "{flag}"
        );
        let leases = api
            .requests()
            .iter()
            .filter(|request| request.resource == "leases")
            .count();
        assert_eq!(leases == 0, flag.contains("election"), "{flag}");
    }
}

#[test]
fn statuses_are_told_in_any_cluster() {
    let place = Place::new();
    let told = |name: &str, wanted: &[&str]| {
        let ingress = place.ingress(name);
        wait::until("a status", || {
            let mut found = told(&place.look(&ingress)?);
            found.sort();
            (found == wanted).then_some(())
        });
    };
    place.apply(&place.ingress("first"));
    place.apply(&place.ingress("leaving"));
    let program = place.controller(&[FIXED, "--election-ttl=3s"]);
    told("first", &["192.0.2.1", "192.0.2.9", "lb.example"]);
    told("leaving", &["192.0.2.1", "192.0.2.9", "lb.example"]);
    let other = place.class_object(&place.named("other"), "example.com/other");
    place.apply(&other);
    place.change(&place.ingress("leaving"), |ingress| {
        ingress["spec"]["ingressClassName"] = place.named("other").into();
    });
    told("leaving", &[]);
    place.apply(&place.ingress("late"));
    told("late", &["192.0.2.1", "192.0.2.9", "lb.example"]);
    stop(&program);
}

fn stop(program: &Program) {
    program.terminate();
    assert!(program.wait().success());
}

/// The Service whose addresses are told.
fn entry(mut spec: Value, status: Value) -> Value {
    spec["ports"] = json!([{"name": "http", "port": 80}]);
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": HOME, "name": "entry"}, "spec": spec, "status": status})
}

fn node(name: &str, addresses: &[(&str, &str)]) -> Value {
    let addresses = addresses
        .iter()
        .map(|(kind, address)| json!({"type": kind, "address": address}));
    let addresses: Vec<Value> = addresses.collect();
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"addresses": addresses}})
}

/// A Pod of the controller on this node.
fn pod(name: &str, node: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": HOME, "name": name, "labels": {"app": "headgate", "pod-template-hash": name}},
        "spec": {"nodeName": node, "containers": [{"name": "controller", "image": "headgate"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

/// Addresses that an Ingress tells.
pub(super) fn addresses(api: &ApiServer, name: &str) -> Vec<String> {
    told(&api.get("Ingress", SHOP, name).unwrap())
}

fn told(ingress: &Value) -> Vec<String> {
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

/// Waits until an Ingress tells these addresses, which are sorted; in any order, since those by name have no place.
#[track_caller]
pub(super) fn until_addresses(api: &ApiServer, name: &str, wanted: &[&str]) {
    api.until("Ingress", SHOP, name, |ingress| {
        let mut told = told(ingress);
        told.sort();
        told == wanted
    });
}

#[track_caller]
pub(super) fn until_leader(api: &ApiServer, pod: &str) {
    api.until("Lease", HOME, "ingress-controller-leader", |lease| {
        lease["spec"]["holderIdentity"] == pod
    });
}

fn writes_status(request: &Recorded, name: &str) -> bool {
    let writes = ["patch", "update"].contains(&request.verb.as_str());
    writes && request.resource == "ingresses/status" && request.name == name
}
