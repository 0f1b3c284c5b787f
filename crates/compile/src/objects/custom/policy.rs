//! Policies of Services, and the targets of policies.

use serde::{Deserialize, Serialize};

use super::{LocalRef, SessionPersistence, Texts};

/// The spec of a BackendTLSPolicy: TLS towards the endpoints of Services.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsPolicySpec {
    /// The Services.
    pub target_refs: Vec<PolicyTargetRef>,
    /// How endpoints are verified.
    pub validation: TlsValidation,
    /// Options of the implementation.
    pub options: Texts,
}

/// The spec of an XBackendTrafficPolicy: sessions and retries of requests to Services (experimental).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTrafficPolicySpec {
    /// The Services.
    pub target_refs: Vec<PolicyTargetRef>,
    /// Bounds retries.
    pub retry_constraint: Option<RetryConstraint>,
    /// Keeps clients at one endpoint.
    pub session_persistence: Option<SessionPersistence>,
}

/// Bounds retries: the larger of both numbers counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryConstraint {
    /// As a part of the requests.
    pub budget: RetryBudget,
    /// As a number.
    pub min_retry_rate: RequestRate,
}

/// Retries as a part of the requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RetryBudget {
    /// Default 20.
    pub percent: Option<u32>,
    /// Of the requests within this time; default 10 s.
    pub interval: Option<String>,
}

/// A number of requests in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRate {
    /// Default 10.
    pub count: Option<u32>,
    /// Default 1 s.
    pub interval: Option<String>,
}

/// The target of a policy: an object of the same namespace, or a section of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyTargetRef {
    /// The group; empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// Name of the object.
    pub name: String,
    /// Of a Service: the name of a port; of a Gateway: of a listener; of a route: of a rule.
    pub section_name: Option<String>,
}

/// How endpoints are verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsValidation {
    /// ConfigMaps with authorities, in `ca.crt`.
    pub ca_certificate_refs: Vec<LocalRef>,
    /// `System`: the authorities of the image.
    #[serde(rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<String>,
    /// The server name, and what the certificate must be valid for unless `subject_alt_names` says otherwise.
    pub hostname: String,
    /// One of these must be in the certificate.
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// A name in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectAltName {
    /// `Hostname` or `URI`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name, for `Hostname`.
    pub hostname: Option<String>,
    /// The URI, for `URI`.
    pub uri: Option<String>,
}
