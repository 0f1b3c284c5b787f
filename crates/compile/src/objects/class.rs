//! IngressClasses.

use std::sync::Arc;

use k8s_openapi::api::networking::v1 as networking;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object};

/// The kept fields of an IngressClass.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IngressClass {
    pub(crate) name: Name,
    pub(crate) controller: Option<String>,
    /// The ConfigMap that `spec.parameters` refers to.
    pub(crate) parameters: Option<Name>,
}

impl Kept for IngressClass {
    const KIND: Kind = Kind::IngressClass;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::IngressClass(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for IngressClass {
    fn name(&self) -> Name {
        self.name.clone()
    }
}

impl From<networking::IngressClass> for Object {
    fn from(class: networking::IngressClass) -> Self {
        let spec = class.spec.unwrap_or_default();
        Self::IngressClass(Arc::new(IngressClass {
            name: Name::of(&class.metadata),
            controller: spec.controller,
            parameters: spec.parameters.and_then(parameters_map),
        }))
    }
}

/// Only a namespaced ConfigMap is supported as parameters.
fn parameters_map(parameters: networking::IngressClassParametersReference) -> Option<Name> {
    let is_core = parameters.api_group.as_deref().unwrap_or_default() == "";
    let namespace = parameters.namespace?;
    (is_core && parameters.kind == "ConfigMap").then(|| Name::new(&namespace, &parameters.name))
}
