//! GatewayClasses.

use serde::{Deserialize, Serialize};

use super::NamespacedRef;

/// The spec of a GatewayClass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassSpec {
    /// The controller that serves its Gateways.
    pub controller_name: String,
    /// An object with parameters.
    pub parameters_ref: Option<NamespacedRef>,
}
