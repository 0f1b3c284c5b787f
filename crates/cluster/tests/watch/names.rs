//! Secrets and ConfigMaps: only referenced ones are kept.

use std::time::Duration;

use headgate_apiserver::{ApiServer, Disturbance, Effect, Fault};
use headgate_compile::{Kind, Name, Options};
use serde_json::json;

use crate::world::{World, changed, config_map, ingress, options, secret, secured, service, slice};

/// Changes wait for referenced objects, for as long as a loaded machine may take.
fn waiting_for_references() -> headgate_cluster::WatchOptions {
    let mut options = options();
    options.timing.fetch_wait = Duration::from_secs(10);
    options
}

#[test]
fn a_secret_is_added_and_dropped_with_the_ingress_that_refers_to_it() {
    let api = ApiServer::start();
    api.create(secret("shop", "cert"));
    let mut world = World::ready(&api, waiting_for_references());
    assert!(!world.has(Kind::Secret, "shop", "cert"));
    let slow = Fault::new(Effect::Delay(Duration::from_millis(100)));
    api.inject(slow.verb("list").resource("secrets").times(1));
    api.create(secured("web", "cert"));
    let batch = world.batch();
    assert_eq!(changed(&batch).len(), 2, "{:?}", batch.changes);
    assert!(world.has(Kind::Secret, "shop", "cert"));
    // Another reference keeps it.
    api.create(secured("api", "cert"));
    world.batch();
    api.delete("Ingress", "shop", "web");
    world.batch();
    assert!(world.has(Kind::Secret, "shop", "cert"));
    api.delete("Ingress", "shop", "api");
    world.until("the Secret to go", |world| {
        !world.has(Kind::Secret, "shop", "cert")
    });
}

#[test]
fn a_referenced_secret_that_is_created_later_is_added_and_others_are_not() {
    let api = ApiServer::start();
    api.create(secured("web", "cert"));
    let mut world = World::ready(&api, options());
    api.create(secret("shop", "other"));
    api.create(secret("shop", "cert"));
    world.until("the Secret", |world| {
        world.has(Kind::Secret, "shop", "cert")
    });
    api.modify("Secret", "shop", "cert", |secret| {
        secret["data"]["tls.crt"] = json!("bmV3");
    });
    world.batch();
    let changed = |world: &World| {
        let object = crate::world::reference(Kind::Secret, "shop", "cert");
        match world.snapshot().object(&object) {
            Some(headgate_compile::Object::Secret(secret)) => secret.get("tls.crt") == Some(b"new"),
            _ => false,
        }
    };
    world.until("the change", changed);
    assert!(!world.has(Kind::Secret, "shop", "other"));
    assert_eq!(world.metric("headgate_objects", "Secret"), 1.0);
}

#[test]
fn references_survive_relists_and_failing_requests() {
    let api = ApiServer::start();
    api.create(secret("shop", "cert"));
    let mut world = World::ready(&api, waiting_for_references());
    api.wait_for_watches("secrets", 1);
    api.inject(
        Fault::new(Effect::Status(500))
            .verb("list")
            .resource("secrets")
            .times(2),
    );
    api.create(secured("web", "cert"));
    world.until("the Secret", |world| {
        world.has(Kind::Secret, "shop", "cert")
    });
    for _ in 0..3 {
        api.disturb("secrets", Disturbance::Error(410));
        api.modify("Secret", "shop", "cert", |secret| {
            let text = secret["data"]["tls.crt"].as_str().unwrap().to_owned();
            secret["data"]["tls.crt"] = json!(format!("{text}QUFB"));
        });
        world.batch();
        assert!(world.has(Kind::Secret, "shop", "cert"));
    }
    assert!(world.deleted.is_empty());
}

#[test]
fn config_maps_that_the_settings_refer_to_are_kept() {
    let api = ApiServer::start();
    let settings = |data| config_map("system", "settings", data);
    api.create(settings(json!({"add-headers": "system/headers"})));
    api.create(config_map("system", "headers", json!({"X-One": "1"})));
    api.create(config_map("system", "more", json!({"X-Two": "2"})));
    let mut options = waiting_for_references();
    options.compile = Options {
        settings: Some(Name::new("system", "settings")),
        ..Options::default()
    };
    let mut world = World::ready(&api, options);
    assert!(world.has(Kind::ConfigMap, "system", "settings"));
    assert!(world.has(Kind::ConfigMap, "system", "headers"));
    assert!(!world.has(Kind::ConfigMap, "system", "more"));
    api.replace(settings(json!({"add-headers": "system/more"})));
    let batch = world.batch();
    assert_eq!(changed(&batch).len(), 3, "{:?}", batch.changes);
    assert!(world.has(Kind::ConfigMap, "system", "more"));
    assert!(!world.has(Kind::ConfigMap, "system", "headers"));
}

#[test]
fn parameters_of_classes_are_kept() {
    let api = ApiServer::start();
    api.create(config_map(
        "system",
        "parameters",
        json!({"proxy-set-headers": "system/headers"}),
    ));
    api.create(config_map("system", "headers", json!({"X-One": "1"})));
    let mut world = World::ready(&api, waiting_for_references());
    let class = |name: &str, controller: &str, map: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": name},
            "spec": {"controller": controller, "parameters": {
                "kind": "ConfigMap", "name": map, "namespace": "system", "scope": "Namespace",
            }},
        })
    };
    // Parameters of another controller's class are not read: they may be in a forbidden namespace.
    api.create(config_map("system", "other", json!({})));
    api.create(class("other", "example.com/other", "other"));
    api.create(class("nginx", "k8s.io/ingress-nginx", "parameters"));
    world.until("the parameters and their references", |world| {
        world.has(Kind::ConfigMap, "system", "parameters")
            && world.has(Kind::ConfigMap, "system", "headers")
    });
    assert!(!world.has(Kind::ConfigMap, "system", "other"));
    api.delete("IngressClass", "", "other");
    api.delete("IngressClass", "", "nginx");
    world.until("all of it to go", |world| world.snapshot().is_empty());
}

#[test]
fn an_ingress_waits_for_its_service_and_slices() {
    let api = ApiServer::start();
    let mut options = options();
    options.timing.services_wait = Duration::from_secs(10);
    let mut world = World::ready(&api, options);
    api.create(ingress("web", "web"));
    assert!(world.is_quiet(), "it waits for the Service");
    api.create(service("shop", "web"));
    assert!(world.is_quiet(), "it waits for a slice");
    api.create(slice("shop", "web-1", "web"));
    let batch = world.batch();
    assert_eq!(changed(&batch).len(), 3, "{:?}", batch.changes);
    // A complete one does not wait.
    let start = std::time::Instant::now();
    api.create(ingress("api", "web"));
    world.batch();
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_new_service_and_slice_wait_for_their_ingress() {
    let api = ApiServer::start();
    let mut options = options();
    options.timing.services_wait = Duration::from_secs(10);
    let mut world = World::ready(&api, options);
    api.create(service("shop", "web"));
    api.create(slice("shop", "web-1", "web"));
    assert!(world.is_quiet(), "nothing refers to them");
    api.create(ingress("web", "web"));
    let batch = world.batch();
    assert_eq!(changed(&batch).len(), 3, "{:?}", batch.changes);
}

#[test]
fn an_ingress_without_a_service_is_reported_after_the_wait() {
    let api = ApiServer::start();
    let mut world = World::ready(&api, options());
    api.create(ingress("web", "none"));
    let batch = world.batch();
    assert_eq!(changed(&batch).len(), 1, "{:?}", batch.changes);
    assert!(world.has(Kind::Ingress, "shop", "web"));
}
