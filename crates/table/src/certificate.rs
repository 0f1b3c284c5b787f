//! Certificates with their keys, ready for a handshake.

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use zeroize::Zeroize as _;

use crate::Slot;

/// Secret bytes: `Debug` prints only their number, and they are overwritten when they are dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateBytes(pub Vec<u8>);

impl fmt::Debug for PrivateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateBytes({} bytes)", self.0.len())
    }
}

impl Drop for PrivateBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A certificate chain and its private key, which are checked to match.
#[derive(Clone)]
pub struct Certificate {
    /// The Secret that it is from, e.g. `shop/tls-cert`, or `default` for the generated one.
    pub source: Arc<str>,
    /// Chain and signing key as the TLS library takes them.
    pub key: Arc<CertifiedKey>,
    /// The DNS names it is valid for, lower-case: SANs, or the common name when it has none. Some may be `*.x`.
    pub names: Arc<[Box<str>]>,
    /// End of its validity, seconds since the epoch.
    pub not_after: i64,
    /// SHA-256 of the first certificate, hex, for logs and dumps.
    pub fingerprint: Arc<str>,
    /// The issuer and serial number, for metrics.
    pub issue: Arc<Issue>,
    /// What completes it while the process runs, such as a stapled OCSP response.
    pub slot: Slot,
}

/// Issuer, serial number and algorithm of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issue {
    /// Organization of the issuer; empty when it has none.
    pub organization: String,
    /// Common name of the issuer; empty when it has none.
    pub common_name: String,
    /// Serial number, decimal.
    pub serial: String,
    /// `RSA`, `ECDSA`, `Ed25519`, or the object identifier of anything else.
    pub algorithm: String,
}

impl Certificate {
    /// Whether the certificate is valid for `host` (lower-case): by name or by a wildcard for exactly one label
    /// (RFC 6125 section 6.4.3).
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(suffix) => host == &**name || parent == Some(suffix),
            None => &**name == host,
        })
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.source, self.fingerprint)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.fingerprint == other.fingerprint
    }
}
