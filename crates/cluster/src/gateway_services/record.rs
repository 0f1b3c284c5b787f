//! The record of local ports in its ConfigMap.

use std::collections::BTreeSet;

use headgate_compile::gateway::{GatewayPort, PortRecord};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ObjectMeta;

use super::pass::Pass;
use crate::leadership::Leader;
use crate::status::WriteError;

impl Pass {
    /// Allocates local ports for `wanted` and writes the record if it changes. Returns the ports for which there is none.
    pub(super) async fn allocate(
        &self,
        wanted: &BTreeSet<GatewayPort>,
        leader: &Leader,
    ) -> Result<Vec<GatewayPort>, WriteError> {
        let name = &self.options.record;
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &name.namespace);
        let current = self.read(&api, "ConfigMap", name).await?;
        let data = current.as_ref().and_then(|map| map.data.clone());
        let data = data.unwrap_or_default();
        let mut record = PortRecord::of(&data);
        let missing = record.allocate(wanted, self.options.range.clone(), Timestamp::now());
        let allocated = record.data();
        if allocated == data {
            return Ok(missing);
        }
        let map = ConfigMap {
            data: Some(allocated),
            ..current.clone().unwrap_or_else(|| ConfigMap {
                metadata: ObjectMeta {
                    namespace: Some(name.namespace.to_string()),
                    name: Some(name.name.to_string()),
                    ..ObjectMeta::default()
                },
                ..ConfigMap::default()
            })
        };
        self.write(&api, "ConfigMap", name, (&map, current.is_some()), leader)
            .await?;
        Ok(missing)
    }
}
