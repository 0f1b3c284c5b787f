//! Merging an applied configuration into an object, and removing fields from one.

use serde_json::{Map, Value};

use super::fields::{Fields, Position, parts};
use super::lists::{self, Merge};

/// The object with the configuration merged in.
pub(crate) fn merge(position: &Position<'_>, live: Option<&Value>, config: &Value) -> Value {
    let Some(live) = live else {
        return config.clone();
    };
    match (position.merge(config), live, config) {
        (Merge::Fields, Value::Object(live), Value::Object(config)) => {
            Value::Object(merge_maps(position, live, config))
        }
        (Merge::Set, Value::Array(live), Value::Array(config)) => {
            let more = config.iter().filter(|item| !live.contains(item));
            Value::Array(live.iter().chain(more).cloned().collect())
        }
        (Merge::Keyed(keys), Value::Array(live), Value::Array(config)) => {
            Value::Array(merge_items(position, keys, live, config))
        }
        _ => config.clone(),
    }
}

fn merge_maps(
    position: &Position<'_>,
    live: &Map<String, Value>,
    config: &Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = live.clone();
    for (name, value) in config {
        let value = merge(&position.field(name), live.get(name), value);
        merged.insert(name.clone(), value);
    }
    merged
}

fn merge_items(
    position: &Position<'_>,
    keys: &[(&str, Option<&str>)],
    live: &[Value],
    config: &[Value],
) -> Vec<Value> {
    let mut merged = live.to_vec();
    for item in config {
        let key = lists::key(keys, item);
        let same = merged
            .iter_mut()
            .find(|existing| key.is_some() && lists::key(keys, existing) == key);
        match (same, item) {
            (Some(Value::Object(existing)), Value::Object(item)) => {
                *existing = merge_maps(position, existing, item);
            }
            _ => merged.push(item.clone()),
        }
    }
    merged
}

/// Removes fields from a value, and maps and lists that become empty.
pub(crate) fn prune(position: &Position<'_>, value: &mut Value, fields: &Fields) {
    let Some(parts) = parts(position, value) else {
        return;
    };
    let steps: Vec<(String, Position<'_>)> = parts
        .into_iter()
        .map(|(step, _, position)| (step, position))
        .collect();
    match value {
        Value::Object(map) => {
            for (step, position) in steps {
                let name = step.trim_start_matches("f:").to_owned();
                prune_field(map, &name, &position, fields.child(&step));
            }
        }
        Value::Array(items) => {
            let mut kept = Vec::new();
            for (mut item, (step, position)) in std::mem::take(items).into_iter().zip(steps) {
                match fields.child(&step) {
                    Some(gone) if gone.is_member() => continue,
                    Some(gone) => prune_item(&position, &mut item, gone),
                    None => {}
                }
                kept.push(item);
            }
            *items = kept;
        }
        _ => {}
    }
}

fn prune_item(position: &Position<'_>, item: &mut Value, fields: &Fields) {
    let Value::Object(map) = item else { return };
    let names: Vec<String> = map.keys().cloned().collect();
    for name in names {
        let gone = fields.child(&format!("f:{name}"));
        prune_field(map, &name, &position.field(&name), gone);
    }
}

fn prune_field(
    map: &mut Map<String, Value>,
    name: &str,
    position: &Position<'_>,
    fields: Option<&Fields>,
) {
    let (Some(fields), Some(value)) = (fields, map.get_mut(name)) else {
        return;
    };
    let whole = fields.is_member();
    if !whole {
        prune(position, value, fields);
    }
    if whole || is_empty_value(value) {
        map.remove(name);
    }
}

fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
