//! The default certificate: generated at start, kept in memory, never written or logged.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use headgate_compile::certificate_from_pem;
use headgate_table::{Certificate, PrivateBytes};
use rcgen::{CertificateParams, DnType, KeyPair};

/// Generates what ingress-nginx calls the fake certificate: the same subject and name, valid for a year. The key is ECDSA
/// P-256 instead of RSA, so that the start is not delayed.
pub(crate) fn generate() -> Result<Arc<Certificate>> {
    let mut params = CertificateParams::new(vec!["ingress.local".to_owned()])
        .context("naming the default certificate")?;
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Acme Co");
    params.distinguished_name.push(
        DnType::CommonName,
        "Kubernetes Ingress Controller Fake Certificate",
    );
    let now = jiff::Timestamp::now();
    let date = |timestamp: jiff::Timestamp| {
        let date = timestamp.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(date.year()),
            date.month().unsigned_abs(),
            date.day().unsigned_abs(),
        )
    };
    // Clocks of clients may be a day behind.
    params.not_before = date(now - jiff::SignedDuration::from_hours(24));
    params.not_after = date(now + jiff::SignedDuration::from_hours(24 * 365));
    let key = KeyPair::generate().context("generating the default certificate's key")?;
    let certificate = params
        .self_signed(&key)
        .context("signing the default certificate")?;
    let key = PrivateBytes(key.serialize_pem().into_bytes());
    let certificate = certificate_from_pem(certificate.pem().as_bytes(), &key, "default")
        .context("reading the default certificate back")?;
    Ok(Arc::new(certificate))
}
