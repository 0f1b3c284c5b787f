//! Namespaces.

use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object};

/// A namespace whose Ingresses are watched (`--watch-namespace-selector`); the source matched its labels.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub(crate) name: Name,
}

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
        Self::Namespace(Arc::new(Namespace {
            name: Name::of(&namespace.metadata),
        }))
    }
}
