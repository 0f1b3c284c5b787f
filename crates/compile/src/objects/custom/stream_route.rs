//! TLSRoutes, TCPRoutes and UDPRoutes.

use serde::{Deserialize, Serialize};

use super::{BackendRef, ParentRef};

/// The spec of a TLSRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRouteSpec {
    /// Its listeners.
    pub parent_refs: Vec<ParentRef>,
    /// Server names, precise or `*.x`.
    pub hostnames: Vec<String>,
    /// Its rules; the API allows one.
    pub rules: Vec<StreamRule>,
}

/// The spec of a TCPRoute or UDPRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamRouteSpec {
    /// Its listeners.
    pub parent_refs: Vec<ParentRef>,
    /// Its rules; the API allows one.
    pub rules: Vec<StreamRule>,
}

/// Where connections or datagrams are forwarded to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamRule {
    /// Services with their weights.
    pub backend_refs: Vec<BackendRef>,
}
