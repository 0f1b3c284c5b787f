//! What is in a Secret, and what follows from it.

use headgate_compile::{Name, certificate_from_pem};
use headgate_table::PrivateBytes;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::issue::{self, Authority};
use super::{ServingCertificate, WebhookCertificateError};

/// What a Secret of ours holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// `ca.crt`: authorities that are trusted, the one that signs first.
    pub(super) authorities: Option<Vec<u8>>,
    /// `ca.key`: key of the first authority.
    pub(super) authority_key: Option<PrivateBytes>,
    /// `tls.crt`.
    pub(super) chain: Option<Vec<u8>>,
    /// `tls.key`.
    pub(super) key: Option<PrivateBytes>,
}

/// What is known besides.
pub(super) struct Around<'a> {
    pub(super) secret: &'a Name,
    pub(super) service: &'a Name,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Show this certificate, and have this bundle trusted, if it is known.
    Use(ServingCertificate, Option<Vec<u8>>),
    /// Write this first.
    Write(Stored),
}

impl Stored {
    /// Whether nobody put anything in.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn serving(&self) -> Option<ServingCertificate> {
        Some(ServingCertificate {
            chain_pem: self.chain.clone()?,
            key_pem: self.key.clone()?,
        })
    }
}

/// A new authority and what it signs.
pub(super) fn fresh(around: &Around<'_>) -> Result<Stored, WebhookCertificateError> {
    let authority = issue::authority(around.now)?;
    signed(&authority, authority.certificate.clone(), around)
}

/// What follows from what is stored. `trusts` says whether the API server is known to trust an authority, by now.
pub(super) fn judge(
    stored: &Stored,
    around: &Around<'_>,
    trusts: impl Fn(&CertificateDer<'_>) -> bool,
) -> Result<Verdict, WebhookCertificateError> {
    if stored.is_empty() {
        return fresh(around).map(Verdict::Write);
    }
    let Some(authority_key) = &stored.authority_key else {
        return foreign(stored, around);
    };
    let bundle = stored.authorities.as_deref().unwrap_or_default();
    let trusted = unexpired(bundle, around.now);
    let first = trusted.first().map(|certificate| Authority {
        certificate: pem(certificate),
        key: authority_key.clone(),
    });
    let Some(current) = first.filter(is_pair) else {
        tracing::warn!(secret = %around.secret, "the authority of the admission webhook is unusable; making another");
        return fresh(around).map(Verdict::Write);
    };
    if is_due(&trusted[0], around.now) {
        return succeed(stored, &trusted, around);
    }
    let bundle: Vec<u8> = trusted.iter().flat_map(pem).collect();
    match state(stored, &trusted, around) {
        State::Good => {
            let serving = stored.serving();
            let dropped = stored.authorities.as_ref() != Some(&bundle);
            match serving {
                Some(serving) if !dropped => Ok(Verdict::Use(serving, Some(bundle))),
                _ => Ok(Verdict::Write(Stored {
                    authorities: Some(bundle),
                    ..stored.clone()
                })),
            }
        }
        // The new authority signs once it is trusted.
        State::OfFormerAuthority(serving) if !trusts(&trusted[0]) => {
            Ok(Verdict::Use(serving, Some(bundle)))
        }
        State::OfFormerAuthority(_) | State::Bad => {
            signed(&current, bundle, around).map(Verdict::Write)
        }
    }
}

enum State {
    Good,
    OfFormerAuthority(ServingCertificate),
    Bad,
}

fn state(stored: &Stored, trusted: &[CertificateDer<'_>], around: &Around<'_>) -> State {
    let Some(serving) = stored.serving() else {
        return State::Bad;
    };
    let source = around.secret.to_string();
    let usable = certificate_from_pem(&serving.chain_pem, &serving.key_pem, &source);
    let covers = usable.is_ok_and(|certificate| {
        let names = issue::names(around.service);
        names.iter().all(|name| certificate.covers(name))
    });
    let Some(leaf) = certificates(&serving.chain_pem).into_iter().next() else {
        return State::Bad;
    };
    let issuer = trusted
        .iter()
        .position(|authority| is_issued_by(&leaf, authority));
    let is_expired = || validity(&leaf).is_none_or(|(_, end)| around.now.as_second() >= end);
    match issuer {
        Some(0) if covers && !is_due(&leaf, around.now) => State::Good,
        Some(1..) if covers && !is_expired() => State::OfFormerAuthority(serving),
        _ => State::Bad,
    }
}

/// Somebody else's: used as it is.
fn foreign(stored: &Stored, around: &Around<'_>) -> Result<Verdict, WebhookCertificateError> {
    let secret = around.secret.to_string();
    let Some(serving) = stored.serving() else {
        return Err(WebhookCertificateError::Incomplete {
            secret: secret.into(),
        });
    };
    match certificate_from_pem(&serving.chain_pem, &serving.key_pem, &secret) {
        Ok(_) => Ok(Verdict::Use(serving, stored.authorities.clone())),
        Err(source) => Err(WebhookCertificateError::Unusable {
            from: format!("Secret {secret}").into(),
            source,
        }),
    }
}

/// A new authority before the former ones; the serving certificate stays what it is.
fn succeed(
    stored: &Stored,
    trusted: &[CertificateDer<'_>],
    around: &Around<'_>,
) -> Result<Verdict, WebhookCertificateError> {
    let authority = issue::authority(around.now)?;
    let former = trusted.iter().flat_map(pem);
    let bundle = authority
        .certificate
        .iter()
        .copied()
        .chain(former)
        .collect();
    tracing::info!(secret = %around.secret, "a new authority for the admission webhook");
    Ok(Verdict::Write(Stored {
        authorities: Some(bundle),
        authority_key: Some(authority.key),
        ..stored.clone()
    }))
}

fn signed(
    authority: &Authority,
    bundle: Vec<u8>,
    around: &Around<'_>,
) -> Result<Stored, WebhookCertificateError> {
    let serving = issue::serving(authority, around.service, around.now)?;
    Ok(Stored {
        authorities: Some(bundle),
        authority_key: Some(authority.key.clone()),
        chain: Some(serving.chain_pem),
        key: Some(serving.key_pem),
    })
}

/// The certificates of a bundle; what is unreadable is left out.
pub(super) fn certificates(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle)
        .filter_map(Result::ok)
        .collect()
}

fn unexpired(bundle: &[u8], now: Timestamp) -> Vec<CertificateDer<'static>> {
    let certificates = certificates(bundle).into_iter();
    certificates
        .filter(|certificate| validity(certificate).is_some_and(|(_, end)| now.as_second() < end))
        .collect()
}

/// Whether two thirds of its time are over.
fn is_due(certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
    validity(certificate).is_none_or(|(begin, end)| {
        let third = end.saturating_sub(begin) / 3;
        now.as_second() >= end.saturating_sub(third)
    })
}

fn validity(certificate: &CertificateDer<'_>) -> Option<(i64, i64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// By name, of which each authority has its own.
fn is_issued_by(leaf: &CertificateDer<'_>, authority: &CertificateDer<'_>) -> bool {
    let parsed = (
        X509Certificate::from_der(leaf),
        X509Certificate::from_der(authority),
    );
    matches!(parsed, (Ok((_, leaf)), Ok((_, authority))) if leaf.issuer().as_raw() == authority.subject().as_raw())
}

fn is_pair(authority: &Authority) -> bool {
    let source = "authority";
    certificate_from_pem(&authority.certificate, &authority.key, source).is_ok()
        && issue::issuer(authority).is_ok()
}

fn pem(certificate: &CertificateDer<'_>) -> Vec<u8> {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut pem = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    pem
}
