//! Parameters of Gateways.

use serde::{Deserialize, Serialize};

use super::Texts;

/// The spec of a HeadgateParameters object: properties of what is made for Gateways, for one Gateway or all of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeadgateParametersSpec {
    /// Of their Services.
    pub service: ServiceParameters,
}

/// Fields of the Services of Gateways. What is absent is left to the API server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceParameters {
    /// `LoadBalancer` (default), `NodePort` or `ClusterIP`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Annotations.
    pub annotations: Texts,
    /// Labels.
    pub labels: Texts,
    /// Which load balancer; it cannot be changed later.
    pub load_balancer_class: Option<String>,
    /// `Cluster` or `Local`: whether only endpoints of the node get what arrives from outside.
    pub external_traffic_policy: Option<String>,
    /// `Cluster` or `Local`, likewise from inside the cluster.
    pub internal_traffic_policy: Option<String>,
    /// Networks of clients that the load balancer admits.
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// `IPv4` and `IPv6`.
    pub ip_families: Option<Vec<String>>,
    /// `SingleStack`, `PreferDualStack` or `RequireDualStack`.
    pub ip_family_policy: Option<String>,
    /// Whether a load balancer gets a port of each node.
    pub allocate_load_balancer_node_ports: Option<bool>,
}

impl ServiceParameters {
    /// These parameters where they say something, else those of `others`; labels and annotations one by one.
    #[must_use]
    pub fn over(self, others: Self) -> Self {
        let merged = |own: Texts, mut others: Texts| {
            others.extend(own);
            others
        };
        Self {
            kind: self.kind.or(others.kind),
            annotations: merged(self.annotations, others.annotations),
            labels: merged(self.labels, others.labels),
            load_balancer_class: self.load_balancer_class.or(others.load_balancer_class),
            external_traffic_policy: self
                .external_traffic_policy
                .or(others.external_traffic_policy),
            internal_traffic_policy: self
                .internal_traffic_policy
                .or(others.internal_traffic_policy),
            load_balancer_source_ranges: self
                .load_balancer_source_ranges
                .or(others.load_balancer_source_ranges),
            ip_families: self.ip_families.or(others.ip_families),
            ip_family_policy: self.ip_family_policy.or(others.ip_family_policy),
            allocate_load_balancer_node_ports: self
                .allocate_load_balancer_node_ports
                .or(others.allocate_load_balancer_node_ports),
        }
    }
}
