//! Maps from strings to strings (annotations, labels, data), where YAML's habit of reading `true` and `80` as something
//! else than text is met most often. An API server refuses such objects, and so do we.

use headgate_compile::Kind;
use serde_json::{Map, Value};

use super::object::Fault;
use super::path::Path;

/// A map of strings within an object.
struct StringMap {
    /// The keys to it.
    at: &'static [&'static str],
    /// Its values are base64.
    base64: bool,
    /// Its values must not be shown.
    secret: bool,
}

const fn shown(at: &'static [&'static str]) -> StringMap {
    StringMap {
        at,
        base64: false,
        secret: false,
    }
}

const METADATA: [StringMap; 2] = [
    shown(&["metadata", "annotations"]),
    shown(&["metadata", "labels"]),
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
    shown(&["data"]),
    StringMap {
        at: &["binaryData"],
        base64: true,
        secret: false,
    },
];

const SERVICE: [StringMap; 1] = [shown(&["spec", "selector"])];

/// Brings the maps of strings of an object into the form in which its type expects them, and tells of every value that
/// is no string.
pub(crate) fn tidy(kind: Kind, object: &mut Map<String, Value>, path: &Path) -> Vec<Fault> {
    let own: &[StringMap] = match kind {
        Kind::Secret => &SECRET,
        Kind::ConfigMap => &CONFIG_MAP,
        Kind::Service => &SERVICE,
        _ => &[],
    };
    METADATA
        .iter()
        .chain(own)
        .flat_map(|map| tidy_map(map, object, path))
        .collect()
}

fn tidy_map(map: &StringMap, object: &mut Map<String, Value>, path: &Path) -> Vec<Fault> {
    let Some(entries) = descend(object, map.at) else {
        return Vec::new();
    };
    let path = map.at.iter().fold(path.clone(), |path, key| path.key(key));
    let tidied = entries.iter_mut().filter_map(|(key, value)| {
        let message = tidy_value(map, value)?;
        Some(Fault {
            path: path.key(key),
            message,
        })
    });
    tidied.collect()
}

fn descend<'a>(
    object: &'a mut Map<String, Value>,
    keys: &[&str],
) -> Option<&'a mut Map<String, Value>> {
    keys.iter()
        .try_fold(object, |map, key| map.get_mut(*key)?.as_object_mut())
}

/// What is wrong with a value, if it cannot be made right.
fn tidy_value(map: &StringMap, value: &mut Value) -> Option<String> {
    match value {
        // Line breaks are how people fold long base64, and the API server ignores them.
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
