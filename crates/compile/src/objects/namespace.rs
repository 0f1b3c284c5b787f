//! Namespaces.

use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use super::{Name, Object};

/// A namespace whose Ingresses are watched (`--watch-namespace-selector`); its labels were looked at by the source.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    pub(crate) name: Name,
}

impl From<v1::Namespace> for Object {
    fn from(namespace: v1::Namespace) -> Self {
        Self::Namespace(Arc::new(Namespace {
            name: Name::of(&namespace.metadata),
        }))
    }
}
