//! HeadgatePolicies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PolicyTargetRef;

/// The spec of a HeadgatePolicy: what annotations of an Ingress say, for its targets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HeadgatePolicySpec {
    /// What it is for: Ingresses, HTTPRoutes, GRPCRoutes, or Gateways.
    pub target_refs: Vec<PolicyTargetRef>,
    /// All other fields, which the registry of annotations explains.
    #[serde(flatten)]
    pub fields: BTreeMap<String, Value>,
}
