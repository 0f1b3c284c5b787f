//! Defaults of fields, for kinds whose defaults clients depend on.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::prepare::{self, Object};

/// Sets the absent fields of an object.
pub(crate) fn fill(kind: &Kind, object: &mut Object) {
    match kind.kind {
        "Namespace" => namespace(object),
        "Secret" => secret(object),
        "Service" => service(object),
        "Endpoints" => endpoints(object),
        "Ingress" => ingress(object),
        "EndpointSlice" => slice_ports(object),
        "Deployment" | "StatefulSet" | "ReplicaSet" => replicas(object),
        "RoleBinding" | "ClusterRoleBinding" => subjects(object),
        _ => {}
    }
}

fn namespace(object: &mut Object) {
    let name = prepare::metadata_text(object, "name").to_owned();
    let labels = child(prepare::metadata(object), "labels");
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.into());
    default(child(object, "spec"), "finalizers", json!(["kubernetes"]));
    default(child(object, "status"), "phase", json!("Active"));
}

fn secret(object: &mut Object) {
    default(object, "type", json!("Opaque"));
    if let Some(Value::Object(strings)) = object.remove("stringData") {
        let encoded: BTreeMap<String, Value> = strings
            .into_iter()
            .map(|(name, value)| {
                let text = value.as_str().unwrap_or_default();
                (name, STANDARD.encode(text).into())
            })
            .collect();
        child(object, "data").extend(encoded);
    }
}

fn service(object: &mut Object) {
    let spec = child(object, "spec");
    default(spec, "type", json!("ClusterIP"));
    default(spec, "sessionAffinity", json!("None"));
    for port in items(spec, "ports") {
        default(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_default();
        default(port, "targetPort", number);
    }
    default(child(object, "status"), "loadBalancer", json!({}));
}

fn endpoints(object: &mut Object) {
    for subset in items(object, "subsets") {
        for port in items(subset, "ports") {
            default(port, "protocol", json!("TCP"));
        }
    }
}

fn ingress(object: &mut Object) {
    default(child(object, "status"), "loadBalancer", json!({}));
}

fn slice_ports(object: &mut Object) {
    for port in items(object, "ports") {
        default(port, "protocol", json!("TCP"));
        default(port, "name", json!(""));
    }
}

fn replicas(object: &mut Object) {
    default(child(object, "spec"), "replicas", json!(1));
}

fn subjects(object: &mut Object) {
    for subject in items(object, "subjects") {
        let user = subject.get("kind").and_then(Value::as_str) != Some("ServiceAccount");
        if user {
            default(subject, "apiGroup", json!("rbac.authorization.k8s.io"));
        }
    }
    let reference = child(object, "roleRef");
    default(reference, "apiGroup", json!("rbac.authorization.k8s.io"));
}

/// An object in an object, added if absent.
fn child<'a>(object: &'a mut Object, field: &str) -> &'a mut Object {
    let value = object
        .entry(field)
        .or_insert_with(|| Value::Object(Map::new()));
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(child) => child,
        _ => unreachable!("it was just made an object"),
    }
}

/// The objects of a list.
fn items<'a>(object: &'a mut Object, field: &str) -> impl Iterator<Item = &'a mut Object> {
    object
        .get_mut(field)
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
}

fn default(object: &mut Object, field: &str, value: Value) {
    let absent = object.get(field).is_none_or(Value::is_null);
    if absent && !value.is_null() {
        object.insert(field.to_owned(), value);
    }
}
