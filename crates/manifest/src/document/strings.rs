//! Maps from strings to strings (annotations, labels, data), where YAML most often reads `true` and `80` as other types.
//! Such objects are rejected, as by an API server.

use headgate_compile::Kind;
use serde_json::{Map, Value};

use super::object::Fault;
use super::path::Path;

/// A map of strings in an object.
struct StringMap {
    /// The keys that lead to it.
    at: &'static [&'static str],
    /// Its values are base64.
    base64: bool,
    /// Its values must not appear in messages.
    secret: bool,
}

const fn plain(at: &'static [&'static str]) -> StringMap {
    StringMap {
        at,
        base64: false,
        secret: false,
    }
}

const METADATA: [StringMap; 2] = [
    plain(&["metadata", "annotations"]),
    plain(&["metadata", "labels"]),
];

const SECRET: [StringMap; 2] = [
    StringMap {
        at: &["data"],
        base64: true,
        secret: true,
    },
    StringMap {
        at: &["stringData"],
        base64: false,
        secret: true,
    },
];

const CONFIG_MAP: [StringMap; 2] = [
    plain(&["data"]),
    StringMap {
        at: &["binaryData"],
        base64: true,
        secret: false,
    },
];

const SERVICE: [StringMap; 1] = [plain(&["spec", "selector"])];

/// Normalizes the string maps of an object to the form that its type expects. Returns every value that is not a string.
pub(crate) fn normalize(kind: Kind, object: &mut Map<String, Value>, path: &Path) -> Vec<Fault> {
    let of_kind: &[StringMap] = match kind {
        Kind::Secret => &SECRET,
        Kind::ConfigMap => &CONFIG_MAP,
        Kind::Service => &SERVICE,
        _ => &[],
    };
    METADATA
        .iter()
        .chain(of_kind)
        .flat_map(|map| normalize_map(map, object, path))
        .collect()
}

fn normalize_map(map: &StringMap, object: &mut Map<String, Value>, path: &Path) -> Vec<Fault> {
    let Some(entries) = descend(object, map.at) else {
        return Vec::new();
    };
    let path = map.at.iter().fold(path.clone(), |path, key| path.key(key));
    let faults = entries.iter_mut().filter_map(|(key, value)| {
        let message = normalize_value(map, value)?;
        Some(Fault {
            path: path.key(key),
            message,
        })
    });
    faults.collect()
}

fn descend<'a>(
    object: &'a mut Map<String, Value>,
    keys: &[&str],
) -> Option<&'a mut Map<String, Value>> {
    keys.iter()
        .try_fold(object, |map, key| map.get_mut(*key)?.as_object_mut())
}

/// Returns the error if the value cannot be normalized.
fn normalize_value(map: &StringMap, value: &mut Value) -> Option<String> {
    match value {
        // Long base64 is often folded with line breaks, which the API server ignores.
        Value::String(text) if map.base64 && text.contains(['\n', '\r']) => {
            text.retain(|c| c != '\n' && c != '\r')
        }
        Value::String(_) => {}
        // As the API server reads a key without a value.
        Value::Null => *value = Value::String(String::new()),
        Value::Array(_) => return Some("is a list, where a string is expected".to_owned()),
        Value::Object(_) => return Some("is a mapping, where a string is expected".to_owned()),
        Value::Bool(_) | Value::Number(_) if map.secret => {
            return Some("is not a string: quote it".to_owned());
        }
        Value::Bool(_) => {
            return Some(format!(
                "is the boolean {value}, not a string: quote it, as in \"{value}\""
            ));
        }
        Value::Number(_) => {
            return Some(format!(
                "is the number {value}, not a string: quote it, as in \"{value}\""
            ));
        }
    }
    None
}
