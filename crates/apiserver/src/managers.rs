//! `metadata.managedFields`: the managers of fields.

use serde_json::{Value, json};

use super::clock;
use super::fields::{Fields, Position};
use super::kinds::Kind;
use super::prepare::{self, Object};

/// The manager of a write.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    /// Name of the field manager.
    pub(crate) manager: String,
    /// `Apply` or `Update`.
    pub(crate) operation: &'static str,
    /// Subresource; empty: none.
    pub(crate) subresource: String,
    /// Version of the field names.
    pub(crate) api_version: String,
}

/// The fields of a manager.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) manager: String,
    pub(crate) operation: String,
    pub(crate) subresource: String,
    api_version: String,
    time: String,
    pub(crate) fields: Fields,
}

/// Fields without a manager.
const UNMANAGED: &[&[&str]] = &[
    &["f:apiVersion"],
    &["f:kind"],
    &["f:metadata", "f:name"],
    &["f:metadata", "f:namespace"],
    &["f:metadata", "f:creationTimestamp"],
    &["f:metadata", "f:uid"],
    &["f:metadata", "f:resourceVersion"],
    &["f:metadata", "f:generation"],
    &["f:metadata", "f:managedFields"],
    &["f:metadata", "f:selfLink"],
    &["f:metadata", "f:deletionTimestamp"],
    &["f:metadata", "f:deletionGracePeriodSeconds"],
];

/// The entries of an object.
pub(crate) fn entries(object: &Object) -> Vec<Entry> {
    let managed = object
        .get("metadata")
        .map(|metadata| &metadata["managedFields"]);
    let managed = managed.and_then(Value::as_array).into_iter().flatten();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    managed
        .map(|entry| Entry {
            manager: text(entry, "manager"),
            operation: text(entry, "operation"),
            subresource: text(entry, "subresource"),
            api_version: text(entry, "apiVersion"),
            time: text(entry, "time"),
            fields: Fields::from_json(&entry["fieldsV1"]),
        })
        .collect()
}

/// Writes the entries into an object.
pub(crate) fn store(object: &mut Object, entries: &[Entry]) {
    let listed: Vec<Value> = entries
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .map(Entry::to_json)
        .collect();
    let managed = (!listed.is_empty()).then_some(Value::Array(listed));
    prepare::set(prepare::metadata(object), "managedFields", managed);
}

/// Whether two states have the same managers of the same fields.
pub(crate) fn same(old: &Object, new: &Object) -> bool {
    let bare = |object: &Object| -> Vec<_> {
        entries(object)
            .into_iter()
            .map(|entry| {
                (
                    entry.manager,
                    entry.operation,
                    entry.subresource,
                    entry.fields,
                )
            })
            .collect()
    };
    bare(old) == bare(new)
}

/// Records an update: the writer becomes the only manager of the fields that it changed.
pub(crate) fn updated(kind: &Kind, old: Option<&Object>, new: &mut Object, writer: &Writer) {
    let position = Position::top(kind.kind);
    let before = old.map(|old| Value::Object(old.clone()));
    let after = Value::Object(new.clone());
    let changed = managed(Fields::changed(&position, before.as_ref(), &after));
    let mut entries = old.map(entries).unwrap_or_default();
    let everything = managed(Fields::of(&position, &after));
    for entry in &mut entries {
        // Removed fields have no manager.
        let gone = entry.fields.without(&everything);
        entry.fields = entry.fields.without(&gone);
        if !writer.is(entry) {
            entry.fields = entry.fields.without(&changed);
        }
    }
    if !changed.is_empty() {
        let index = entries.iter().position(|entry| writer.is(entry));
        let previous = index.map(|index| entries.remove(index).fields);
        entries.push(writer.entry(previous.unwrap_or_default().union(&changed)));
    }
    store(new, &entries);
}

/// Records the apply that created an object.
pub(crate) fn applied(kind: &Kind, object: &mut Object, config: &Object, writer: &Writer) {
    let fields = applied_fields(kind, config, writer);
    store(object, &[writer.entry(fields)]);
}

/// The fields of an applied configuration.
pub(crate) fn applied_fields(kind: &Kind, config: &Object, writer: &Writer) -> Fields {
    let fields = managed(Fields::of(
        &Position::top(kind.kind),
        &Value::Object(config.clone()),
    ));
    reset(kind, fields, &writer.subresource)
}

/// Drops the fields that a write to this subresource does not change: spec or status.
fn reset(kind: &Kind, mut fields: Fields, subresource: &str) -> Fields {
    match subresource {
        "status" => fields.only("f:status"),
        _ => {
            if kind.has_status() {
                fields.drop_paths(&[&["f:status"]]);
            }
            fields
        }
    }
}

fn managed(mut fields: Fields) -> Fields {
    fields.drop_paths(UNMANAGED);
    fields
}

impl Writer {
    /// Whether an entry is this writer's.
    pub(crate) fn is(&self, entry: &Entry) -> bool {
        entry.manager == self.manager
            && entry.operation == self.operation
            && entry.subresource == self.subresource
    }

    /// An entry of this writer.
    pub(crate) fn entry(&self, fields: Fields) -> Entry {
        Entry {
            manager: self.manager.clone(),
            operation: self.operation.to_owned(),
            subresource: self.subresource.clone(),
            api_version: self.api_version.clone(),
            time: clock::now(),
            fields,
        }
    }
}

impl Entry {
    /// The manager, for messages.
    pub(crate) fn describe(&self, kind: &Kind) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation != "Apply" {
            text.push_str(&format!(" using {}", kind.api_version()));
        }
        text
    }

    fn to_json(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "time": self.time, "fieldsType": "FieldsV1", "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }
}
