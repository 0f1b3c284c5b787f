//! Preparing objects for a write: the fields that the server sets.

use serde_json::{Map, Value, json};

use super::clock;
use super::failure::Failure;
use super::kinds::Kind;
use super::stored::{Key, Stored};

/// An object without `apiVersion` and `kind`.
pub(crate) type Object = Map<String, Value>;

/// Kinds whose updates must have a resource version.
const CONDITIONAL: &[&str] = &[
    "leases",
    "poddisruptionbudgets",
    "customresourcedefinitions",
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
];

/// Removes `apiVersion` and `kind`, which must be those of the path.
pub(crate) fn typed(kind: &Kind, value: Value) -> Result<Object, Failure> {
    let Value::Object(mut object) = value else {
        return Err(Failure::bad_request(
            "the object provided is unrecognized (must be of type Object)",
        ));
    };
    let type_fields = (object.remove("apiVersion"), object.remove("kind"));
    let (Some(Value::String(version)), Some(Value::String(name))) = type_fields else {
        return Err(Failure::bad_request(
            "Object 'Kind' is missing or 'apiVersion' is missing",
        ));
    };
    if (version.as_str(), name.as_str()) != (kind.api_version().as_str(), kind.kind) {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({version}, Kind={name}) does not match the expected API version ({}, Kind={})",
            kind.api_version(),
            kind.kind
        )));
    }
    if !object.get("metadata").is_none_or(Value::is_object) {
        return Err(Failure::bad_request("metadata must be an object"));
    }
    if kind.is_new_event() {
        object = super::convert::to_core_event(object);
    }
    Ok(object)
}

/// The metadata, added if absent.
pub(crate) fn metadata(object: &mut Object) -> &mut Object {
    let metadata = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if !metadata.is_object() {
        *metadata = Value::Object(Map::new());
    }
    match metadata {
        Value::Object(metadata) => metadata,
        _ => unreachable!("it was just made an object"),
    }
}

/// A field of the metadata, as text.
pub(crate) fn metadata_text<'a>(object: &'a Object, field: &str) -> &'a str {
    object
        .get("metadata")
        .and_then(|metadata| metadata[field].as_str())
        .unwrap_or_default()
}

/// Sets the name and namespace of the path, which the object must not contradict.
pub(crate) fn set_key(kind: &Kind, object: &mut Object, key: &Key) -> Result<(), Failure> {
    let name = metadata_text(object, "name");
    if !key.name.is_empty() && !name.is_empty() && name != key.name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    let namespace = metadata_text(object, "namespace");
    if kind.namespaced && !namespace.is_empty() && namespace != key.namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let metadata = metadata(object);
    if !key.name.is_empty() {
        metadata.insert("name".to_owned(), key.name.as_str().into());
    }
    if kind.namespaced {
        metadata.insert("namespace".to_owned(), key.namespace.as_str().into());
    } else {
        metadata.remove("namespace");
    }
    Ok(())
}

/// Completes a new object: a name from `generateName`, a UID, a creation time.
pub(crate) fn new(kind: &Kind, object: &mut Object, identity: String) {
    let metadata = metadata(object);
    let absent =
        |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().is_empty();
    if absent(metadata.get("name"))
        && let Some(prefix) = metadata.get("generateName").and_then(Value::as_str)
    {
        let name = format!("{prefix}{}", suffix());
        metadata.insert("name".to_owned(), name.into());
    }
    for field in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "resourceVersion",
    ] {
        metadata.remove(field);
    }
    metadata.insert("uid".to_owned(), identity.into());
    metadata.insert("creationTimestamp".to_owned(), clock::now().into());
    metadata.remove("generation");
    if kind.generation {
        metadata.insert("generation".to_owned(), 1.into());
    }
}

/// Five characters, as the server appends them to `generateName`.
fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5)
        .map(|_| char::from(LETTERS[fastrand::usize(..LETTERS.len())]))
        .collect()
}

/// Makes an object the next state of an existing one: immutable fields are kept, spec or status is kept if the write changes
/// only the other, and the generation increases.
pub(crate) fn next(
    kind: &Kind,
    before: &Stored,
    object: &mut Object,
    subresource: &str,
) -> Result<(), Failure> {
    let name = &before.key.name;
    check_preconditions(kind, before, object, subresource)?;
    let old = before.object();
    let old_metadata = old.get("metadata").cloned().unwrap_or_default();
    if subresource == "status" {
        let status = object.remove("status");
        let managed = metadata(object).remove("managedFields");
        *object = old.clone();
        set(object, "status", status);
        set(metadata(object), "managedFields", managed);
    } else if kind.has_status() {
        set(object, "status", old.get("status").cloned());
    }
    let metadata = metadata(object);
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
    ] {
        set(metadata, field, old_metadata.get(field).cloned());
    }
    metadata.insert("name".to_owned(), name.as_str().into());
    if kind.generation && differs(&old, object) {
        let generation = old_metadata["generation"].as_u64().unwrap_or(0) + 1;
        self::metadata(object).insert("generation".to_owned(), json!(generation));
    }
    Ok(())
}

fn check_preconditions(
    kind: &Kind,
    before: &Stored,
    object: &Object,
    subresource: &str,
) -> Result<(), Failure> {
    let name = &before.key.name;
    let version = metadata_text(object, "resourceVersion");
    if version.is_empty() {
        if CONDITIONAL.contains(&kind.plural) && subresource.is_empty() {
            let cause = super::failure::Cause::invalid(
                "metadata.resourceVersion",
                &json!(0),
                "must be specified for an update",
            );
            return Err(Failure::invalid(kind, name, &[cause]));
        }
    } else if version != before.version.to_string() && version != "0" {
        return Err(Failure::stale(kind, name));
    }
    let uid = metadata_text(object, "uid");
    if !uid.is_empty() && uid != before.uid {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            before.uid
        );
        return Err(Failure::conflict(kind, name, &why));
    }
    Ok(())
}

/// Whether anything but metadata and status differs.
fn differs(old: &Object, new: &Object) -> bool {
    let rest = |object: &Object| -> Object {
        object
            .iter()
            .filter(|(field, _)| !["metadata", "status"].contains(&field.as_str()))
            .map(|(field, value)| (field.clone(), value.clone()))
            .collect()
    };
    rest(old) != rest(new)
}

/// Whether two states differ at most in version and managed fields.
pub(crate) fn same(old: &Object, new: &Object) -> bool {
    let bare = |object: &Object| {
        let mut object = object.clone();
        let metadata = metadata(&mut object);
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
        object
    };
    bare(old) == bare(new)
}

/// Sets or removes a field.
pub(crate) fn set(object: &mut Object, field: &str, value: Option<Value>) {
    match value {
        Some(value) => {
            object.insert(field.to_owned(), value);
        }
        None => {
            object.remove(field);
        }
    }
}
