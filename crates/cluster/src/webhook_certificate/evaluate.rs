//! Decides from the content of the Secret: use its certificate, or issue and write a new one.

use headgate_compile::{Name, certificate_from_pem};
use headgate_table::PrivateBytes;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::issue::{self, Authority};
use super::{ServingCertificate, WebhookCertificateError};

/// The content of the Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stored {
    /// `ca.crt`: the trusted CAs, the signing one first.
    pub(super) authorities: Option<Vec<u8>>,
    /// `ca.key`: key of the first CA.
    pub(super) authority_key: Option<PrivateBytes>,
    /// `tls.crt`.
    pub(super) chain: Option<Vec<u8>>,
    /// `tls.key`.
    pub(super) key: Option<PrivateBytes>,
}

pub(super) struct Context<'a> {
    pub(super) secret: &'a Name,
    pub(super) service: &'a Name,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Debug)]
pub(super) enum Action {
    /// Serve with this certificate, and write this caBundle, if any.
    Use(ServingCertificate, Option<Vec<u8>>),
    /// Write this to the Secret first.
    Write(Stored),
}

impl Stored {
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

/// A new CA and a certificate signed by it.
pub(super) fn fresh(context: &Context<'_>) -> Result<Stored, WebhookCertificateError> {
    let authority = issue::authority(context.now)?;
    signed(&authority, authority.certificate.clone(), context)
}

/// Evaluates the content. `trusts` is whether the API server is known to trust a CA.
pub(super) fn evaluate(
    stored: &Stored,
    context: &Context<'_>,
    trusts: impl Fn(&CertificateDer<'_>) -> bool,
) -> Result<Action, WebhookCertificateError> {
    if stored.is_empty() {
        return fresh(context).map(Action::Write);
    }
    let Some(authority_key) = &stored.authority_key else {
        return unmanaged(stored, context);
    };
    let bundle = stored.authorities.as_deref().unwrap_or_default();
    let trusted = unexpired(bundle, context.now);
    let first = trusted.first().map(|certificate| Authority {
        certificate: pem(certificate),
        key: authority_key.clone(),
    });
    let Some(current) = first.filter(is_pair) else {
        tracing::warn!(secret = %context.secret, "the CA of the admission webhook is unusable; issuing a new one");
        return fresh(context).map(Action::Write);
    };
    if is_renewal_due(&trusted[0], context.now) {
        return rotate_authority(stored, &trusted, context);
    }
    let bundle: Vec<u8> = trusted.iter().flat_map(pem).collect();
    match state(stored, &trusted, context) {
        State::Valid => {
            let serving = stored.serving();
            let dropped = stored.authorities.as_ref() != Some(&bundle);
            match serving {
                Some(serving) if !dropped => Ok(Action::Use(serving, Some(bundle))),
                _ => Ok(Action::Write(Stored {
                    authorities: Some(bundle),
                    ..stored.clone()
                })),
            }
        }
        // The new CA signs once it is trusted.
        State::SignedByFormer(serving) if !trusts(&trusted[0]) => {
            Ok(Action::Use(serving, Some(bundle)))
        }
        State::SignedByFormer(_) | State::Invalid => {
            signed(&current, bundle, context).map(Action::Write)
        }
    }
}

enum State {
    Valid,
    SignedByFormer(ServingCertificate),
    Invalid,
}

fn state(stored: &Stored, trusted: &[CertificateDer<'_>], context: &Context<'_>) -> State {
    let Some(serving) = stored.serving() else {
        return State::Invalid;
    };
    let source = context.secret.to_string();
    let usable = certificate_from_pem(&serving.chain_pem, &serving.key_pem, &source);
    let covers = usable.is_ok_and(|certificate| {
        let names = issue::names(context.service);
        names.iter().all(|name| certificate.covers(name))
    });
    let Some(leaf) = certificates(&serving.chain_pem).into_iter().next() else {
        return State::Invalid;
    };
    let issuer = trusted
        .iter()
        .position(|authority| is_issued_by(&leaf, authority));
    let is_expired = || validity(&leaf).is_none_or(|(_, end)| context.now.as_second() >= end);
    match issuer {
        Some(0) if covers && !is_renewal_due(&leaf, context.now) => State::Valid,
        Some(1..) if covers && !is_expired() => State::SignedByFormer(serving),
        _ => State::Invalid,
    }
}

/// A Secret of another owner is used as it is.
fn unmanaged(stored: &Stored, context: &Context<'_>) -> Result<Action, WebhookCertificateError> {
    let secret = context.secret.to_string();
    let Some(serving) = stored.serving() else {
        return Err(WebhookCertificateError::Incomplete {
            secret: secret.into(),
        });
    };
    match certificate_from_pem(&serving.chain_pem, &serving.key_pem, &secret) {
        Ok(_) => Ok(Action::Use(serving, stored.authorities.clone())),
        Err(source) => Err(WebhookCertificateError::Unusable {
            from: format!("Secret {secret}").into(),
            source,
        }),
    }
}

/// Adds a new CA before the former ones; the serving certificate stays.
fn rotate_authority(
    stored: &Stored,
    trusted: &[CertificateDer<'_>],
    context: &Context<'_>,
) -> Result<Action, WebhookCertificateError> {
    let authority = issue::authority(context.now)?;
    let former = trusted.iter().flat_map(pem);
    let bundle = authority
        .certificate
        .iter()
        .copied()
        .chain(former)
        .collect();
    tracing::info!(secret = %context.secret, "issued a new CA for the admission webhook");
    Ok(Action::Write(Stored {
        authorities: Some(bundle),
        authority_key: Some(authority.key),
        ..stored.clone()
    }))
}

fn signed(
    authority: &Authority,
    bundle: Vec<u8>,
    context: &Context<'_>,
) -> Result<Stored, WebhookCertificateError> {
    let serving = issue::serving(authority, context.service, context.now)?;
    Ok(Stored {
        authorities: Some(bundle),
        authority_key: Some(authority.key.clone()),
        chain: Some(serving.chain_pem),
        key: Some(serving.key_pem),
    })
}

/// The valid certificates of a bundle.
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

/// Whether two thirds of its validity are over.
fn is_renewal_due(certificate: &CertificateDer<'_>, now: Timestamp) -> bool {
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

/// By issuer name, which is unique for each CA.
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
