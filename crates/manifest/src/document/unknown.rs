//! Fields that an object's type does not have. kubectl refuses such objects (`--validate=strict`) and an API server drops the
//! fields; here the object is read without them, unless they hold annotations, which may be what protects it.

use headgate_compile::Kind;
use serde_json::{Map, Value};

use super::object::Fault;
use super::path::{Path, Step};

/// What was probably meant by a field: the field that it is in (empty: any), its name, and the right one.
const MEANT: &[(&str, &str, &str)] = &[
    ("", "annotation", "metadata.annotations"),
    ("", "annotations", "metadata.annotations"),
    ("", "label", "metadata.labels"),
    ("", "labels", "metadata.labels"),
    ("", "lables", "metadata.labels"),
    ("backend", "serviceName", "service.name"),
    (
        "backend",
        "servicePort",
        "service.port.number or service.port.name",
    ),
    ("defaultBackend", "serviceName", "service.name"),
    (
        "defaultBackend",
        "servicePort",
        "service.port.number or service.port.name",
    ),
    ("spec", "backend", "defaultBackend"),
    ("spec", "ingressClass", "ingressClassName"),
    ("spec", "ingressclassname", "ingressClassName"),
    ("spec", "className", "ingressClassName"),
    ("spec", "class", "ingressClassName"),
    ("paths", "pathtype", "pathType"),
    ("paths", "type", "pathType"),
    ("tls", "secret", "secretName"),
    ("tls", "secretname", "secretName"),
    ("tls", "host", "hosts"),
    ("rules", "hosts", "host"),
    ("rules", "paths", "http.paths"),
    ("ports", "targetport", "targetPort"),
    ("", "stringdata", "stringData"),
];

/// The finding about an unknown field.
pub(super) fn notice(object: &Path, field: Path) -> Fault {
    let name = shown(object, &field);
    let meant = meant(&field).map_or_else(String::new, |meant| format!(": write {meant}"));
    Fault {
        message: format!("unknown field \"{name}\"; ignored{meant}"),
        path: field,
    }
}

fn meant(field: &Path) -> Option<&'static str> {
    let mut keys = field.0.iter().rev().filter_map(|step| match step {
        Step::Key(key) => Some(key.as_str()),
        Step::Index(_) => None,
    });
    let name = keys.next()?;
    let parent = keys.next().unwrap_or_default();
    let known = MEANT
        .iter()
        .find(|(within, known, _)| *known == name && (within.is_empty() || *within == parent));
    known.map(|(_, _, meant)| *meant)
}

/// Annotations of an Ingress in a place where they have no effect.
pub(super) fn misplaced_annotations(
    kind: Kind,
    object: &Map<String, Value>,
    path: &Path,
) -> Vec<Fault> {
    if kind != Kind::Ingress {
        return Vec::new();
    }
    let within = |key: &str| object.get(key).and_then(Value::as_object);
    let places = [
        (Some(object), path.clone()),
        (within("metadata"), path.key("metadata")),
        (within("spec"), path.key("spec")),
    ];
    let fields = places.into_iter().flat_map(|(place, path)| {
        let fields = place.into_iter().flatten();
        fields
            .filter(|(key, value)| are_annotations(key, value))
            .map(move |(key, _)| path.key(key))
    });
    let fields = fields.filter(|field| !is_known(path, field));
    fields
        .map(|field| Fault {
            message: format!(
                "unknown field \"{}\": annotations belong in metadata.annotations, and as these may protect the Ingress, \
                 this version of it is not served",
                shown(path, &field)
            ),
            path: field,
        })
        .collect()
}

/// By the name of the field, or by keys such as `example.com/name`.
fn are_annotations(key: &str, value: &Value) -> bool {
    let Some(entries) = value.as_object() else {
        return false;
    };
    let named = key.to_ascii_lowercase().starts_with("annot") && !entries.is_empty();
    named || entries.keys().any(|key| key.contains('/'))
}

/// Maps with such keys that an Ingress has.
fn is_known(object: &Path, field: &Path) -> bool {
    let metadata = object.key("metadata");
    *field == metadata.key("annotations") || *field == metadata.key("labels")
}

/// The path of a field within its object.
fn shown(object: &Path, field: &Path) -> String {
    let steps = field.0.iter().skip(object.0.len());
    Path(steps.cloned().collect()).to_string().replace('"', "'")
}
