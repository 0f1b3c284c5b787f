//! Client certificates. A handshake only checks that the client has the private key; then the certificate is verified and the
//! result is kept with the connection, as in nginx, so that an HTTP response tells the client what is wrong. The certificate of
//! a resumed session is verified anew.

use std::sync::{Arc, OnceLock};

use headgate_table::ClientTrust;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::RawPublicKeyEntity;
use x509_parser::parse_x509_certificate;

use super::name;
use super::verify::{Anchors, Verdict};

/// What the handshake found out about the client.
#[derive(Debug)]
pub(crate) struct ClientIdentity {
    /// Identity of the [`ClientTrust`] that the certificate was requested for and verified with.
    pub(crate) trust: Arc<str>,
    /// `None`: the client sent none.
    pub(crate) certificate: Option<ClientCertificate>,
}

/// The certificate of a client, who has its private key.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    der: CertificateDer<'static>,
    /// Subject as OpenSSL writes it (RFC 2253).
    pub(crate) subject: String,
    /// Issuer, likewise.
    pub(crate) issuer: String,
    /// The result of its verification.
    pub(crate) verdict: Verdict,
}

impl ClientIdentity {
    /// A client that was asked for a certificate of `trust` and sent none.
    pub(crate) fn without_certificate(trust: &ClientTrust) -> Self {
        Self::new(trust, None)
    }

    /// Verifies the `chain` of a finished handshake with `trust`.
    pub(super) fn new(trust: &ClientTrust, chain: Option<&[CertificateDer<'static>]>) -> Self {
        let chain = chain.and_then(|chain| chain.split_first());
        Self {
            trust: trust.id.clone(),
            certificate: chain.map(|(first, others)| ClientCertificate::new(first, others, trust)),
        }
    }
}

impl ClientCertificate {
    fn new(
        first: &CertificateDer<'static>,
        others: &[CertificateDer<'static>],
        trust: &ClientTrust,
    ) -> Self {
        let parsed = parse_x509_certificate(first).ok();
        let (subject, issuer) = parsed.map_or_else(Default::default, |(_, parsed)| {
            (name::text(parsed.subject()), name::text(parsed.issuer()))
        });
        Self {
            der: first.clone().into_owned(),
            subject,
            issuer,
            verdict: Anchors::new(trust).verify(first, others, UnixTime::now()),
        }
    }

    /// The certificate in PEM, percent-encoded (nginx `$ssl_client_escaped_cert`).
    pub(crate) fn escaped(&self) -> String {
        const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~');
        percent_encode(self.pem().as_bytes(), ESCAPED).to_string()
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM.
    pub(super) fn pem(&self) -> String {
        use base64::Engine as _;
        /// Characters per line (RFC 7468 section 2).
        const LINE: usize = 64;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.der);
        let mut pem = String::with_capacity(text.len() + 128);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in text.as_bytes().chunks(LINE) {
            pem.extend(line.iter().copied().map(char::from));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }
}

/// Requests a certificate and accepts any, or none; it checks only the signatures of the handshake.
#[derive(Debug)]
pub(super) struct Requested {
    /// The authorities that clients choose a certificate by.
    authorities: Vec<DistinguishedName>,
}

impl Requested {
    pub(super) fn new(trust: &ClientTrust) -> Self {
        let name = |der: &CertificateDer<'_>| {
            let (_, parsed) = parse_x509_certificate(der).ok()?;
            Some(DistinguishedName::from(parsed.subject().as_raw().to_vec()))
        };
        Self {
            authorities: trust.authorities.iter().filter_map(name).collect(),
        }
    }
}

impl ClientCertVerifier for Requested {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        let bad = || Error::InvalidCertificate(CertificateError::BadSignature);
        let entity = RawPublicKeyEntity::try_from(&key).map_err(|_| bad())?;
        let mut possible = algorithms().mapping.iter();
        let (_, possible) = possible
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or_else(bad)?;
        let verifies =
            |algorithm: &&_| entity.verify_signature(**algorithm, message, signed.signature());
        if possible
            .iter()
            .any(|algorithm| verifies(&algorithm).is_ok())
        {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(bad())
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

/// The library's own function refuses X.509 version 1, which `openssl x509 -req` makes.
fn public_key(certificate: &CertificateDer<'_>) -> Result<SubjectPublicKeyInfoDer<'static>, Error> {
    let (_, parsed) = parse_x509_certificate(certificate)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    Ok(SubjectPublicKeyInfoDer::from(
        parsed.public_key().raw.to_vec(),
    ))
}

pub(crate) fn algorithms() -> &'static WebPkiSupportedAlgorithms {
    static ALGORITHMS: OnceLock<WebPkiSupportedAlgorithms> = OnceLock::new();
    ALGORITHMS.get_or_init(|| aws_lc_rs::default_provider().signature_verification_algorithms)
}
