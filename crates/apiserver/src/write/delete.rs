//! Deletion.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::admission;
use super::super::clock;
use super::super::encode::Form;
use super::super::failure::Failure;
use super::super::kinds::{KINDS, Kind};
use super::super::prepare;
use super::super::read;
use super::super::shared::{Shared, State};
use super::super::stored::{Key, Stored};
use super::Caller;

pub(super) fn has_finalizers(stored: &Stored) -> bool {
    let object = stored.object();
    let finalizers = object
        .get("metadata")
        .map(|metadata| &metadata["finalizers"]);
    finalizers
        .and_then(Value::as_array)
        .is_some_and(|finalizers| !finalizers.is_empty())
}

/// Deletes the object of the request and returns the response.
pub(crate) async fn one(caller: Caller<'_>, options: &Value) -> Result<Value, Failure> {
    let (shared, kind) = (caller.shared, caller.kind);
    let before = read::one(shared, kind, caller.info)?;
    check(kind, &before, &options["preconditions"])?;
    admission::review(caller, Some(&before.object()), None).await?;
    if is_dry_run(caller, options) {
        return Ok(success(kind, &before));
    }
    let mut state = shared.state();
    let Some(current) = state.store.get(kind.storage(), &before.key).cloned() else {
        return Err(Failure::not_found(kind, &before.key.name));
    };
    let is_kept = has_finalizers(&current);
    let last = end(&mut state, kind, &current);
    drop(state);
    shared.changed().notify_all();
    Ok(if is_kept {
        last.value(kind)
    } else {
        success(kind, &last)
    })
}

/// Deletes the objects that the request selects and returns the response.
pub(crate) async fn all(caller: Caller<'_>, options: &Value) -> Result<bytes::Bytes, Failure> {
    let (shared, kind) = (caller.shared, caller.kind);
    let selection = caller.info.selection(kind)?;
    let selected = read::selected(&shared.state().store, kind, &selection);
    for stored in &selected {
        admission::review(caller, Some(&stored.object()), None).await?;
    }
    let mut state = shared.state();
    if !is_dry_run(caller, options) {
        for stored in &selected {
            if let Some(current) = state.store.get(kind.storage(), &stored.key).cloned() {
                end(&mut state, kind, &current);
            }
        }
    }
    let metadata = json!({"resourceVersion": state.store.version().to_string()});
    drop(state);
    shared.changed().notify_all();
    Ok(Form::Whole.list(kind, &metadata, selected.iter().map(Arc::as_ref)))
}

/// Deletes an object without admission and returns whether it existed.
pub(crate) fn remove(shared: &Shared, kind: &Kind, key: &Key) -> bool {
    let mut state = shared.state();
    let Some(current) = state.store.get(kind.storage(), key).cloned() else {
        return false;
    };
    end(&mut state, kind, &current);
    drop(state);
    shared.changed().notify_all();
    true
}

fn is_dry_run(caller: Caller<'_>, options: &Value) -> bool {
    caller.info.query.dry_run() || options["dryRun"][0] == "All"
}

fn check(kind: &Kind, before: &Stored, preconditions: &Value) -> Result<(), Failure> {
    let name = &before.key.name;
    if let Some(uid) = preconditions["uid"].as_str()
        && uid != before.uid
    {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            before.uid
        );
        return Err(Failure::conflict(kind, name, &why));
    }
    if let Some(version) = preconditions["resourceVersion"].as_str()
        && version != before.version.to_string()
    {
        let why = format!(
            "Precondition failed: resource version in precondition: {version}, resource version in object meta: {}",
            before.version
        );
        return Err(Failure::conflict(kind, name, &why));
    }
    Ok(())
}

/// Deletes an object, or marks it as deleted when it has finalizers. Objects in a deleted namespace are deleted, too.
fn end(state: &mut State, kind: &Kind, current: &Arc<Stored>) -> Arc<Stored> {
    if has_finalizers(current) {
        return mark(state, kind, current);
    }
    if kind.kind == "Namespace" {
        delete_contents(state, &current.key.name);
    }
    if kind.kind == "CustomResourceDefinition" {
        delete_resources(state, &current.key);
    }
    let last = state.store.remove(kind.storage(), &current.key);
    last.unwrap_or_else(|| current.clone())
}

fn mark(state: &mut State, kind: &Kind, current: &Arc<Stored>) -> Arc<Stored> {
    let mut object = current.object();
    if !prepare::metadata_text(&object, "deletionTimestamp").is_empty() {
        return current.clone();
    }
    let metadata = prepare::metadata(&mut object);
    metadata.insert("deletionTimestamp".to_owned(), clock::now().into());
    metadata.insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    if kind.generation {
        let generation = metadata.get("generation").and_then(Value::as_u64);
        metadata.insert("generation".to_owned(), json!(generation.unwrap_or(0) + 1));
    }
    state.store.put(kind.storage(), object)
}

/// Deletes the objects of a kind whose CRD is deleted.
fn delete_resources(state: &mut State, definition: &Key) {
    let kinds = KINDS.iter().filter(|kind| kind.custom);
    for kind in kinds.filter(|kind| kind.definition() == *definition) {
        let storage = kind.storage();
        let all = state.store.collection(storage).all();
        let keys: Vec<Key> = all.map(|stored| stored.key.clone()).collect();
        for key in keys {
            state.store.remove(storage, &key);
        }
    }
}

fn delete_contents(state: &mut State, namespace: &str) {
    for (storage, kind) in KINDS.iter().enumerate() {
        if !kind.namespaced || kind.storage() != storage {
            continue;
        }
        let inside = state.store.collection(storage).range(Some(namespace), None);
        let keys: Vec<Key> = inside.map(|stored| stored.key.clone()).collect();
        for key in keys {
            state.store.remove(storage, &key);
        }
    }
}

fn success(kind: &Kind, deleted: &Stored) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": deleted.key.name, "group": kind.group, "kind": kind.plural, "uid": deleted.uid},
    })
}
