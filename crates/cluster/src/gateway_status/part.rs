//! The part of a status that this controller writes: which it is in an observed status, what it should be, and how it is
//! changed without touching the rest.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use headgate_compile::gateway::{Condition, ConditionKind, ListenerStatus, Status, StatusBody};
use headgate_compile::objects::custom::{GATEWAY_GROUP, ParentRef};
use headgate_compile::{Kind, ObjectRef};
use serde_json::{Map, Value, json};

/// A field of a status.
#[derive(Clone, Copy, Debug)]
enum Field {
    /// Conditions, of which those of known types are written.
    Conditions,
    /// Listeners with their conditions.
    Listeners,
    /// Entries of several controllers, which refer to an object in this field.
    Entries(&'static str),
    /// Anything else.
    Plain,
}

/// Is on a GatewayClass while a Gateway is of it (gateway-api.md 2.1).
pub(super) const FINALIZER: &str = "gateway-exists-finalizer.gateway.networking.k8s.io";

/// The fields that are written for a kind.
fn fields(kind: Kind) -> &'static [(&'static str, Field)] {
    match kind {
        Kind::GatewayClass => &[
            ("conditions", Field::Conditions),
            ("supportedFeatures", Field::Plain),
        ],
        Kind::Gateway => &[
            ("addresses", Field::Plain),
            ("attachedListenerSets", Field::Plain),
            ("conditions", Field::Conditions),
            ("listeners", Field::Listeners),
        ],
        Kind::ListenerSet => &[
            ("conditions", Field::Conditions),
            ("listeners", Field::Listeners),
        ],
        Kind::BackendTlsPolicy | Kind::BackendTrafficPolicy | Kind::HeadgatePolicy => {
            &[("ancestors", Field::Entries("ancestorRef"))]
        }
        kind if is_route(kind) => &[("parents", Field::Entries("parentRef"))],
        _ => &[],
    }
}

fn is_route(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::HttpRoute | Kind::GrpcRoute | Kind::TlsRoute | Kind::TcpRoute | Kind::UdpRoute
    )
}

/// What this controller wrote into a status, without the times of conditions.
pub(super) fn own(kind: Kind, status: &Value, controller: &str) -> Value {
    let fields = fields(kind).iter().filter_map(|(name, field)| {
        let value = own_field(*field, &status[*name], controller);
        (!value.is_null()).then(|| ((*name).to_owned(), value))
    });
    Value::Object(fields.collect())
}

/// A part as it is compared: with whether the object has the finalizer, if its kind may have it.
pub(super) fn with_finalizer(kind: Kind, part: Value, has_finalizer: bool) -> Value {
    let mut part = part;
    if kind == Kind::GatewayClass {
        part["hasFinalizer"] = has_finalizer.into();
    }
    part
}

/// Whether an object that this part is of should have the finalizer; `None`: its kind never has it.
pub(super) fn wants_finalizer(part: &Value) -> Option<bool> {
    part["hasFinalizer"].as_bool()
}

/// Whether the finalizer is one of these.
pub(super) fn has_finalizer<'f>(mut finalizers: impl Iterator<Item = &'f str>) -> bool {
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

fn own_field(field: Field, value: &Value, controller: &str) -> Value {
    match field {
        Field::Plain => value.clone(),
        Field::Conditions => own_conditions(value),
        Field::Listeners => {
            let listeners = items(value).map(|listener| {
                let mut own = pick(listener, &["attachedRoutes", "name", "supportedKinds"]);
                own["conditions"] = own_conditions(&listener["conditions"]);
                own
            });
            listeners.collect()
        }
        Field::Entries(reference) => {
            let entries = items(value).filter(|entry| entry["controllerName"] == *controller);
            let entries = entries.map(|entry| {
                let mut own = pick(entry, &["controllerName", reference]);
                own["conditions"] = own_conditions(&entry["conditions"]);
                own
            });
            entries.collect()
        }
    }
}

/// Sorted by type.
fn own_conditions(value: &Value) -> Value {
    const FIELDS: &[&str] = &["message", "observedGeneration", "reason", "status", "type"];
    let own = items(value).filter(|condition| is_own(condition));
    let mut own: Vec<Value> = own.map(|condition| pick(condition, FIELDS)).collect();
    own.sort_by_cached_key(|condition| text(condition, "type").to_owned());
    own.into()
}

/// Whether a condition is of a type that this controller writes.
fn is_own(condition: &Value) -> bool {
    ConditionKind::of(text(condition, "type")).is_some()
}

/// Whether own parts have entries among those of other controllers.
pub(super) fn has_entries(kind: Kind, own: &Value) -> bool {
    let mut fields = fields(kind).iter();
    fields.any(|(name, field)| {
        matches!(field, Field::Entries(_)) && items(&own[*name]).next().is_some()
    })
}

/// The part that a status should have; without one, no entries.
pub(super) fn desired(object: &ObjectRef, status: Option<&Status>, controller: &str) -> Value {
    let Some(status) = status else {
        let none = own(object.kind, &Value::Null, controller);
        return with_finalizer(object.kind, none, false);
    };
    let generation = status.generation;
    let conditions = |all: &[Condition]| conditions(all, generation);
    match &status.body {
        StatusBody::GatewayClass {
            conditions: all,
            features,
            in_use,
        } => {
            let features = features.iter().map(|name| json!({"name": name}));
            let part = json!({
                "conditions": conditions(all),
                "supportedFeatures": features.collect::<Vec<_>>(),
            });
            with_finalizer(object.kind, part, *in_use)
        }
        StatusBody::Gateway {
            conditions: all,
            addresses,
            listeners: of_listeners,
            attached_sets,
        } => {
            let addresses = addresses.iter();
            let addresses = addresses.map(|one| json!({"type": one.kind, "value": one.value}));
            json!({
                "addresses": addresses.collect::<Vec<_>>(),
                "attachedListenerSets": attached_sets,
                "conditions": conditions(all),
                "listeners": listeners(of_listeners, generation),
            })
        }
        StatusBody::ListenerSet {
            conditions: all,
            listeners: of_listeners,
        } => json!({
            "conditions": conditions(all),
            "listeners": listeners(of_listeners, generation),
        }),
        StatusBody::Route { parents } => {
            let parents = parents.iter().map(|parent| {
                json!({
                    "conditions": conditions(&parent.conditions),
                    "controllerName": controller,
                    "parentRef": parent_ref(&parent.parent, &object.name.namespace),
                })
            });
            json!({"parents": parents.collect::<Vec<_>>()})
        }
        StatusBody::Policy { ancestors } => {
            let ancestors = ancestors.iter().map(|ancestor| {
                json!({
                    "ancestorRef": parent_ref(&ancestor.parent, &object.name.namespace),
                    "conditions": conditions(&ancestor.conditions),
                    "controllerName": controller,
                })
            });
            json!({"ancestors": ancestors.collect::<Vec<_>>()})
        }
    }
}

fn conditions(all: &[Condition], generation: i64) -> Value {
    let mut all: Vec<&Condition> = all.iter().collect();
    all.sort_by_key(|condition| condition.kind.as_str());
    let conditions = all.into_iter().map(|condition| {
        json!({
            "message": &*condition.message,
            "observedGeneration": generation,
            "reason": condition.reason,
            "status": if condition.holds { "True" } else { "False" },
            "type": condition.kind.as_str(),
        })
    });
    conditions.collect()
}

fn listeners(all: &[ListenerStatus], generation: i64) -> Value {
    let listeners = all.iter().map(|listener| {
        let kinds = listener.kinds.iter();
        let kinds = kinds.map(|kind| json!({"group": kind.group(), "kind": kind.as_str()}));
        json!({
            "attachedRoutes": listener.attached_routes,
            "conditions": conditions(&listener.conditions, generation),
            "name": listener.name,
            // Required, also when it is empty.
            "supportedKinds": kinds.collect::<Vec<_>>(),
        })
    });
    listeners.collect()
}

/// The reference as the route has it, with the defaults.
fn parent_ref(parent: &ParentRef, namespace: &str) -> Value {
    let mut reference = json!({
        "group": parent.group.as_deref().unwrap_or(GATEWAY_GROUP),
        "kind": parent.kind.as_deref().unwrap_or("Gateway"),
        "name": parent.name,
        "namespace": parent.namespace.as_deref().unwrap_or(namespace),
    });
    if let Some(section) = &parent.section_name {
        reference["sectionName"] = section.as_str().into();
    }
    if let Some(port) = parent.port {
        reference["port"] = port.into();
    }
    reference
}

/// The status after `desired` is written into `present`; `now` is the time of conditions that change.
pub(super) fn merge(
    kind: Kind,
    present: &Value,
    desired: &Value,
    controller: &str,
    now: &str,
) -> Value {
    let mut merged = match present {
        Value::Object(present) => present.clone(),
        _ => Map::new(),
    };
    for (name, field) in fields(kind) {
        let (before, after) = (&present[*name], &desired[*name]);
        let after = match field {
            Field::Plain => after.clone(),
            Field::Conditions => merge_conditions(before, after, now),
            Field::Listeners => {
                let listeners = items(after).map(|listener| {
                    let mut same = items(before).filter(|one| one["name"] == listener["name"]);
                    with_conditions(listener, same.next(), now)
                });
                listeners.collect()
            }
            Field::Entries(reference) => {
                let is_foreign = |entry: &&Value| entry["controllerName"] != *controller;
                let foreign = items(before).filter(is_foreign).cloned();
                let own = items(after).map(|entry| {
                    let mut same = items(before)
                        .filter(|one| !is_foreign(one) && one[*reference] == entry[*reference]);
                    with_conditions(entry, same.next(), now)
                });
                foreign.chain(own).collect()
            }
        };
        if after.is_null() {
            merged.remove(*name);
        } else {
            merged.insert((*name).to_owned(), after);
        }
    }
    Value::Object(merged)
}

/// An entry with the conditions that it had before.
fn with_conditions(entry: &Value, before: Option<&Value>, now: &str) -> Value {
    let before = before.map_or(&Value::Null, |before| &before["conditions"]);
    let mut entry = entry.clone();
    entry["conditions"] = merge_conditions(before, &entry["conditions"], now);
    entry
}

/// Conditions of other types stay; the time of a condition changes with its status.
fn merge_conditions(before: &Value, after: &Value, now: &str) -> Value {
    let foreign = items(before)
        .filter(|condition| !is_own(condition))
        .cloned();
    let own = items(after).map(|condition| {
        let mut same = items(before).filter(|one| {
            one["type"] == condition["type"]
                && one["status"] == condition["status"]
                && one["lastTransitionTime"].is_string()
        });
        let time = same.next().map(|one| one["lastTransitionTime"].clone());
        let mut condition = condition.clone();
        condition["lastTransitionTime"] = time.unwrap_or_else(|| now.into());
        condition
    });
    foreign.chain(own).collect()
}

/// The newest generation that a part speaks of.
pub(super) fn generation(own: &Value) -> i64 {
    match own {
        Value::Array(all) => all.iter().map(generation).max().unwrap_or_default(),
        Value::Object(fields) => {
            let of_this = fields.get("observedGeneration").and_then(Value::as_i64);
            let of_fields = fields.values().map(generation).max();
            of_this.max(of_fields).unwrap_or_default()
        }
        _ => 0,
    }
}

/// Equal for equal values.
pub(super) fn digest(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    add(value, &mut hasher);
    hasher.finish()
}

/// In the order of names, whatever the order in the text.
fn add(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            hasher.write_usize(fields.len());
            for (name, value) in fields {
                name.hash(hasher);
                add(value, hasher);
            }
        }
        Value::Array(items) => {
            hasher.write_usize(items.len());
            items.iter().for_each(|item| add(item, hasher));
        }
        Value::String(text) => text.hash(hasher),
        other => other.to_string().hash(hasher),
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// These fields of an object, as far as it has them.
fn pick(value: &Value, names: &[&str]) -> Value {
    let fields = names.iter().filter_map(|name| {
        let field = value.get(name)?;
        Some(((*name).to_owned(), field.clone()))
    });
    Value::Object(fields.collect())
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
