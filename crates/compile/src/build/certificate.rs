//! Parsing a certificate and its key from a Secret.

use std::sync::Arc;

use headgate_table::{Certificate, Issue, PrivateBytes, Slot};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::AttributeTypeAndValue;
use zeroize::Zeroize as _;

use crate::objects::Secret;

/// Why a Secret has no usable certificate. Never contains key material.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A data key of the Secret is absent or empty.
    #[error("has no key \"{0}\"; a TLS Secret holds tls.crt and tls.key in PEM")]
    Absent(&'static str),
    /// `tls.crt` is not a certificate chain.
    #[error("tls.crt is not a PEM certificate chain: {0}")]
    Chain(String),
    /// `tls.key` is not a private key.
    #[error(
        "tls.key is not a PEM private key (PKCS#8, PKCS#1 or SEC1) of an RSA, ECDSA or Ed25519 key"
    )]
    Key,
    /// The private key does not match the certificate.
    #[error("tls.key does not belong to the first certificate of tls.crt")]
    Mismatch,
}

/// The certificate in `tls.crt` and `tls.key` of a Secret.
///
/// # Errors
/// A data key is absent or unreadable, or the private key does not match the certificate.
pub(crate) fn from_secret(secret: &Secret, source: &str) -> Result<Certificate, CertificateError> {
    let data = |key: &'static str| secret.get(key).ok_or(CertificateError::Absent(key));
    let key = PrivateBytes(data("tls.key")?.to_vec());
    from_pem(data("tls.crt")?, &key, source)
}

/// The certificate of a PEM chain and a PEM key; `source` is its name in logs and dumps.
///
/// # Errors
/// The text is unreadable, or the private key does not match the certificate.
pub fn from_pem(
    chain: &[u8],
    key: &PrivateBytes,
    source: &str,
) -> Result<Certificate, CertificateError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Chain(reason(&error).into()))?;
    let Some(first) = chain.first() else {
        return Err(CertificateError::Chain("it holds no certificate".into()));
    };
    let (_, parsed) = X509Certificate::from_der(first)
        .map_err(|error| CertificateError::Chain(error.to_string()))?;
    let names = names(&parsed);
    let not_after = parsed.validity().not_after.timestamp();
    let issue = issue(&parsed);
    let fingerprint = fingerprint(first);
    let key = PrivateKeyDer::from_pem_slice(&key.0).map_err(|_| CertificateError::Key)?;
    let key = certified(chain, key)?;
    Ok(Certificate {
        source: source.into(),
        key: Arc::new(key),
        names: names.into_iter().map(String::into_boxed_str).collect(),
        not_after,
        fingerprint: fingerprint.into(),
        issue: Arc::new(issue),
        slot: Slot::default(),
    })
}

/// Certificates of a PEM bundle (`ca.crt`).
///
/// # Errors
/// The text is unreadable or has no certificate.
pub(crate) fn authorities(
    bundle: &[u8],
) -> Result<Arc<[CertificateDer<'static>]>, CertificateError> {
    let list: Vec<_> = CertificateDer::pem_slice_iter(bundle)
        .collect::<Result<_, _>>()
        .map_err(|error| CertificateError::Chain(reason(&error).into()))?;
    if list.is_empty() {
        return Err(CertificateError::Chain("it holds no certificate".into()));
    }
    for authority in &list {
        X509Certificate::from_der(authority)
            .map_err(|error| CertificateError::Chain(error.to_string()))?;
    }
    Ok(list.into())
}

/// Lists of revoked certificates in PEM (`ca.crl`).
///
/// # Errors
/// The text is unreadable or has no list that can be used, as a message.
pub(crate) fn revocations(
    text: &[u8],
) -> Result<Arc<[CertificateRevocationListDer<'static>]>, String> {
    let list: Vec<_> = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| {
            let reason = reason(&error);
            format!("ca.crl is not a PEM list of revoked certificates: {reason}")
        })?;
    if list.is_empty() {
        return Err("ca.crl holds no PEM list of revoked certificates".into());
    }
    for revocations in &list {
        webpki::BorrowedCertRevocationList::from_der(revocations)
            .map_err(|error| format!("ca.crl has a list that cannot be used: {error}"))?;
    }
    Ok(list.into())
}

/// What is wrong with PEM text. The error itself quotes the text, which may hold a key by mistake.
fn reason(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no line that ends it",
        pem::Error::IllegalSectionStart { .. } => {
            "a line that begins with \"-----BEGIN \" does not end with \"-----\""
        }
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it cannot be read",
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    mut key: PrivateKeyDer<'static>,
) -> Result<CertifiedKey, CertificateError> {
    let signer = any_supported_type(&key);
    key.zeroize();
    let signer = signer.map_err(|_| CertificateError::Key)?;
    let certified = CertifiedKey::new(chain, signer);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {
            Ok(certified)
        }
        Err(_) => Err(CertificateError::Mismatch),
    }
}

/// DNS names of a certificate, lower-case. The common name is used only without alternative names.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    match alternative {
        Some(names) => {
            let names = names.value.general_names.iter();
            names.filter_map(dns_name).collect()
        }
        None => {
            let names = certificate.subject().iter_common_name();
            let names = names.filter_map(|name| name.as_str().ok());
            names.filter_map(plain).collect()
        }
    }
}

/// Longest name of an issuer in metrics, bytes.
const LONGEST_NAME: usize = 256;

fn issue(certificate: &X509Certificate<'_>) -> Issue {
    let issuer = certificate.issuer();
    let text = |attribute: Option<&AttributeTypeAndValue<'_>>| {
        let text = attribute.and_then(|attribute| attribute.as_str().ok());
        let text = text.unwrap_or_default();
        text.get(..text.floor_char_boundary(LONGEST_NAME))
            .unwrap_or(text)
            .to_owned()
    };
    let algorithm = match certificate
        .public_key()
        .algorithm
        .algorithm
        .to_id_string()
        .as_str()
    {
        "1.2.840.113549.1.1.1" => "RSA".to_owned(),
        "1.2.840.10045.2.1" => "ECDSA".to_owned(),
        "1.3.101.112" => "Ed25519".to_owned(),
        other => other.to_owned(),
    };
    Issue {
        organization: text(issuer.iter_organization().next()),
        common_name: text(issuer.iter_common_name().next()),
        serial: serial(certificate),
        algorithm,
    }
}

/// In decimal digits; one that is longer than certificates may have (RFC 5280, 4.1.2.2) is not converted.
fn serial(certificate: &X509Certificate<'_>) -> String {
    match certificate.raw_serial().len() {
        ..=21 => certificate.tbs_certificate.serial.to_string(),
        _ => String::new(),
    }
}

fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => plain(name),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(v4) => Some(std::net::Ipv4Addr::from(v4).to_string()),
            Err(_) => <[u8; 16]>::try_from(*bytes)
                .ok()
                .map(|v6| std::net::Ipv6Addr::from(v6).to_string()),
        },
        _ => None,
    }
}

/// Skips names with bytes that no host name has (such as NUL), so that they are never compared.
fn plain(name: &str) -> Option<String> {
    let is_valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'*');
    (!name.is_empty() && name.bytes().all(is_valid)).then(|| name.to_ascii_lowercase())
}

/// SHA-256 as hex.
pub(crate) fn fingerprint(certificate: &[u8]) -> String {
    use std::fmt::Write as _;
    let suite = rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let rustls::SupportedCipherSuite::Tls13(suite) = suite else {
        return String::new();
    };
    let digest = suite.common.hash_provider.hash(certificate);
    digest
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    /// The names of a certificate with these alternative names and this common name.
    fn names_of(alternative: &[&str], common: &str) -> Vec<String> {
        let alternative: Vec<String> = alternative.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(alternative).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        let issued = params.self_signed(&key).unwrap();
        let key = PrivateBytes(key.serialize_pem().into_bytes());
        let parsed = from_pem(issued.pem().as_bytes(), &key, "test").unwrap();
        parsed.names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_name_with_a_nul_byte_is_no_name_of_a_host() {
        let alternative = ["a.test\0.evil.test", "B.test", "\0c.test"];
        assert_eq!(names_of(&alternative, "d.test"), ["b.test"]);
        assert_eq!(names_of(&[], "d.test"), ["d.test"]);
        assert_eq!(names_of(&[], "d.test\0.evil.test"), [""; 0]);
    }

    /// A chain and a key from any text are a certificate or an error of one short line, which does not quote the key.
    fn is_a_certificate_or_an_error(bytes: &[u8]) {
        let at = bytes.iter().position(|byte| *byte == 0);
        let (chain, key) = bytes.split_at(at.unwrap_or(bytes.len()));
        let key = PrivateBytes(key.to_vec());
        if let Err(error) = from_pem(chain, &key, "a") {
            let error = error.to_string();
            assert!(
                error.len() < 1000 && !error.contains(char::is_control),
                "{error}"
            );
        }
        let _ = authorities(bytes);
        let _ = revocations(bytes);
    }

    #[test]
    fn fuzz_certificate() {
        headgate_fuzz::check("certificate", is_a_certificate_or_an_error);
    }
}
