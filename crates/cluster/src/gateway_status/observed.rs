//! The observed statuses of objects of the Gateway API, as far as they are compared with the desired ones.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::{Kind, ObjectRef};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::part;

/// The status of an object as last observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObservedStatus {
    /// `metadata.uid`: an object that was deleted and created again is another one.
    pub(crate) uid: Arc<str>,
    /// `metadata.resourceVersion`; 0 if it is no number.
    pub(crate) version: u64,
    /// `metadata.generation`.
    pub(crate) generation: i64,
    /// Digest of what this controller writes, without times.
    pub(crate) digest: u64,
    /// Whether it has entries of this controller, among those of others.
    pub(crate) has_entries: bool,
}

/// The last observed statuses, shared with the status writer.
#[derive(Default)]
pub struct ObservedStatuses {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    statuses: HashMap<ObjectRef, ObservedStatus, RandomState>,
    /// The version in which each kind is served.
    versions: HashMap<Kind, &'static str>,
    /// Objects that changed since the writer last asked.
    changed: HashSet<ObjectRef, RandomState>,
}

impl ObservedStatuses {
    pub(crate) fn observe(&self, object: &ObjectRef, status: ObservedStatus) {
        let mut state = self.state.lock();
        if state.statuses.get(object) == Some(&status) {
            return;
        }
        state.statuses.insert(object.clone(), status);
        state.changed.insert(object.clone());
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn forget(&self, object: &ObjectRef) {
        let mut state = self.state.lock();
        state.statuses.remove(object);
        state.changed.remove(object);
    }

    pub(crate) fn set_version(&self, kind: Kind, version: &'static str) {
        self.state.lock().versions.insert(kind, version);
    }

    pub(super) fn version(&self, kind: Kind) -> Option<&'static str> {
        self.state.lock().versions.get(&kind).copied()
    }

    pub(super) fn get(&self, object: &ObjectRef) -> Option<ObservedStatus> {
        self.state.lock().statuses.get(object).cloned()
    }

    /// The objects that have entries of this controller.
    pub(super) fn with_entries(&self) -> Vec<ObjectRef> {
        let state = self.state.lock();
        let all = state.statuses.iter();
        let with_entries = all.filter(|(_, status)| status.has_entries);
        with_entries.map(|(object, _)| object.clone()).collect()
    }

    /// Resolves when a status changed since it last resolved, with the objects. Cancelling it loses nothing.
    pub(super) async fn changes(&self) -> Vec<ObjectRef> {
        loop {
            let changed = std::mem::take(&mut self.state.lock().changed);
            if !changed.is_empty() {
                return changed.into_iter().collect();
            }
            self.changed.notified().await;
        }
    }
}

impl ObservedStatus {
    /// Reads it from an object; `None` if that is not one.
    pub(crate) fn read(kind: Kind, json: &str, controller: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Object {
            metadata: Metadata,
            #[serde(default)]
            status: Value,
        }
        #[derive(Deserialize)]
        struct Metadata {
            #[serde(default)]
            uid: String,
            #[serde(default)]
            generation: i64,
            #[serde(default, rename = "resourceVersion")]
            version: String,
            #[serde(default)]
            finalizers: Vec<String>,
        }
        let object: Object = serde_json::from_str(json).ok()?;
        let own = part::own(kind, &object.status, controller);
        let finalizers = object.metadata.finalizers.iter();
        let has_finalizer = part::has_finalizer(finalizers.map(String::as_str));
        let own = part::with_finalizer(kind, own, has_finalizer);
        Some(Self {
            uid: object.metadata.uid.into(),
            version: object.metadata.version.parse().unwrap_or_default(),
            generation: object.metadata.generation,
            digest: part::digest(&own),
            has_entries: part::has_entries(kind, &own),
        })
    }
}
