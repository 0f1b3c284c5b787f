//! Patches: JSON patch, merge patch, strategic merge patch.
//!
//! Strategic merge uses the same table of lists as server-side apply. It supports `$patch: delete`, `$patch: replace`,
//! `$retainKeys` and `$deleteFromPrimitiveList/…`, and ignores `$setElementOrder/…`.

use serde_json::{Map, Value};

use super::failure::Failure;
use super::fields::Position;
use super::kinds::Kind;
use super::lists::{self, Merge};

/// A parsed patch.
#[derive(Debug)]
pub(crate) enum Patch {
    /// RFC 6902.
    Json(json_patch::Patch),
    /// RFC 7396.
    Merge(Value),
    /// Strategic merge patch.
    Strategic(Value),
    /// Server-side apply.
    Apply(Value),
}

impl Patch {
    /// Reads a body of that content type.
    pub(crate) fn read(content_type: &str, body: &[u8]) -> Result<Self, Failure> {
        let json = || serde_json::from_slice(body).map_err(unreadable);
        match content_type {
            "application/json-patch+json" => {
                let patch = serde_json::from_slice(body).map_err(unreadable)?;
                Ok(Self::Json(patch))
            }
            "application/merge-patch+json" => Ok(Self::Merge(json()?)),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic(json()?)),
            "application/apply-patch+yaml" => Ok(Self::Apply(yaml(body)?)),
            other => Err(Failure::new(
                415,
                "UnsupportedMediaType",
                format!(
                    "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml (got {other:?})"
                ),
            )),
        }
    }
}

/// Reads YAML, which JSON is too.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Failure> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text = std::str::from_utf8(body).map_err(unreadable)?;
    serde_saphyr::from_str(text).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> Failure {
    Failure::bad_request(format!("error decoding patch: {error}"))
}

/// The object after the patch.
pub(crate) fn apply(kind: &Kind, patch: &Patch, mut object: Value) -> Result<Value, Failure> {
    match patch {
        Patch::Json(patch) => json_patch::patch(&mut object, patch).map_err(|error| Failure {
            details: Some(serde_json::json!({
                "causes": [{"reason": "UnexpectedServerResponse", "message": error.to_string()}],
            })),
            ..Failure::new(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            )
        })?,
        Patch::Merge(patch) => json_patch::merge(&mut object, patch),
        Patch::Strategic(patch) => strategic(&Position::top(kind.kind), &mut object, patch),
        Patch::Apply(_) => return Err(Failure::bad_request("an apply is not a patch")),
    }
    Ok(object)
}

fn strategic(position: &Position<'_>, live: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return;
    };
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") || !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(live) = live else { return };
    if let Some(Value::Array(kept)) = patch.get("$retainKeys") {
        live.retain(|name, _| kept.iter().any(|kept| kept == name.as_str()));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            delete_scalars(live, list, value);
        } else if name.starts_with('$') {
            // Element orders are ignored; the other directives are handled above.
        } else if value.is_null() {
            live.remove(name);
        } else {
            let position = position.field(name);
            let field = live.entry(name.clone()).or_insert(Value::Null);
            strategic_field(&position, field, value);
        }
    }
}

fn delete_scalars(live: &mut Map<String, Value>, list: &str, gone: &Value) {
    let gone = gone.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(Value::Array(items)) = live.get_mut(list) {
        items.retain(|item| !gone.contains(item));
    }
}

fn strategic_field(position: &Position<'_>, live: &mut Value, patch: &Value) {
    let Value::Array(items) = patch else {
        strategic(position, live, patch);
        return;
    };
    let replaces = |item: &Value| item["$patch"] == "replace";
    if !live.is_array() || items.iter().any(replaces) {
        *live = Value::Array(Vec::new());
    }
    let Value::Array(live) = live else { return };
    let known = Value::Array(live.iter().chain(items).cloned().collect());
    match position.merge(&known) {
        Merge::Keyed(keys) => {
            for item in items.iter().filter(|item| !replaces(item)) {
                strategic_item(position, keys, live, item);
            }
        }
        Merge::Set => {
            for item in items {
                if !live.contains(item) {
                    live.push(item.clone());
                }
            }
        }
        Merge::Fields | Merge::Atomic => *live = items.clone(),
    }
}

fn strategic_item(
    position: &Position<'_>,
    keys: &[(&str, Option<&str>)],
    live: &mut Vec<Value>,
    item: &Value,
) {
    // Clients write only the first key into a deletion.
    let first = keys.first().map(|(name, _)| *name).unwrap_or_default();
    let is_same = |existing: &Value| match item["$patch"].as_str() {
        Some("delete") => existing[first] == item[first],
        _ => lists::key(keys, existing) == lists::key(keys, item),
    };
    if item["$patch"] == "delete" {
        live.retain(|existing| !is_same(existing));
        return;
    }
    match live.iter_mut().find(|existing| is_same(existing)) {
        Some(existing) => strategic(position, existing, item),
        None => {
            let mut new = Value::Object(Map::new());
            strategic(position, &mut new, item);
            live.push(new);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(kind: &str, live: Value, patch: Value) -> Value {
        let mut live = live;
        strategic(&Position::top(kind), &mut live, &patch);
        live
    }

    #[test]
    fn items_are_merged_by_their_keys() {
        let live = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 81, "protocol": "TCP"}]}});
        let patch = json!({"spec": {
            "$setElementOrder/ports": [{"port": 80}],
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 8080}, {"port": 81, "$patch": "delete"}, {"port": 82}],
        }});
        let expected = json!({"spec": {"ports": [
            {"port": 80, "protocol": "TCP", "name": "a", "targetPort": 8080}, {"port": 82},
        ]}});
        assert_eq!(patched("Service", live, patch), expected);
    }

    #[test]
    fn maps_are_merged_and_rules_replaced() {
        let live = json!({"metadata": {"annotations": {"a": "1", "b": "2"}}, "spec": {"rules": [{"host": "a"}, {"host": "b"}]}});
        let patch = json!({"metadata": {"annotations": {"a": null, "c": "3"}}, "spec": {"rules": [{"host": "c"}]}});
        let expected = json!({"metadata": {"annotations": {"b": "2", "c": "3"}}, "spec": {"rules": [{"host": "c"}]}});
        assert_eq!(patched("Ingress", live, patch), expected);
    }
}
