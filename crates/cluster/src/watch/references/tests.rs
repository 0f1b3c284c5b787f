#![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

use headgate_compile::objects::custom::{
    BackendTlsPolicySpec, Delivered, GatewaySpec, ListenerSetSpec,
};
use headgate_compile::{GatewayOptions, Name};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::{Value, json};

use super::*;

fn ingress(secrets: &[&str]) -> Object {
    let tls: Vec<Value> = secrets
        .iter()
        .map(|secret| json!({"secretName": secret}))
        .collect();
    let ingress = json!({
        "metadata": {"name": "web", "namespace": "shop"}, "spec": {"tls": tls},
    });
    serde_json::from_value::<Ingress>(ingress).unwrap().into()
}

fn config_map(name: &str, data: Value) -> Object {
    let map = json!({"metadata": {"name": name, "namespace": "system"}, "data": data});
    serde_json::from_value::<ConfigMap>(map).unwrap().into()
}

fn reference(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        kind,
        name: Name::new(namespace, name),
    }
}

fn secret(name: &str) -> ObjectRef {
    reference(Kind::Secret, "shop", name)
}

fn with_certificate(namespace: &str, name: &str) -> Options {
    Options {
        default_certificate: Some(Name::new(namespace, name)),
        ..Options::default()
    }
}

#[test]
fn an_object_is_referenced_until_the_last_reference_is_gone() {
    let mut references = References::new(with_certificate("shop", "one"));
    let one = secret("one");
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Added(one.clone())]
    );
    let web = ingress(&["one", "one"]);
    references.referrer_changed(None, Some(&web));
    references.options = Options::default();
    references.settings_changed(&Snapshot::default());
    assert_eq!(references.take_changes(), []);
    assert!(references.contains(&one));
    references.referrer_changed(Some(&web), None);
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Dropped(one.clone())]
    );
    assert!(!references.contains(&one));
    assert!(
        references.counts.is_empty(),
        "unreferenced names are forgotten"
    );
}

#[test]
fn a_reference_added_and_dropped_between_two_calls_is_no_change() {
    let mut references = References::new(Options::default());
    let (one, two) = (ingress(&["one"]), ingress(&["two"]));
    references.referrer_changed(None, Some(&one));
    references.referrer_changed(Some(&one), Some(&two));
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Added(secret("two"))]
    );
}

#[test]
fn outside_the_watched_namespace_only_flags_refer() {
    let only = |namespace: &str| Options {
        namespaces: Namespaces::One(namespace.into()),
        ..with_certificate("shop", "flag")
    };
    let mut references = References::new(only("other"));
    references.referrer_changed(None, Some(&ingress(&["one"])));
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Added(secret("flag"))]
    );
    let mut references = References::new(only("shop"));
    references.referrer_changed(None, Some(&ingress(&["one"])));
    assert_eq!(references.take_changes().len(), 2);
}

#[test]
fn the_settings_refer_to_further_config_maps_and_others_do_not() {
    let mut references = References::new(Options {
        settings: Some(Name::new("system", "settings")),
        ..Options::default()
    });
    let settings = reference(Kind::ConfigMap, "system", "settings");
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Added(settings)]
    );
    let mut snapshot = Snapshot::default();
    snapshot.apply(config_map(
        "settings",
        json!({"add-headers": "system/headers"}),
    ));
    references.settings_changed(&snapshot);
    let headers = reference(Kind::ConfigMap, "system", "headers");
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Added(headers.clone())]
    );
    // A ConfigMap of headers has no references.
    snapshot.apply(config_map(
        "headers",
        json!({"add-headers": "system/other"}),
    ));
    references.settings_changed(&snapshot);
    assert_eq!(references.take_changes(), []);
    snapshot.apply(config_map("settings", json!({})));
    references.settings_changed(&snapshot);
    assert_eq!(
        references.take_changes(),
        [ReferenceChange::Dropped(headers)]
    );
}

#[test]
fn gateways_listener_sets_and_policies_refer_to_certificates_and_authorities() {
    fn object<T: serde::de::DeserializeOwned + Into<Object>>(spec: Value) -> Object {
        let object = json!({ "metadata": { "name": "edge", "namespace": "shop" }, "spec": spec });
        serde_json::from_value::<T>(object).unwrap().into()
    }
    let listeners = |secret: &str| {
        json!([
            { "tls": { "certificateRefs": [{ "name": secret }, { "name": secret, "namespace": "web" }] } },
            { "tls": { "certificateRefs": [{ "name": "none", "kind": "Service" }] } },
        ])
    };
    let validation = |map: &str| json!({ "validation": { "caCertificateRefs": [{ "kind": "ConfigMap", "name": map }] } });
    let gateway = object::<Delivered<GatewaySpec>>(json!({
        "listeners": listeners("listener"),
        "tls": {
            "backend": { "clientCertificateRef": { "name": "client" } },
            "frontend": { "default": validation("ca"), "perPort": [{ "port": 443, "tls": validation("port-ca") }] },
        },
    }));
    let set = object::<Delivered<ListenerSetSpec>>(json!({ "listeners": listeners("set") }));
    let policy = object::<Delivered<BackendTlsPolicySpec>>(json!({
        "validation": { "caCertificateRefs": [
            { "group": "", "kind": "ConfigMap", "name": "backend-ca" }, { "group": "", "kind": "Service", "name": "none" },
        ] },
    }));
    let map = |name: &str| reference(Kind::ConfigMap, "shop", name);
    for (object, expected) in [
        (
            gateway,
            vec![
                secret("client"),
                secret("listener"),
                reference(Kind::Secret, "web", "listener"),
                map("ca"),
                map("port-ca"),
            ],
        ),
        (
            set,
            vec![secret("set"), reference(Kind::Secret, "web", "set")],
        ),
        (policy, vec![map("backend-ca")]),
    ] {
        let mut references = References::new(Options {
            gateway: Some(GatewayOptions::default()),
            ..Options::default()
        });
        assert_eq!(references.take_changes(), []);
        references.referrer_changed(None, Some(&object));
        let mut added: Vec<_> = expected
            .iter()
            .cloned()
            .map(ReferenceChange::Added)
            .collect();
        added.sort();
        assert_eq!(references.take_changes(), added);
        references.referrer_changed(Some(&object), None);
        assert_eq!(references.take_changes().len(), expected.len());
        assert!(!expected.iter().any(|object| references.contains(object)));
    }
}
