//! GRPCRoutes.

use serde::{Deserialize, Serialize};

use super::{
    BackendRef, HeaderFilter, LocalRef, MirrorFilter, ParentRef, SessionPersistence, ValueMatch,
};

/// The spec of a GRPCRoute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteSpec {
    /// Its listeners.
    pub parent_refs: Vec<ParentRef>,
    /// Hostnames, precise or `*.x`; none: those of its listeners.
    pub hostnames: Vec<String>,
    /// Its rules; absent: one that matches everything.
    pub rules: Option<Vec<GrpcRule>>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRule {
    /// For people.
    pub name: Option<String>,
    /// It serves calls that match any of these; none: all calls.
    pub matches: Vec<GrpcMatch>,
    /// What is done with calls and responses.
    pub filters: Vec<GrpcFilter>,
    /// Services with their weights.
    pub backend_refs: Vec<GrpcBackendRef>,
    /// Keeps clients at one endpoint (experimental).
    pub session_persistence: Option<SessionPersistence>,
}

/// A match; all of its parts must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcMatch {
    /// Service and method.
    pub method: Option<GrpcMethodMatch>,
    /// Header fields.
    pub headers: Vec<ValueMatch>,
}

/// A match of service and method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcMethodMatch {
    /// `Exact` (default) or `RegularExpression`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The service, with its package; absent: all.
    pub service: Option<String>,
    /// The method; absent: all.
    pub method: Option<String>,
}

/// A filter: `kind` says which of the fields it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs, reason = "named as in the Gateway API")]
pub struct GrpcFilter {
    #[serde(rename = "type")]
    pub kind: String,
    pub request_header_modifier: Option<HeaderFilter>,
    pub response_header_modifier: Option<HeaderFilter>,
    pub request_mirror: Option<MirrorFilter>,
    pub extension_ref: Option<LocalRef>,
}

/// A Service with filters of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcBackendRef {
    /// The Service.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Run only for calls that it gets.
    pub filters: Vec<GrpcFilter>,
}
