//! Creating, updating, patching and deleting.

use headgate_apiserver::{ApiServer, Options};
use serde_json::{Value, json};

use crate::client::{config_map, get, ingress, send, send_as};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const MAP: &str = "/api/v1/namespaces/a/configmaps/one";
const INGRESSES: &str = "/apis/networking.k8s.io/v1/namespaces/a/ingresses";
const INGRESS: &str = "/apis/networking.k8s.io/v1/namespaces/a/ingresses/web";

#[test]
fn an_object_is_created_read_and_deleted() {
    let api = ApiServer::start();
    let made = send(&api, "POST", MAPS, &config_map("one", "1")).is(201);
    for field in ["uid", "creationTimestamp", "resourceVersion"] {
        assert!(made["metadata"][field].is_string(), "{field}: {made}");
    }
    assert_eq!(get(&api, MAP).is(200), made);
    let taken = send(&api, "POST", MAPS, &config_map("one", "2")).is(409);
    assert_eq!(taken["reason"], "AlreadyExists");
    assert_eq!(taken["message"], "configmaps \"one\" already exists");

    let gone = send(&api, "DELETE", MAP, &Value::Null).is(200);
    assert_eq!(gone["status"], "Success");
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
    let missing = get(&api, MAP).is(404);
    assert_eq!(missing["message"], "configmaps \"one\" not found");
}

#[test]
fn names_are_generated_and_checked() {
    let api = ApiServer::start();
    let mut object = config_map("", "1");
    object["metadata"]["generateName"] = "some-".into();
    let made = send(&api, "POST", MAPS, &object).is(201);
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("some-") && name.len() == 10, "{name}");
    for invalid in ["Upper", "a_b", "-a", "a..b", ""] {
        let refused = send(&api, "POST", MAPS, &config_map(invalid, "1")).is(422);
        assert_eq!(
            refused["details"]["causes"][0]["field"], "metadata.name",
            "{invalid}"
        );
    }
}

#[test]
fn an_ingress_has_one_class_and_parameters_a_group() {
    const CLASSES: &str = "/apis/networking.k8s.io/v1/ingressclasses";
    let api = ApiServer::start();
    let mut object = ingress("web");
    object["spec"]["ingressClassName"] = "one".into();
    object["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "two"});
    let refused = send(&api, "POST", INGRESSES, &object).is(422);
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("must match `ingressClassName`"),
        "{message}"
    );
    // An existing one may have both.
    object["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "one"});
    send(&api, "POST", INGRESSES, &object).is(201);
    object["metadata"]["annotations"] = json!({"kubernetes.io/ingress.class": "two"});
    send(&api, "PUT", INGRESS, &object).is(200);

    let parameters = |group: Value| json!({"apiGroup": group, "kind": "ConfigMap", "name": "a"});
    let class = |parameters: Value| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "one"},
            "spec": {"controller": "example.com/one", "parameters": parameters}})
    };
    let refused = send(&api, "POST", CLASSES, &class(parameters("".into()))).is(422);
    let field = &refused["details"]["causes"][0]["field"];
    assert_eq!(field, "spec.parameters.apiGroup");
    send(
        &api,
        "POST",
        CLASSES,
        &class(parameters("example.com".into())),
    )
    .is(201);
}

#[test]
fn a_stale_update_is_refused() {
    let api = ApiServer::start();
    let made = send(&api, "POST", MAPS, &config_map("one", "1")).is(201);
    let mut next = made.clone();
    next["data"]["value"] = "2".into();
    let newer = send(&api, "PUT", MAP, &next).is(200);
    assert_ne!(
        newer["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    next["data"]["value"] = "3".into();
    let refused = send(&api, "PUT", MAP, &next).is(409);
    assert_eq!(refused["reason"], "Conflict");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.starts_with(
            "Operation cannot be fulfilled on configmaps \"one\": the object has been modified"
        ),
        "{message}"
    );
    // Without a version the update is unconditional.
    send(&api, "PUT", MAP, &config_map("one", "3")).is(200);
    // A patch with a version is conditional, too.
    let patch = json!({"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"value": "4"}});
    send(&api, "PATCH", MAP, &patch).is(409);
}

#[test]
fn a_lease_update_needs_its_version() {
    let api = ApiServer::start();
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"namespace": "a", "name": "l"}});
    api.create(lease.clone());
    let path = "/apis/coordination.k8s.io/v1/namespaces/a/leases/l";
    let refused = send(&api, "PUT", path, &lease).is(422);
    assert_eq!(
        refused["details"]["causes"][0]["field"],
        "metadata.resourceVersion"
    );
}

#[test]
fn a_write_without_change_keeps_the_version() {
    let api = ApiServer::start();
    let made = send(&api, "POST", MAPS, &config_map("one", "1")).is(201);
    let version = api.version();
    let same = send(&api, "PUT", MAP, &config_map("one", "1")).is(200);
    assert_eq!(
        same["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    send(&api, "PATCH", MAP, &json!({"data": {"value": "1"}})).is(200);
    assert_eq!(api.version(), version);
}

#[test]
fn status_and_spec_are_written_separately() {
    let api = ApiServer::start();
    let mut object = ingress("web");
    object["status"] = json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.9"}]}});
    let made = send(&api, "POST", INGRESSES, &object).is(201);
    assert_eq!(made["status"], json!({"loadBalancer": {}}));
    assert_eq!(made["metadata"]["generation"], 1);

    let status = format!("{INGRESS}/status");
    let mut next = made.clone();
    next["status"] = object["status"].clone();
    next["spec"]["ingressClassName"] = "other".into();
    let written = send(&api, "PUT", &status, &next).is(200);
    assert_eq!(written["status"], object["status"]);
    assert_eq!(written["spec"], made["spec"]);
    assert_eq!(written["metadata"]["generation"], 1);
    let managed = &written["metadata"]["managedFields"][1];
    assert_eq!(managed["subresource"], "status");

    next["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    next["status"] = json!({});
    let written = send(&api, "PUT", INGRESS, &next).is(200);
    assert_eq!(written["status"], object["status"]);
    assert_eq!(written["metadata"]["generation"], 2);
    assert_eq!(
        get(&api, &status).is(200)["spec"]["ingressClassName"],
        "other"
    );
}

#[test]
fn all_types_of_patches_apply() {
    let api = ApiServer::start();
    api.create(config_map("one", "1"));
    let json = json!([{"op": "test", "path": "/data/value", "value": "1"}, {"op": "add", "path": "/data/b", "value": "2"}]);
    let patched = send_as(&api, "PATCH", MAP, "application/json-patch+json", &json).is(200);
    assert_eq!(patched["data"], json!({"value": "1", "b": "2"}));
    let failing = json!([{"op": "test", "path": "/data/value", "value": "x"}]);
    let refused = send_as(&api, "PATCH", MAP, "application/json-patch+json", &failing).is(422);
    assert_eq!(refused["reason"], "Invalid");
    let merge = json!({"data": {"b": null, "c": "3"}});
    let patched = send(&api, "PATCH", MAP, &merge).is(200);
    assert_eq!(patched["data"], json!({"value": "1", "c": "3"}));
    let strategic = json!({"metadata": {"finalizers": ["a.test/x"]}});
    let kind = "application/strategic-merge-patch+json";
    send_as(&api, "PATCH", MAP, kind, &strategic).is(200);
    let more = json!({"metadata": {"finalizers": ["a.test/y"]}});
    let patched = send_as(&api, "PATCH", MAP, kind, &more).is(200);
    assert_eq!(
        patched["metadata"]["finalizers"],
        json!(["a.test/x", "a.test/y"])
    );
    send_as(&api, "PATCH", MAP, "text/plain", &merge).is(415);
    send(&api, "PATCH", &format!("{MAP}x"), &merge).is(404);
}

#[test]
fn finalizers_delay_deletion() {
    let api = ApiServer::start();
    let mut object = config_map("one", "1");
    object["metadata"]["finalizers"] = json!(["a.test/x"]);
    api.create(object);
    let held = send(&api, "DELETE", MAP, &Value::Null).is(200);
    assert!(held["metadata"]["deletionTimestamp"].is_string(), "{held}");
    assert!(api.get("ConfigMap", "a", "one").is_some());
    send(
        &api,
        "PATCH",
        MAP,
        &json!({"metadata": {"finalizers": null}}),
    )
    .is(200);
    get(&api, MAP).is(404);
}

#[test]
fn deletions_have_preconditions_and_selections() {
    let api = ApiServer::start();
    for name in ["one", "two", "three"] {
        let mut object = config_map(name, "1");
        object["metadata"]["labels"] = json!({"name": name});
        api.create(object);
    }
    let wrong = json!({"preconditions": {"uid": "other"}});
    send(&api, "DELETE", MAP, &wrong).is(409);
    send(
        &api,
        "DELETE",
        &format!("{MAPS}?labelSelector=name+in+(one,two)"),
        &Value::Null,
    )
    .is(200);
    assert_eq!(api.list("ConfigMap").len(), 1);
    assert!(api.delete("Namespace", "", "a"));
    assert_eq!(api.count("ConfigMap"), 0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let api = ApiServer::start();
    api.create(config_map("one", "1"));
    let version = api.version();
    send(
        &api,
        "POST",
        &format!("{MAPS}?dryRun=All"),
        &config_map("two", "1"),
    )
    .is(201);
    let dry = send(
        &api,
        "PATCH",
        &format!("{MAP}?dryRun=All"),
        &json!({"data": {"value": "2"}}),
    )
    .is(200);
    assert_eq!(dry["data"]["value"], "2");
    send(
        &api,
        "PUT",
        &format!("{MAP}?dryRun=All"),
        &config_map("one", "3"),
    )
    .is(200);
    send(&api, "DELETE", &format!("{MAP}?dryRun=All"), &Value::Null).is(200);
    send(&api, "DELETE", MAP, &json!({"dryRun": ["All"]})).is(200);
    send(&api, "DELETE", &format!("{MAPS}?dryRun=All"), &Value::Null).is(200);
    assert_eq!(api.version(), version);
}

#[test]
fn an_ingress_is_validated() {
    let api = ApiServer::start();
    let path = |field: &str, value: Value| {
        let mut object = ingress("web");
        object["spec"]["rules"][0]["http"]["paths"][0][field] = value;
        object
    };
    let mut host = ingress("web");
    host["spec"]["rules"][0]["host"] = "not a host".into();
    for (object, field) in [
        (
            path("pathType", Value::Null),
            "spec.rules[0].http.paths[0].pathType",
        ),
        (
            path("pathType", "Some".into()),
            "spec.rules[0].http.paths[0].pathType",
        ),
        (path("path", "x".into()), "spec.rules[0].http.paths[0].path"),
        (
            path("backend", json!({})),
            "spec.rules[0].http.paths[0].backend",
        ),
        (host, "spec.rules[0].host"),
    ] {
        let refused = send(&api, "POST", INGRESSES, &object).is(422);
        assert_eq!(refused["details"]["causes"][0]["field"], field, "{refused}");
        let message = refused["message"].as_str().unwrap();
        assert!(
            message.starts_with("Ingress.networking.k8s.io \"web\" is invalid: spec."),
            "{message}"
        );
    }
}

#[test]
fn namespaces_can_be_required_to_exist() {
    let api = ApiServer::start_with(Options {
        namespaces_must_exist: true,
        ..Options::default()
    });
    let refused = send(&api, "POST", MAPS, &config_map("one", "1")).is(404);
    assert_eq!(refused["message"], "namespaces \"a\" not found");
}

#[test]
fn both_event_apis_share_their_objects() {
    let api = ApiServer::start();
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "a", "name": "e"},
        "regarding": {"kind": "Ingress", "name": "web"}, "note": "text", "reason": "Sync", "type": "Normal",
        "reportingController": "c",
    });
    send(
        &api,
        "POST",
        "/apis/events.k8s.io/v1/namespaces/a/events",
        &event,
    )
    .is(201);
    let core = get(
        &api,
        "/api/v1/namespaces/a/events?fieldSelector=involvedObject.name=web",
    )
    .is(200);
    assert_eq!(core["items"][0]["message"], "text");
    assert_eq!(core["items"][0]["reportingComponent"], "c");
    let new = get(
        &api,
        "/apis/events.k8s.io/v1/events?fieldSelector=regarding.name%3Dweb",
    )
    .is(200);
    assert_eq!(new["items"][0]["note"], "text");
    let patch = json!({"note": "other"});
    let patched = send(
        &api,
        "PATCH",
        "/apis/events.k8s.io/v1/namespaces/a/events/e",
        &patch,
    )
    .is(200);
    assert_eq!(
        (&patched["note"], &patched["message"]),
        (&"other".into(), &Value::Null)
    );
}

#[test]
fn secrets_accept_string_data() {
    let api = ApiServer::start();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "a", "name": "s"}, "stringData": {"a": "b"}});
    let made = send(&api, "POST", "/api/v1/namespaces/a/secrets", &secret).is(201);
    assert_eq!(
        (&made["data"]["a"], &made["type"]),
        (&"Yg==".into(), &"Opaque".into())
    );
    assert_eq!(made["stringData"], Value::Null);
}
