#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use k8s_openapi::api::discovery::v1 as discovery;
use k8s_openapi::api::networking::v1 as networking;
use serde_json::{Value, json};

use super::*;
use crate::EndpointSlice;

fn ingress(metadata: Value, host: &str) -> Object {
    let ingress = json!({ "metadata": metadata, "spec": { "rules": [{ "host": host }] } });
    let ingress: networking::Ingress = serde_json::from_value(ingress).unwrap();
    ingress.into()
}

fn web(host: &str) -> Object {
    ingress(json!({ "namespace": "shop", "name": "web" }), host)
}

fn slice(service: &str) -> Object {
    let slice: discovery::EndpointSlice = serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": "one",
            "labels": { "kubernetes.io/service-name": service },
        },
        "addressType": "IPv4", "endpoints": [],
    }))
    .unwrap();
    slice.into()
}

fn service(name: &str) -> ObjectRef {
    ObjectRef {
        kind: Kind::Service,
        name: Name::new("shop", name),
    }
}

fn changed(snapshot: &mut Snapshot) -> Vec<String> {
    let mut changed: Vec<String> = snapshot
        .take_changes()
        .objects()
        .map(ToString::to_string)
        .collect();
    changed.sort();
    changed
}

#[test]
fn changes_take_effect_when_they_are_taken() {
    let mut snapshot = Snapshot::default();
    let reference = web("a.example").reference();
    assert!(snapshot.apply(web("a.example")));
    assert_eq!(snapshot.object(&reference), None);
    assert_eq!(snapshot.latest(&reference), Some(&web("a.example")));
    assert_eq!(changed(&mut snapshot), ["Ingress shop/web"]);
    assert_eq!(snapshot.object(&reference), Some(&web("a.example")));

    assert!(snapshot.delete(&reference));
    assert_eq!(snapshot.latest(&reference), None);
    assert_eq!(snapshot.latest_of(Kind::Ingress).count(), 0);
    assert_eq!(snapshot.len(), 1);
    assert_eq!(changed(&mut snapshot), ["Ingress shop/web"]);
    assert!(snapshot.is_empty());
}

#[test]
fn a_version_that_differs_in_fields_that_are_not_kept_changes_nothing() {
    let mut snapshot = Snapshot::default();
    snapshot.apply(web("a.example"));
    snapshot.take_changes();
    let metadata = json!({
        "namespace": "shop", "name": "web", "resourceVersion": "7", "generation": 3,
        "labels": { "team": "web" },
        "managedFields": [{ "manager": "kubectl" }],
        "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}" },
    });
    assert!(!snapshot.apply(ingress(metadata, "a.example")));
    assert!(!snapshot.has_changes());
    assert!(!snapshot.delete(&service("web")), "it never existed");
    assert!(!snapshot.set_zone(None) && !snapshot.set_classes_readable(true));
    assert!(snapshot.take_changes().is_empty());
}

#[test]
fn a_change_reverted_before_it_is_taken_is_not_a_change() {
    let mut snapshot = Snapshot::default();
    let reference = web("a.example").reference();
    assert!(snapshot.apply(web("a.example")) && snapshot.delete(&reference));
    assert!(!snapshot.has_changes());
    snapshot.apply(web("a.example"));
    snapshot.take_changes();
    assert!(snapshot.apply(web("b.example")) && snapshot.apply(web("a.example")));
    assert!(snapshot.set_zone(Some("near".into())) && snapshot.set_zone(None));
    assert!(!snapshot.has_changes());
    assert_eq!(snapshot.latest_of(Kind::Ingress).count(), 1);
}

#[test]
fn a_change_of_the_environment_affects_everything() {
    let mut snapshot = Snapshot::default();
    assert!(snapshot.set_zone(Some("near".into())) && snapshot.set_classes_readable(false));
    assert_eq!(*snapshot.environment(), Environment::default());
    let changes = snapshot.take_changes();
    assert!(changes.everything && changes.objects().next().is_none());
    assert_eq!(snapshot.environment().zone.as_deref(), Some("near"));
    assert!(!snapshot.environment().classes_readable);
}

#[test]
fn a_moved_part_changes_its_old_and_its_new_whole() {
    let mut snapshot = Snapshot::default();
    let parts = |snapshot: &Snapshot, name: &str| {
        let whole = service(name);
        snapshot.parts_of::<EndpointSlice>(&whole).count()
    };
    snapshot.apply(slice("a"));
    assert_eq!(parts(&snapshot, "a"), 0, "pending");
    let expected = ["EndpointSlice shop/one", "Service shop/a"];
    assert_eq!(changed(&mut snapshot), expected);
    assert_eq!(parts(&snapshot, "a"), 1);
    snapshot.apply(slice("b"));
    let expected = ["EndpointSlice shop/one", "Service shop/a", "Service shop/b"];
    assert_eq!(changed(&mut snapshot), expected);
    assert_eq!((parts(&snapshot, "a"), parts(&snapshot, "b")), (0, 1));
    snapshot.delete(&slice("b").reference());
    assert_eq!(
        changed(&mut snapshot),
        ["EndpointSlice shop/one", "Service shop/b"]
    );
    assert_eq!(parts(&snapshot, "b"), 0);
    assert!(snapshot.parts.is_empty());
}
