//! Pods and Nodes, as far as they are read. Whole ones have hundreds of fields, whose code would be a tenth of the program.

use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{Metadata, Resource};
use serde::Deserialize;

/// A Pod.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pod {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    spec: Option<PodSpec>,
    status: Option<PodStatus>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec {
    node_name: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodStatus {
    phase: Option<String>,
    conditions: Option<Vec<PodCondition>>,
}

#[derive(Clone, Debug, Deserialize)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// A Node.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Node {
    #[serde(default)]
    metadata: ObjectMeta,
    status: Option<NodeStatus>,
}

#[derive(Clone, Debug, Deserialize)]
struct NodeStatus {
    addresses: Option<Vec<NodeAddress>>,
}

#[derive(Clone, Debug, Deserialize)]
struct NodeAddress {
    #[serde(rename = "type")]
    type_: String,
    address: String,
}

impl Pod {
    /// The name of the node that it runs on.
    pub(crate) fn node(&self) -> Option<&str> {
        self.spec.as_ref()?.node_name.as_deref()
    }

    /// Whether its containers run, and it is not being deleted.
    pub(crate) fn is_running(&self) -> bool {
        self.phase() == Some("Running") && self.metadata.deletion_timestamp.is_none()
    }

    /// Whether it runs and is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let conditions = self.status.iter().flat_map(|status| &status.conditions);
        let mut ready = conditions
            .flatten()
            .filter(|condition| condition.type_ == "Ready");
        self.is_running() && ready.any(|condition| condition.status == "True")
    }

    /// Whether all its containers have ended for good.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase(), Some("Succeeded" | "Failed"))
    }

    fn phase(&self) -> Option<&str> {
        self.status.as_ref()?.phase.as_deref()
    }
}

impl Node {
    /// The value of a label, unless it is empty.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let labels = self.metadata.labels.as_ref()?;
        let value = labels.get(key)?.as_str();
        Some(value).filter(|value| !value.is_empty())
    }

    /// Its addresses of a type, such as `InternalIP`.
    pub(crate) fn addresses(&self, type_: &str) -> impl Iterator<Item = &str> {
        let addresses = self.status.iter().flat_map(|status| &status.addresses);
        let of_type = addresses
            .flatten()
            .filter(move |address| address.type_ == type_);
        of_type.map(|address| address.address.as_str())
    }
}

/// An API type of which a part is read is at the same place as the whole.
macro_rules! part_of {
    ($part:ident) => {
        impl Resource for $part {
            const API_VERSION: &'static str = v1::$part::API_VERSION;
            const GROUP: &'static str = v1::$part::GROUP;
            const KIND: &'static str = v1::$part::KIND;
            const VERSION: &'static str = v1::$part::VERSION;
            const URL_PATH_SEGMENT: &'static str = v1::$part::URL_PATH_SEGMENT;
            type Scope = <v1::$part as Resource>::Scope;
        }

        impl Metadata for $part {
            type Ty = ObjectMeta;

            fn metadata(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn metadata_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

part_of!(Pod);
part_of!(Node);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use serde_json::json;

    use super::*;

    fn pod(status: serde_json::Value) -> Pod {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "containers": []}, "status": status});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_pod_is_ready_while_it_runs_and_its_condition_says_so() {
        let of = |phase: &str, ready: &str| {
            let conditions = json!([{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]);
            pod(json!({"phase": phase, "conditions": conditions}))
        };
        let ready = of("Running", "True");
        assert!(ready.is_ready() && ready.is_running() && !ready.has_ended());
        assert_eq!(ready.node(), Some("n"));
        assert!(!of("Running", "False").is_ready());
        assert!(!of("Pending", "True").is_ready());
        assert!(of("Succeeded", "False").has_ended());
        let deleted = Pod {
            metadata: serde_json::from_value(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))
                .unwrap(),
            ..ready
        };
        assert!(!deleted.is_ready() && !deleted.is_running());
    }

    #[test]
    fn what_is_not_there_is_not_needed() {
        let new: Pod = serde_json::from_value(json!({"metadata": {}})).unwrap();
        assert!(new.node().is_none() && !new.is_ready() && !new.has_ended());
        let bare = pod(json!({"phase": "Running", "conditions": null}));
        assert!(bare.is_running() && !bare.is_ready());
        let node: Node =
            serde_json::from_value(json!({"metadata": {"labels": {"a": ""}}})).unwrap();
        assert!(node.label("a").is_none() && node.addresses("InternalIP").next().is_none());
    }

    #[test]
    fn a_node_has_addresses_by_type() {
        let node: Node = serde_json::from_value(json!({
            "metadata": {"labels": {"zone": "a"}},
            "status": {"addresses": [
                {"type": "Hostname", "address": "n"},
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "InternalIP", "address": "fd00::1"},
            ]},
        }))
        .unwrap();
        let addresses: Vec<&str> = node.addresses("InternalIP").collect();
        assert_eq!(addresses, ["10.0.0.1", "fd00::1"]);
        assert_eq!(node.label("zone"), Some("a"));
    }
}
