//! Server-side apply.

use serde_json::{Value, json};

use super::failure::Failure;
use super::fields::{Fields, Position};
use super::kinds::Kind;
use super::managers::{self, Entry, Writer};
use super::merge;
use super::prepare::{self, Object};
use super::stored::{Key, Stored};
use super::write::Caller;

/// The applied configuration, named and checked.
pub(crate) fn read(caller: Caller<'_>, config: &Value, key: &Key) -> Result<Object, Failure> {
    let kind = caller.kind;
    if caller.info.query.text("fieldManager").is_empty() {
        return Err(Failure::bad_request(
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
        ));
    }
    let mut config = prepare::typed(kind, config.clone())?;
    prepare::set_key(kind, &mut config, key)?;
    let managed = config["metadata"]["managedFields"].as_array();
    if managed.is_some_and(|entries| !entries.is_empty()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    Ok(config)
}

/// The object after an apply, with its managed fields; 409 when other managers own fields that it changes.
pub(crate) fn merge(
    kind: &Kind,
    before: &Stored,
    config: &Object,
    writer: &Writer,
    force: bool,
) -> Result<Object, Failure> {
    let position = Position::top(kind.kind);
    let live = before.object();
    let mut entries = managers::entries(&live);
    let applied = managers::applied_fields(kind, config, writer);

    let mut config = config.clone();
    strip_identity(&mut config);
    if writer.subresource == "status" {
        config.retain(|name, _| name == "status");
    } else if kind.has_status() {
        config.remove("status");
    }
    let (live, config) = (Value::Object(live), Value::Object(config));
    let mut merged = merge::merge(&position, Some(&live), &config);

    let changed = Fields::changed(&position, Some(&live), &merged);
    let conflicts = conflicts(&entries, writer, &changed.common(&applied));
    if !conflicts.is_empty() && !force {
        return Err(refusal(kind, &before.key.name, &conflicts));
    }
    for entry in &mut entries {
        if !writer.is(entry) {
            entry.fields = entry.fields.without(&taken(&conflicts, entry));
        }
    }

    let previous = entries.iter().position(|entry| writer.is(entry));
    let previous = previous.map(|index| entries.remove(index));
    if let Some(previous) = &previous {
        let others = entries
            .iter()
            .fold(applied.clone(), |all, entry| all.union(&entry.fields));
        merge::prune(&position, &mut merged, &previous.fields.without(&others));
    }
    let entry = match previous {
        Some(previous) if previous.fields == applied && merged == live => previous,
        _ => writer.entry(applied),
    };
    entries.push(entry);
    let Value::Object(mut merged) = merged else {
        return Err(Failure::bad_request("the object provided is unrecognized"));
    };
    managers::store(&mut merged, &entries);
    Ok(merged)
}

/// Removes metadata that an apply may contain and that is not configuration.
fn strip_identity(config: &mut Object) {
    let metadata = prepare::metadata(config);
    metadata.remove("creationTimestamp");
    metadata.remove("managedFields");
}

/// Fields of the change that other managers own.
fn conflicts<'a>(entries: &'a [Entry], writer: &Writer, changed: &Fields) -> Vec<(Entry, Fields)> {
    entries
        .iter()
        .filter(|entry| !writer.is(entry))
        .map(|entry: &'a Entry| (entry.clone(), entry.fields.common(changed)))
        .filter(|(_, fields)| !fields.is_empty())
        .collect()
}

fn taken(conflicts: &[(Entry, Fields)], entry: &Entry) -> Fields {
    conflicts
        .iter()
        .filter(|(other, _)| {
            (&other.manager, &other.operation, &other.subresource)
                == (&entry.manager, &entry.operation, &entry.subresource)
        })
        .fold(Fields::default(), |all, (_, fields)| all.union(fields))
}

fn refusal(kind: &Kind, name: &str, conflicts: &[(Entry, Fields)]) -> Failure {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (entry, fields) in conflicts {
        let manager = entry.describe(kind);
        let paths = fields.paths();
        lines.push(match paths.as_slice() {
            [path] => format!("conflict with {manager}: {path}"),
            many => format!("conflicts with {manager}:\n- {}", many.join("\n- ")),
        });
        for path in paths {
            causes.push(json!({
                "reason": "FieldManagerConflict", "message": format!("conflict with {manager}"), "field": path,
            }));
        }
    }
    let count = causes.len();
    let noun = if count == 1 { "conflict" } else { "conflicts" };
    let message = format!("Apply failed with {count} {noun}: {}", lines.join("\n"));
    Failure {
        details: Some(
            json!({"name": name, "group": kind.group, "kind": kind.plural, "causes": causes}),
        ),
        ..Failure::new(409, "Conflict", message)
    }
}
