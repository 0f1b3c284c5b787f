//! Stored objects: their JSON, and the fields that selectors read.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::kinds::Kind;

/// Namespace and name; ordered as lists are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// Empty for cluster-scoped objects.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The key of an object.
    pub(crate) fn of(object: &Map<String, Value>) -> Self {
        let text = |field| super::prepare::metadata_text(object, field);
        Self::new(text("namespace"), text("name"))
    }
}

/// An object at one version.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    /// `metadata.resourceVersion`.
    pub(crate) version: u64,
    /// `metadata.uid`.
    pub(crate) uid: String,
    /// `metadata.labels`.
    pub(crate) labels: BTreeMap<String, String>,
    /// Values of the fields for field selectors.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// The object without `apiVersion` and `kind`, like items of lists.
    pub(crate) json: Bytes,
}

impl Stored {
    /// An object at a new version.
    pub(crate) fn new(kind: &Kind, mut object: Map<String, Value>, version: u64) -> Self {
        object.remove("apiVersion");
        object.remove("kind");
        if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
            metadata.insert("resourceVersion".to_owned(), version.to_string().into());
        }
        let metadata = object.get("metadata").unwrap_or(&Value::Null);
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let labels = metadata["labels"].as_object().into_iter().flatten();
        let fields = kind.fields.iter().filter_map(|&field| {
            let value = at(&object, field)?;
            Some((field, value))
        });
        Self {
            key: Key::new(text("namespace"), text("name")),
            version,
            uid: text("uid").to_owned(),
            labels: labels
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            fields: fields.collect(),
            json: serde_json::to_vec(&object).unwrap_or_default().into(),
        }
    }

    /// The same object at another version, for the event of its deletion.
    pub(crate) fn at_version(&self, kind: &Kind, version: u64) -> Self {
        Self::new(kind, self.object(), version)
    }

    /// The object, without `apiVersion` and `kind`.
    pub(crate) fn object(&self) -> Map<String, Value> {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// The object, complete.
    pub(crate) fn value(&self, kind: &Kind) -> Value {
        complete(kind, self.object())
    }

    /// The value of a field for field selectors; empty: absent.
    pub(crate) fn field(&self, name: &str) -> &str {
        match name {
            "metadata.name" => &self.key.name,
            "metadata.namespace" => &self.key.namespace,
            _ => self
                .fields
                .iter()
                .find(|(field, _)| *field == name)
                .map_or("", |(_, value)| value.as_str()),
        }
    }
}

/// Adds `apiVersion` and `kind`, in the form of that kind.
pub(crate) fn complete(kind: &Kind, mut object: Map<String, Value>) -> Value {
    if kind.is_new_event() {
        object = super::convert::to_new_event(object);
    }
    object.insert("apiVersion".to_owned(), kind.api_version().into());
    object.insert("kind".to_owned(), kind.kind.into());
    Value::Object(object)
}

/// The scalar at a dotted path, as text.
fn at(object: &Map<String, Value>, path: &str) -> Option<String> {
    let mut steps = path.split('.');
    let mut value = object.get(steps.next()?)?;
    for step in steps {
        value = value.get(step)?;
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        // The selector `source` of an Event selects by `source.component`.
        Value::Object(fields) => fields.get("component")?.as_str().map(str::to_owned),
        _ => None,
    }
}
