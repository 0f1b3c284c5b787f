//! ConfigMaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1;
use serde::{Deserialize, Serialize};

use super::{Name, Object, Uid, uid};

/// What is read of a ConfigMap.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigMap {
    pub(crate) name: Name,
    pub(crate) data: BTreeMap<String, String>,
    pub(super) uid: Uid,
}

impl ConfigMap {
    /// Its values by key.
    pub fn data(&self) -> &BTreeMap<String, String> {
        &self.data
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
