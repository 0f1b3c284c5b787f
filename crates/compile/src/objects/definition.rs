//! CustomResourceDefinitions, of which only the metadata is read: the schemas are large.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, Resource};
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object};

/// A CustomResourceDefinition: its objects exist while it is installed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    pub(crate) name: Name,
    /// The release of the Gateway API that it belongs to, such as `v1.6.1`.
    pub(crate) bundle: Option<Box<str>>,
    /// `standard` or `experimental`.
    pub(crate) channel: Option<Box<str>>,
}

/// A CustomResourceDefinition as it is delivered, whole or its metadata alone.
#[derive(Debug, Deserialize)]
pub struct DeliveredDefinition {
    #[serde(default)]
    metadata: ObjectMeta,
}

const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";
const CHANNEL: &str = "gateway.networking.k8s.io/channel";

impl Definition {
    /// The kind of its objects, if it is a known one.
    pub fn kind(&self) -> Option<Kind> {
        let mut custom = Kind::ALL.into_iter().filter(|kind| kind.is_custom());
        custom.find(|kind| *kind.definition() == *self.name.name)
    }
}

impl Resource for DeliveredDefinition {
    const API_VERSION: &'static str = "apiextensions.k8s.io/v1";
    const GROUP: &'static str = "apiextensions.k8s.io";
    const KIND: &'static str = "CustomResourceDefinition";
    const VERSION: &'static str = "v1";
    const URL_PATH_SEGMENT: &'static str = "customresourcedefinitions";
    type Scope = ClusterResourceScope;
}

impl Metadata for DeliveredDefinition {
    type Ty = ObjectMeta;

    fn metadata(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl Kept for Definition {
    const KIND: Kind = Kind::CustomResourceDefinition;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::CustomResourceDefinition(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for Definition {
    fn name(&self) -> Name {
        self.name.clone()
    }
}

impl From<DeliveredDefinition> for Object {
    fn from(delivered: DeliveredDefinition) -> Self {
        let metadata = delivered.metadata;
        let annotation = |key: &str| {
            let annotations = metadata.annotations.as_ref()?;
            annotations.get(key).map(|value| (&**value).into())
        };
        Self::CustomResourceDefinition(Arc::new(Definition {
            name: Name::new("", metadata.name.as_deref().unwrap_or_default()),
            bundle: annotation(BUNDLE),
            channel: annotation(CHANNEL),
        }))
    }
}
