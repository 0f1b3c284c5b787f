//! What the leader writes to `status.loadBalancer`.

use headgate_apiserver::Recorded;
use serde_json::{Value, json};

use super::place::{Place, until_leader};
use super::rights;
use super::support::{ingress, stop, until_metric, until_status, with};

const FIXED: &str = "--publish-status-address=192.0.2.9,192.0.2.1,lb.example,192.0.2.9";

#[test]
fn addresses_of_the_published_service_are_told_as_it_changes() {
    let place = Place::new();
    place.create(ingress("web", "a.test", "web"));
    let given =
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb.example"}]}});
    place.replace(place.entry(
        json!({"type": "LoadBalancer", "externalIPs": ["192.0.2.7", "192.0.2.8"]}),
        given,
    ));
    let _program = place.controller(&[]);
    until_addresses(&place, "web", &["192.0.2.7", "192.0.2.8", "lb.example"]);
    // Clusters choose addresses of their own; the fixture takes these.
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
        let entry = place.replace(place.entry(spec, json!({"loadBalancer": {}})));
        let of_cluster = entry["spec"]["clusterIP"].as_str();
        last = address.or(of_cluster).unwrap().to_owned();
        until_addresses(&place, "web", &[&last]);
    }
    // Who comes later is told the same.
    place.create(ingress("late", "late.test", "web"));
    until_addresses(&place, "late", &[&last]);
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
        let place = Place::new();
        let both = [("InternalIP", "192.0.2.1"), ("ExternalIP", "198.51.100.1")];
        place.create(node("one", &both));
        place.create(node("two", &[("InternalIP", "192.0.2.2")]));
        place.create(node("idle", &[("ExternalIP", "198.51.100.3")]));
        place.load([
            pod(&place, "headgate-0", "one", true),
            pod(&place, "headgate-1", "two", true),
            pod(&place, "headgate-2", "idle", false),
        ]);
        place.create(ingress("web", "a.test", "web"));
        let _program = place.controller(&[flag]);
        until_addresses(&place, "web", &addresses);
    }
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let place = Place::new();
    let web = place.echo("web");
    place.publish(&[web.address()]);
    let program = place.controller(&[FIXED]);
    let told = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&place, "web", &told);
    let first = place.get("Ingress", "web").unwrap();

    place.modify("Ingress", "web", |ingress| {
        ingress["metadata"]["annotations"]["example.com/note"] = "changed".into();
    });
    // The status of one that comes later is written after everything that had to be.
    place.create(ingress("late", "late.test", "web"));
    until_addresses(&place, "late", &told);
    // Nor does another run write what is written.
    stop(&program);
    let program = place.controller(&[FIXED, "--update-status-on-shutdown=false"]);
    place.create(ingress("later", "later.test", "web"));
    until_addresses(&place, "later", &told);
    stop(&program);
    let writes = |name: &str| {
        place
            .api
            .requests()
            .iter()
            .filter(|request| writes_status(request, name))
            .count()
    };
    // Kept by the first run, whose Pod the API server does not know to be the last.
    assert_eq!(writes("web"), 1);
    assert_eq!([writes("late"), writes("later")], [1, 1]);
    assert_eq!(
        place.get("Ingress", "web").unwrap()["status"],
        first["status"]
    );
}

#[test]
fn a_foreign_status_is_left_alone_and_ours_leaves_with_us() {
    let place = Place::new();
    place.create(
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "other"}, "spec": {"controller": "example.com/other"}}),
    );
    let theirs = json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}});
    let foreign = with(ingress("foreign", "foreign.test", "web"), |ingress| {
        ingress["spec"]["ingressClassName"] = "other".into();
        ingress["status"] = theirs.clone();
    });
    place.create(foreign);
    place.load([
        ingress("web", "a.test", "web"),
        ingress("leaving", "leaving.test", "web"),
    ]);
    let program = place.controller(&[FIXED]);
    let told = ["192.0.2.1", "192.0.2.9", "lb.example"];
    until_addresses(&place, "leaving", &told);
    until_addresses(&place, "web", &told);

    place.modify("Ingress", "leaving", |ingress| {
        ingress["spec"]["ingressClassName"] = place.named("other").into();
    });
    until_addresses(&place, "leaving", &[]);
    until_status(&program, "leaving.test", 404);
    // Their controller takes it over; that stays.
    place.modify("Ingress", "leaving", |ingress| {
        ingress["status"] = theirs.clone()
    });
    place.create(ingress("late", "late.test", "web"));
    until_addresses(&place, "late", &told);
    for name in ["foreign", "leaving"] {
        assert_eq!(
            place.get("Ingress", name).unwrap()["status"],
            theirs,
            "{name}"
        );
    }
    assert!(
        !place
            .api
            .requests()
            .iter()
            .any(|request| writes_status(request, "foreign"))
    );
}

#[test]
fn only_the_last_replica_clears() {
    let place = Place::new();
    place.load([
        pod(&place, "headgate-0", "one", true),
        pod(&place, "headgate-1", "two", true),
    ]);
    place.create(ingress("web", "a.test", "web"));
    let flags = ["--publish-status-address=192.0.2.1", "--election-ttl=3s"];
    let first = place.controller(&flags);
    until_addresses(&place, "web", &["192.0.2.1"]);
    let second = place.replica("headgate-1", &flags);
    second.until_ready();

    stop(&first);
    assert_eq!(addresses(&place, "web"), ["192.0.2.1"], "another runs");
    // The lease was given back, so that the other leads at once.
    until_leader(&place, "headgate-1");
    until_metric(
        &second,
        "nginx_ingress_controller_leader_election_status",
        &[],
        1.0,
    );
    place.api.delete("Pod", &place.home(), "headgate-0");

    stop(&second);
    assert_eq!(addresses(&place, "web"), [""; 0], "nobody is left");
}

#[test]
fn nobody_clears_when_told_so() {
    let place = Place::new();
    place.create(pod(&place, "headgate-0", "one", true));
    place.create(ingress("web", "a.test", "web"));
    let program = place.controller(&[
        "--publish-status-address=192.0.2.1",
        "--update-status-on-shutdown=false",
    ]);
    until_addresses(&place, "web", &["192.0.2.1"]);
    stop(&program);
    assert_eq!(addresses(&place, "web"), ["192.0.2.1"]);
}

#[test]
fn nothing_is_written_where_that_is_switched_off() {
    for flag in ["--update-status=false", "--disable-leader-election"] {
        let place = Place::new();
        place.create(pod(&place, "headgate-0", "one", true));
        place.create(ingress("web", "a.test", "web"));
        let program = place.controller(&["--publish-status-address=192.0.2.1", flag]);
        until_status(&program, "a.test", 503);
        place
            .api
            .wait_for_request(|request| request.verb == "create" && request.resource == "events");
        stop(&program);
        assert!(
            !place
                .api
                .requests()
                .iter()
                .any(|request| request.resource == "ingresses/status"),
            "{flag}"
        );
        let leases = place
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
pub(super) fn pod(place: &Place, name: &str, node: &str, ready: bool) -> Value {
    let ready = if ready { "True" } else { "False" };
    // The account is there: a cluster takes no Pod without one.
    place.token("headgate", &[]);
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": place.home(), "name": name, "labels": {"app": "headgate", "pod-template-hash": name}},
        "spec": {"nodeName": place.named(node), "serviceAccountName": rights::account("headgate", &[]),
            "containers": [{"name": "controller", "image": "headgate"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]}})
}

/// Addresses that an Ingress tells.
fn addresses(place: &Place, name: &str) -> Vec<String> {
    told(&place.get("Ingress", name).unwrap())
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
pub(super) fn until_addresses(place: &Place, name: &str, wanted: &[&str]) {
    place.until("Ingress", name, |ingress| {
        let mut told = told(ingress);
        told.sort();
        told == wanted
    });
}

fn writes_status(request: &Recorded, name: &str) -> bool {
    let writes = ["patch", "update"].contains(&request.verb.as_str());
    writes && request.resource == "ingresses/status" && request.name == name
}
