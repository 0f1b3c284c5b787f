//! Issues certificates.

use std::time::Duration;

use headgate_compile::Name;
use headgate_table::PrivateBytes;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::{ServingCertificate, WebhookCertificateError};

/// Validity of a CA.
pub(super) const AUTHORITY: Duration = Duration::from_secs(3650 * 24 * 3600);
/// Validity of a serving certificate.
pub(super) const SERVING: Duration = Duration::from_secs(90 * 24 * 3600);
/// Validity begins this long before now, for API servers whose clocks are behind.
const GRACE: Duration = Duration::from_secs(3600);

/// Certificate and key of a CA, PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) certificate: Vec<u8>,
    pub(super) key: PrivateBytes,
}

/// A new CA with a unique name.
pub(super) fn authority(now: Timestamp) -> Result<Authority, WebhookCertificateError> {
    let key = KeyPair::generate().map_err(WebhookCertificateError::Issue)?;
    let mut params = params(now, AUTHORITY);
    let number = fastrand::u32(..);
    let name = format!(
        "Headgate admission authority {}-{number:08x}",
        now.as_second()
    );
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params
        .self_signed(&key)
        .map_err(WebhookCertificateError::Issue)?;
    Ok(Authority {
        certificate: certificate.pem().into_bytes(),
        key: PrivateBytes(key.serialize_pem().into_bytes()),
    })
}

/// A certificate for the webhook behind `service`.
pub(super) fn serving(
    authority: &Authority,
    service: &Name,
    now: Timestamp,
) -> Result<ServingCertificate, WebhookCertificateError> {
    let issuer = issuer(authority).map_err(WebhookCertificateError::Issue)?;
    let key = KeyPair::generate().map_err(WebhookCertificateError::Issue)?;
    let names = CertificateParams::new(names(service)).map_err(WebhookCertificateError::Issue)?;
    let mut params = params(now, SERVING);
    params.subject_alt_names = names.subject_alt_names;
    // Not the host name: a common name has at most 64 characters, and clients ignore it.
    params
        .distinguished_name
        .push(DnType::CommonName, "Headgate admission webhook");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let certificate = params
        .signed_by(&key, &issuer)
        .map_err(WebhookCertificateError::Issue)?;
    Ok(ServingCertificate {
        chain_pem: certificate.pem().into_bytes(),
        key_pem: PrivateBytes(key.serialize_pem().into_bytes()),
    })
}

/// The names of the webhook's Service; API servers use the first.
pub(super) fn names(service: &Name) -> [String; 3] {
    let Name { namespace, name } = service;
    [
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
        format!("{name}.{namespace}"),
    ]
}

/// The CA as an issuer; fails when its key or certificate is invalid.
pub(super) fn issuer(authority: &Authority) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
    let unreadable = |_| rcgen::Error::CouldNotParseKeyPair;
    let key = std::str::from_utf8(&authority.key.0).map_err(unreadable)?;
    let certificate = std::str::from_utf8(&authority.certificate).map_err(unreadable)?;
    Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)
}

fn params(now: Timestamp, validity: Duration) -> CertificateParams {
    let seconds = u64::try_from(now.as_second()).unwrap_or_default();
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
    let mut params = CertificateParams::default();
    params.not_before = now - GRACE;
    params.not_after = now + validity;
    params.distinguished_name = DistinguishedName::new();
    params
}
