//! The merge strategies of lists and maps.
//!
//! An approximation of the merge annotations in Kubernetes' schemas, by the names of a field and of its parents.
//! Lists that are not named here are atomic and maps are merged, as in most schemas.

use serde_json::Value;

/// Merge strategy of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merge {
    /// As a whole.
    Atomic,
    /// A map, field by field.
    Fields,
    /// A list, as a set of scalars.
    Set,
    /// A list of maps with these keys and their defaults.
    Keyed(&'static [(&'static str, Option<&'static str>)]),
}

const NAME: Merge = Merge::Keyed(&[("name", None)]);
const TYPE: Merge = Merge::Keyed(&[("type", None)]);
const UID: Merge = Merge::Keyed(&[("uid", None)]);
const IP: Merge = Merge::Keyed(&[("ip", None)]);
const MOUNT: Merge = Merge::Keyed(&[("mountPath", None)]);
const TOPOLOGY: Merge = Merge::Keyed(&[("topologyKey", None), ("whenUnsatisfiable", None)]);
const SERVICE_PORT: Merge = Merge::Keyed(&[("port", None), ("protocol", Some("TCP"))]);
const CONTAINER_PORT: Merge = Merge::Keyed(&[("containerPort", None), ("protocol", Some("TCP"))]);

/// Atomic maps.
const ATOMIC_MAPS: &[&str] = &[
    "matchLabels",
    "nodeSelector",
    "labelSelector",
    "namespaceSelector",
    "objectSelector",
    "podSelector",
    "involvedObject",
    "resourceFieldRef",
    "fieldRef",
    "secretKeyRef",
    "configMapKeyRef",
    "roleRef",
    "scaleTargetRef",
    "claimRef",
];

/// The merge strategy of the field at a path. Steps are the names of fields; items of lists have none.
pub(crate) fn merge(kind: &str, path: &[String], value: &Value) -> Merge {
    let last = path.last().map_or("", String::as_str);
    let parent = path.iter().rev().nth(1).map_or("", String::as_str);
    match value {
        Value::Object(_) => map(kind, path, last, parent),
        Value::Array(items) => list(kind, last, parent, items),
        _ => Merge::Atomic,
    }
}

fn map(kind: &str, path: &[String], last: &str, parent: &str) -> Merge {
    // The selectors of Services and workloads are atomic.
    if last == "selector" && parent == "spec" {
        return Merge::Atomic;
    }
    if ATOMIC_MAPS.contains(&last) {
        return Merge::Atomic;
    }
    let ingress_backend = kind == "Ingress" && last == "resource" && path.len() > 2;
    if ingress_backend {
        Merge::Atomic
    } else {
        Merge::Fields
    }
}

fn list(kind: &str, last: &str, parent: &str, items: &[Value]) -> Merge {
    let has = |field: &str| items.iter().any(|item| item.get(field).is_some());
    match (last, parent) {
        ("finalizers", "metadata") => Merge::Set,
        ("ownerReferences", "metadata") => UID,
        ("conditions", "status") => TYPE,
        ("ports", _) if has("containerPort") => CONTAINER_PORT,
        ("ports", "spec") if kind == "Service" => SERVICE_PORT,
        ("containers" | "initContainers" | "ephemeralContainers", _) => NAME,
        ("env" | "volumes" | "imagePullSecrets" | "webhooks" | "secrets", _) => NAME,
        ("volumeMounts", _) => MOUNT,
        ("hostAliases", _) => IP,
        ("topologySpreadConstraints", _) => TOPOLOGY,
        ("matchConditions", _) => NAME,
        _ => Merge::Atomic,
    }
}

/// The key of an item in the form of `fieldsV1`; `None`: it has none.
pub(crate) fn key(fields: &[(&str, Option<&str>)], item: &Value) -> Option<String> {
    let mut key = serde_json::Map::new();
    for (field, default) in fields {
        let value = match (item.get(field), default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => (*default).into(),
            (None, None) => return None,
        };
        key.insert((*field).to_owned(), value);
    }
    Some(format!("k:{}", Value::Object(key)))
}
