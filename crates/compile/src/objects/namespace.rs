//! Namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object};

/// A namespace, with the labels by which it is watched (`--watch-namespace-selector`).
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub(crate) name: Name,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The label with its name that every namespace of a cluster has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

impl Kept for Namespace {
    const KIND: Kind = Kind::Namespace;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::Namespace(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for Namespace {
    fn name(&self) -> Name {
        self.name.clone()
    }
}

impl From<v1::Namespace> for Object {
    fn from(namespace: v1::Namespace) -> Self {
        let name = Name::of(&namespace.metadata);
        let mut labels = namespace.metadata.labels.unwrap_or_default();
        labels.insert(NAME_LABEL.to_owned(), name.name.to_string());
        Self::Namespace(Arc::new(Namespace { name, labels }))
    }
}
