//! Changes by a test: without admission and RBAC in memory, and as the administrator in a real cluster.

use std::time::{Duration, Instant};

use headgate_testkit::PATIENCE;
use serde_json::{Map, Value};

use super::ApiServer;
use super::cluster::Refused;
use super::defaults;
use super::kinds::{self, Kind};
use super::prepare::{self, Object};
use super::stored::Key;
use super::write;

/// The namespace of objects without one.
const NAMESPACE: &str = "default";
/// Namespaces of a new cluster.
const NAMESPACES: &[&str] = &["default", "kube-system"];
/// The status for an existing object.
const CONFLICT: u16 = 409;
/// Pause between two checks of a real cluster.
const PAUSE: Duration = Duration::from_millis(10);

impl ApiServer {
    /// Creates an object with `apiVersion` and `kind`, and its status; returns it as stored.
    ///
    /// # Panics
    /// When it exists, or its kind is unknown.
    pub fn create(&self, object: Value) -> Value {
        let (kind, object) = self.read(object);
        match self.insert(kind, object) {
            Ok(created) => created,
            Err(refused) => panic!("{refused}"),
        }
    }

    /// Replaces an object, including its status, or creates it; returns it as stored.
    ///
    /// # Panics
    /// When its kind is unknown, or a real cluster refuses it.
    pub fn replace(&self, object: Value) -> Value {
        let (kind, object) = self.read(object);
        let key = Key::of(&object);
        loop {
            if let Some(replaced) = self.rewrite(kind, &key, |_| object.clone()) {
                return replaced;
            }
            match self.insert(kind, object.clone()) {
                Ok(created) => return created,
                // It was created meanwhile.
                Err(refused) if refused.code == CONFLICT => {}
                Err(refused) => panic!("{refused}"),
            }
        }
    }

    /// Changes an object; returns it as stored.
    ///
    /// # Panics
    /// When it does not exist.
    pub fn modify(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        mut change: impl FnMut(&mut Value),
    ) -> Value {
        let known = kinds::by_name(kind);
        let changed = self.rewrite(known, &key(known, namespace, name), |mut value| {
            change(&mut value);
            self.read(value).1
        });
        changed.unwrap_or_else(|| panic!("there is no {kind} {namespace}/{name}"))
    }

    /// Deletes an object, unless it has finalizers, and returns whether it existed.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let kind = kinds::by_name(kind);
        let key = key(kind, namespace, name);
        match &self.shared.cluster {
            Some(cluster) => cluster.delete(kind, &key),
            None => write::remove(&self.shared, kind, &key),
        }
    }

    /// An object.
    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let kind = kinds::by_name(kind);
        let key = key(kind, namespace, name);
        match &self.shared.cluster {
            Some(cluster) => cluster.find(kind, &key),
            None => Some(self.shared.find(kind.storage(), &key)?.value(kind)),
        }
    }

    /// All objects of a kind, in order.
    pub fn list(&self, kind: &str) -> Vec<Value> {
        let kind = kinds::by_name(kind);
        if let Some(cluster) = &self.shared.cluster {
            return cluster.all(kind);
        }
        let state = self.shared.state();
        let all: Vec<_> = state
            .store
            .collection(kind.storage())
            .all()
            .cloned()
            .collect();
        drop(state);
        all.iter().map(|stored| stored.value(kind)).collect()
    }

    /// The number of objects of a kind.
    pub fn count(&self, kind: &str) -> usize {
        if self.shared.cluster.is_some() {
            return self.list(kind).len();
        }
        let kind = kinds::by_name(kind);
        self.shared.state().store.collection(kind.storage()).len()
    }

    /// Creates or replaces the objects of a YAML or JSON text of several documents, including the items of lists.
    ///
    /// # Panics
    /// When it cannot be parsed.
    pub fn apply_yaml(&self, text: &str) {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        for document in documents {
            match &document["items"] {
                Value::Array(items)
                    if document["kind"]
                        .as_str()
                        .is_some_and(|kind| kind.ends_with("List")) =>
                {
                    for item in items {
                        self.replace(item.clone());
                    }
                }
                _ if document.is_null() => {}
                _ => {
                    self.replace(document);
                }
            }
        }
    }

    /// Creates objects.
    ///
    /// # Panics
    /// As [`Self::create`].
    pub fn load(&self, objects: impl IntoIterator<Item = Value>) {
        for object in objects {
            let (kind, object) = self.read(object);
            if let Err(refused) = self.insert(kind, object) {
                panic!("{refused}");
            }
        }
    }

    /// Waits until an object satisfies a condition, woken by changes, and returns it.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`]; the message has the object.
    #[track_caller]
    pub fn until(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        mut condition: impl FnMut(&Value) -> bool,
    ) -> Value {
        let mut last = None;
        let found = self.until_some(|| {
            last = self.get(kind, namespace, name);
            last.clone().filter(&mut condition)
        });
        found.unwrap_or_else(|| {
            panic!("{kind} {namespace}/{name} is not as expected after {PATIENCE:?}: {last:#?}")
        })
    }

    /// Waits until an object is gone, woken by changes.
    ///
    /// # Panics
    /// When it still exists after [`PATIENCE`].
    #[track_caller]
    pub fn until_gone(&self, kind: &str, namespace: &str, name: &str) {
        let gone = self.until_some(|| self.get(kind, namespace, name).is_none().then_some(()));
        assert!(
            gone.is_some(),
            "{kind} {namespace}/{name} still exists after {PATIENCE:?}"
        );
    }

    /// Waits until `check` returns something, woken by changes of any object.
    fn until_some<T>(&self, mut check: impl FnMut() -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.shared.state().store.version();
            if let Some(found) = check() {
                return Some(found);
            }
            if self.shared.cluster.is_some() {
                if Instant::now() >= deadline {
                    return None;
                }
                std::thread::sleep(PAUSE);
                continue;
            }
            let mut state = self.shared.state();
            while state.store.version() == seen {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return None;
                }
                state = super::wait(self.shared.changed(), state, left);
            }
        }
    }

    /// Creates the objects of a new cluster.
    pub(super) fn begin(&self) {
        if self.shared.cluster.is_some() {
            return;
        }
        for name in NAMESPACES {
            self.create(serde_json::json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
            }));
        }
    }

    fn insert(&self, kind: &'static Kind, mut object: Object) -> Result<Value, Refused> {
        if let Some(cluster) = &self.shared.cluster {
            return cluster.create(kind, &object);
        }
        let identity = self.shared.state().store.identity();
        prepare::new(kind, &mut object, identity);
        defaults::fill(kind, &mut object);
        let stored = write::insert(&self.shared, kind, object)?;
        Ok(stored.value(kind))
    }

    /// Changes an object with `change`, and retries when it changes meanwhile; `None`: it does not exist.
    fn rewrite(
        &self,
        kind: &'static Kind,
        key: &Key,
        mut change: impl FnMut(Value) -> Object,
    ) -> Option<Value> {
        loop {
            let changed = match &self.shared.cluster {
                Some(cluster) => {
                    let before = cluster.find(kind, key)?;
                    let version = before["metadata"]["resourceVersion"].clone();
                    let next = change(before);
                    let replaced = cluster.replace(kind, &version, &next);
                    replaced.unwrap_or_else(|refused| panic!("{refused}"))
                }
                None => {
                    let before = self.shared.find(kind.storage(), key)?;
                    let mut next = change(before.value(kind));
                    keep_server_fields(kind, &before.object(), &mut next);
                    defaults::fill(kind, &mut next);
                    if prepare::same(&before.object(), &next) {
                        return Some(before.value(kind));
                    }
                    let stored = write::replace(&self.shared, kind, &before, next);
                    stored.map(|stored| stored.value(kind))
                }
            };
            if changed.is_some() {
                return changed;
            }
        }
    }

    fn read(&self, value: Value) -> (&'static Kind, Object) {
        let text = |field: &str| value[field].as_str().unwrap_or_default();
        let kind = kinds::by_object(text("apiVersion"), text("kind"))
            .unwrap_or_else(|| panic!("unknown kind: {value}"));
        let mut object = match prepare::typed(kind, value) {
            Ok(object) => object,
            Err(failure) => panic!("{}", failure.message),
        };
        let metadata = prepare::metadata(&mut object);
        metadata.remove("resourceVersion");
        if !kind.namespaced {
            metadata.remove("namespace");
        } else if metadata.get("namespace").is_none() {
            metadata.insert("namespace".to_owned(), NAMESPACE.into());
        }
        (kind, object)
    }
}

/// Copies the fields that a client cannot change to the next state, except the status.
fn keep_server_fields(kind: &Kind, before: &Object, next: &mut Object) {
    let old = before.get("metadata").cloned().unwrap_or_default();
    let metadata = prepare::metadata(next);
    for field in ["uid", "creationTimestamp", "generation"] {
        prepare::set(metadata, field, old.get(field).cloned());
    }
    let rest = |object: &Object| -> Map<String, Value> {
        let mut object = object.clone();
        object.remove("metadata");
        object.remove("status");
        object
    };
    if kind.generation && rest(before) != rest(next) {
        let generation = old["generation"].as_u64().unwrap_or(0) + 1;
        prepare::metadata(next).insert("generation".to_owned(), generation.into());
    }
}

fn key(kind: &Kind, namespace: &str, name: &str) -> Key {
    let namespace = if kind.namespaced { namespace } else { "" };
    Key::new(namespace, name)
}
