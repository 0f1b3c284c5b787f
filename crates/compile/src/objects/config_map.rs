//! ConfigMaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use super::{Common, Kept, Kind, Name, Object, Uid, uid};

/// The kept fields of a ConfigMap.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    pub(crate) name: Name,
    pub(crate) data: BTreeMap<String, String>,
    uid: Uid,
}

impl ConfigMap {
    /// Its values by key.
    pub fn data(&self) -> &BTreeMap<String, String> {
        &self.data
    }
}

impl Kept for ConfigMap {
    const KIND: Kind = Kind::ConfigMap;

    fn of(object: &Object) -> Option<&Arc<Self>> {
        match object {
            Object::ConfigMap(object) => Some(object),
            _ => None,
        }
    }
}

impl Common for ConfigMap {
    fn name(&self) -> Name {
        self.name.clone()
    }

    fn uid(&self) -> Option<&str> {
        self.uid.as_deref()
    }
}

impl From<v1::ConfigMap> for Object {
    fn from(map: v1::ConfigMap) -> Self {
        Self::ConfigMap(Arc::new(ConfigMap {
            name: Name::of(&map.metadata),
            uid: uid(&map.metadata),
            data: map.data.unwrap_or_default(),
        }))
    }
}
