//! Server-side apply.

use headgate_apiserver::ApiServer;
use serde_json::{Value, json};

use crate::client::{Received, get, ingress, send};

const MAP: &str = "/api/v1/namespaces/a/configmaps/one";
const INGRESS: &str = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/web";

fn apply(api: &ApiServer, manager: &str, data: Value) -> Received {
    let config =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": data});
    send(
        api,
        "PATCH",
        &format!("{MAP}?fieldManager={manager}"),
        &config,
    )
}

#[test]
fn apply_creates_merges_and_removes() {
    let api = ApiServer::start();
    let made = apply(&api, "m", json!({"a": "1", "b": "2"})).is(201);
    let entry = &made["metadata"]["managedFields"][0];
    assert_eq!(
        (&entry["manager"], &entry["operation"]),
        (&"m".into(), &"Apply".into())
    );
    assert_eq!(entry["fieldsV1"], json!({"f:data": {"f:a": {}, "f:b": {}}}));
    apply(&api, "n", json!({"c": "3"})).is(200);
    let next = apply(&api, "m", json!({"a": "4"})).is(200);
    assert_eq!(next["data"], json!({"a": "4", "c": "3"}));
    // Applying the same again changes nothing.
    let version = api.version();
    apply(&api, "m", json!({"a": "4"})).is(200);
    assert_eq!(api.version(), version);
}

#[test]
fn fields_of_other_managers_conflict_unless_forced() {
    let api = ApiServer::start();
    apply(&api, "m", json!({"a": "1"})).is(201);
    let refused = apply(&api, "n", json!({"a": "2", "b": "1"})).is(409);
    assert_eq!(refused["reason"], "Conflict");
    assert_eq!(
        refused["message"],
        "Apply failed with 1 conflict: conflict with \"m\": .data.a"
    );
    assert_eq!(refused["details"]["causes"][0]["field"], ".data.a");
    // The same value is shared.
    apply(&api, "n", json!({"a": "1"})).is(200);
    let forced = apply(&api, "n&force=true", json!({"a": "2"})).is(200);
    assert_eq!(forced["data"]["a"], "2");
    // The field has another manager: the previous one does not remove it by omitting it.
    let left = apply(&api, "m", json!({"b": "1"})).is(200);
    assert_eq!(left["data"], json!({"a": "2", "b": "1"}));
}

#[test]
fn an_update_takes_over_its_fields() {
    let api = ApiServer::start();
    apply(&api, "m", json!({"a": "1", "b": "1"})).is(201);
    send(&api, "PATCH", MAP, &json!({"data": {"a": "2"}})).is(200);
    let refused = apply(&api, "m", json!({"a": "1", "b": "1"})).is(409);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("conflict with \"unknown\" using v1: .data.a"),
        "{message}"
    );
    apply(&api, "m", json!({"b": "1"})).is(200);
    assert_eq!(get(&api, MAP).is(200)["data"]["a"], "2");
}

#[test]
fn apply_needs_a_manager_and_the_right_name() {
    let api = ApiServer::start();
    apply(&api, "", json!({})).is(400);
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}});
    send(&api, "PATCH", &format!("{MAP}?fieldManager=m"), &other).is(400);
}

#[test]
fn status_is_applied_as_one_list() {
    let api = ApiServer::start();
    api.create(ingress("web"));
    let apply = |manager: &str, addresses: Value| {
        let config = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web", "namespace": "a"},
            "status": {"loadBalancer": {"ingress": addresses}},
        });
        send(
            &api,
            "PATCH",
            &format!("{INGRESS}/status?{manager}"),
            &config,
        )
    };
    let one = json!([{"ip": "127.0.0.1"}]);
    let two = json!([{"ip": "127.0.0.2"}, {"hostname": "b.test"}]);
    apply("fieldManager=m", one).is(200);
    let written = apply("fieldManager=m", two.clone()).is(200);
    assert_eq!(written["status"]["loadBalancer"]["ingress"], two);
    let entry = &written["metadata"]["managedFields"][0];
    assert_eq!(entry["subresource"], "status");
    assert_eq!(
        entry["fieldsV1"],
        json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}})
    );
    apply("fieldManager=n", json!([])).is(409);
    let emptied = apply("fieldManager=m&force=true", json!([])).is(200);
    assert_eq!(emptied["status"]["loadBalancer"]["ingress"], json!([]));
    // The status of a missing object cannot be applied.
    let missing = format!("{INGRESS}2/status?fieldManager=m");
    let config = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web2"}});
    send(&api, "PATCH", &missing, &config).is(404);
}

#[test]
fn keyed_list_items_have_managers() {
    let api = ApiServer::start();
    let apply = |manager: &str, ports: Value| {
        let config = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}});
        let path = format!("/api/v1/namespaces/a/services/web?fieldManager={manager}");
        send(&api, "PATCH", &path, &config)
    };
    apply(
        "m",
        json!([{"port": 80, "name": "http"}, {"port": 81, "name": "more"}]),
    )
    .is(201);
    apply("n", json!([{"port": 82, "name": "other"}])).is(200);
    let left = apply("m", json!([{"port": 80, "name": "web"}])).is(200);
    let ports: Vec<_> = left["spec"]["ports"].as_array().unwrap().iter().collect();
    let texts: Vec<String> = ports
        .iter()
        .map(|port| format!("{} {}", port["port"], port["name"]))
        .collect();
    assert_eq!(texts, ["80 \"web\"", "82 \"other\""]);
}
