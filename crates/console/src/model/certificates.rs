//! Certificates in service.

use serde::{Deserialize, Serialize};

use super::Page;

/// A certificate in service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CertificateRow {
    /// The Secret, `namespace/name`, or `default` for the generated one.
    pub source: String,
    /// The names that it is valid for.
    pub names: Vec<String>,
    /// Organization of the issuer; empty when it has none.
    pub issuer_organization: String,
    /// Common name of the issuer; empty when it has none.
    pub issuer_common_name: String,
    /// Serial number, decimal.
    pub serial_number: String,
    /// `RSA`, `ECDSA`, `Ed25519`, or an object identifier.
    pub algorithm: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// End of its validity.
    pub expires_unix_seconds: i64,
    /// Time until then; negative: it has expired.
    pub expires_in_seconds: i64,
    /// Hosts that serve it, at most 100, sorted.
    pub hosts: Vec<String>,
    /// Number of the hosts that serve it.
    pub host_count: usize,
    /// Of these, hosts that it is not valid for, at most 100, sorted.
    pub uncovered_hosts: Vec<String>,
    /// It serves hosts and names without one of their own.
    pub is_default: bool,
}

/// Certificates, and who has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CertificatesPage {
    /// The first to expire first.
    pub certificates: Page<CertificateRow>,
    /// Hosts with TLS that serve the default certificate because theirs is missing or unusable, at most 100, sorted.
    pub default_hosts: Vec<String>,
    /// Their number.
    pub default_host_count: usize,
}
