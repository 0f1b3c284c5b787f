#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::{Value, json};

use super::*;

fn ingress(name: &str, service: &str, secret: &str) -> Object {
    let ingress: Ingress = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "defaultBackend": {"service": {"name": service, "port": {"number": 80}}},
            "tls": [{"secretName": secret}],
        },
    }))
    .unwrap();
    ingress.into()
}

fn slice(name: &str, service: &str) -> Object {
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {
            "name": name, "namespace": "shop",
            "labels": {"kubernetes.io/service-name": service},
        },
        "addressType": "IPv4", "endpoints": [],
    }))
    .unwrap();
    slice.into()
}

fn service(spec: Value) -> Object {
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "shop"}, "spec": spec,
    }))
    .unwrap();
    service.into()
}

fn config_map(namespace: &str, name: &str, data: Value) -> Object {
    let map: ConfigMap = serde_json::from_value(json!({
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    }))
    .unwrap();
    map.into()
}

fn put(store: &mut Store, object: Object) {
    let name = object.reference().name;
    store.put(name, object, 0);
}

fn reference(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        name: Name::new(namespace, name),
    }
}

#[test]
fn what_is_told_is_what_there_is_and_only_once() {
    let mut store = Store::new(Options::default());
    put(&mut store, ingress("web", "a", "s"));
    put(&mut store, ingress("web", "b", "s"));
    put(&mut store, ingress("gone", "b", "s"));
    store.remove(&reference(Kind::Ingress, "shop", "gone"));
    let changes = store.take_changes();
    assert_eq!(changes.len(), 2);
    let applied = changes.iter().find_map(|change| match change {
        Change::Apply(object) => Some(object.clone()),
        _ => None,
    });
    assert_eq!(applied, Some(ingress("web", "b", "s")));
    // The same again is no news.
    put(&mut store, ingress("web", "b", "s"));
    assert!(!store.has_news());
}

#[test]
fn an_ingress_lacks_its_service_until_that_has_a_slice() {
    let mut store = Store::new(Options::default());
    put(&mut store, ingress("web", "web", "s"));
    assert!(store.lacks_services());
    put(&mut store, service(json!({})));
    assert!(store.lacks_services());
    put(&mut store, slice("web-1", "web"));
    assert!(!store.lacks_services());
    // Known once, it does not wait again until it changes.
    store.remove(&reference(Kind::EndpointSlice, "shop", "web-1"));
    assert!(!store.lacks_services());
    put(&mut store, ingress("web", "web", "other"));
    assert!(store.lacks_services());
    put(
        &mut store,
        service(json!({"type": "ExternalName", "externalName": "a.example"})),
    );
    assert!(!store.lacks_services());
}

#[test]
fn a_slice_that_moves_to_another_service_counts_there() {
    let mut store = Store::new(Options::default());
    put(&mut store, slice("one", "a"));
    put(&mut store, slice("one", "b"));
    let counts: Vec<_> = store.slices_of.iter().collect();
    assert_eq!(counts, [(&Name::new("shop", "b"), &1)]);
}

#[test]
fn the_settings_name_further_config_maps_and_others_do_not() {
    let mut store = Store::new(Options {
        settings: Some(Name::new("system", "settings")),
        ..Options::default()
    });
    assert_eq!(
        store.take_wishes(),
        [Wish::Added(reference(
            Kind::ConfigMap,
            "system",
            "settings"
        ))]
    );
    let data = json!({"add-headers": "system/headers"});
    put(&mut store, config_map("system", "settings", data));
    let headers = reference(Kind::ConfigMap, "system", "headers");
    assert_eq!(store.take_wishes(), [Wish::Added(headers.clone())]);
    // A map that is headers and not settings names nothing.
    put(
        &mut store,
        config_map("system", "headers", json!({"add-headers": "system/other"})),
    );
    assert_eq!(store.take_wishes(), []);
    put(&mut store, config_map("system", "settings", json!({})));
    assert_eq!(store.take_wishes(), [Wish::Dropped(headers)]);
}

#[test]
fn what_cannot_be_read_is_a_finding_until_it_can_or_is_gone() {
    let mut store = Store::new(Options::default());
    put(&mut store, ingress("web", "a", "s"));
    store.take_changes();
    let web = reference(Kind::Ingress, "shop", "web");
    store.unreadable(web.clone(), "no", 1);
    assert!(store.has_news());
    assert!(store.take_changes().is_empty(), "the version before stays");
    assert_eq!(store.findings().len(), 1);
    // Told already.
    store.unreadable(web.clone(), "no", 2);
    assert!(!store.has_news());
    // It was in the list, though unreadable.
    assert!(store.unseen(Kind::Ingress, 2, |_, _| true).is_empty());
    assert_eq!(store.unseen(Kind::Ingress, 3, |_, _| true), [web]);
    assert!(store.findings().is_empty() && store.has_news());
}
