//! Merging an applied configuration into an object, and taking fields out of one.

use serde_json::{Map, Value};

use super::fields::{Fields, Here, parts};
use super::lists::{self, Merge};

/// The object with what the configuration says.
pub(crate) fn merge(here: &Here<'_>, live: Option<&Value>, config: &Value) -> Value {
    let Some(live) = live else {
        return config.clone();
    };
    match (here.merge(config), live, config) {
        (Merge::Fields, Value::Object(live), Value::Object(config)) => {
            Value::Object(merge_maps(here, live, config))
        }
        (Merge::Set, Value::Array(live), Value::Array(config)) => {
            let more = config.iter().filter(|item| !live.contains(item));
            Value::Array(live.iter().chain(more).cloned().collect())
        }
        (Merge::Keyed(keys), Value::Array(live), Value::Array(config)) => {
            Value::Array(merge_items(here, keys, live, config))
        }
        _ => config.clone(),
    }
}

fn merge_maps(
    here: &Here<'_>,
    live: &Map<String, Value>,
    config: &Map<String, Value>,
) -> Map<String, Value> {
    let mut merged = live.clone();
    for (name, value) in config {
        let value = merge(&here.field(name), live.get(name), value);
        merged.insert(name.clone(), value);
    }
    merged
}

fn merge_items(
    here: &Here<'_>,
    keys: &[(&str, Option<&str>)],
    live: &[Value],
    config: &[Value],
) -> Vec<Value> {
    let mut merged = live.to_vec();
    for item in config {
        let key = lists::key(keys, item);
        let twin = merged
            .iter_mut()
            .find(|known| key.is_some() && lists::key(keys, known) == key);
        match (twin, item) {
            (Some(Value::Object(known)), Value::Object(item)) => {
                *known = merge_maps(here, known, item);
            }
            _ => merged.push(item.clone()),
        }
    }
    merged
}

/// Takes fields out of a value. Maps and lists that are empty then go with them.
pub(crate) fn prune(here: &Here<'_>, value: &mut Value, fields: &Fields) {
    let Some(parts) = parts(here, value) else {
        return;
    };
    let steps: Vec<(String, Here<'_>)> = parts
        .into_iter()
        .map(|(step, _, place)| (step, place))
        .collect();
    match value {
        Value::Object(map) => {
            for (step, place) in steps {
                let name = step.trim_start_matches("f:").to_owned();
                prune_field(map, &name, &place, fields.child(&step));
            }
        }
        Value::Array(items) => {
            let mut kept = Vec::new();
            for (mut item, (step, place)) in std::mem::take(items).into_iter().zip(steps) {
                match fields.child(&step) {
                    Some(gone) if gone.is_member() => continue,
                    Some(gone) => prune_item(&place, &mut item, gone),
                    None => {}
                }
                kept.push(item);
            }
            *items = kept;
        }
        _ => {}
    }
}

fn prune_item(place: &Here<'_>, item: &mut Value, fields: &Fields) {
    let Value::Object(map) = item else { return };
    let names: Vec<String> = map.keys().cloned().collect();
    for name in names {
        let gone = fields.child(&format!("f:{name}"));
        prune_field(map, &name, &place.field(&name), gone);
    }
}

fn prune_field(
    map: &mut Map<String, Value>,
    name: &str,
    place: &Here<'_>,
    fields: Option<&Fields>,
) {
    let (Some(fields), Some(value)) = (fields, map.get_mut(name)) else {
        return;
    };
    let whole = fields.is_member();
    if !whole {
        prune(place, value, fields);
    }
    if whole || is_hollow(value) {
        map.remove(name);
    }
}

fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}
