//! TLS towards endpoints.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use headgate_table::{AlternativeName, Authorities, Upstream, UpstreamTls};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, SignatureScheme,
    SupportedProtocolVersion, version,
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, InvalidNameContext, KeyUsage, VerifiedPath};

/// The TLS identity of a connection: client certificate, verification and names. Connections of different identities are
/// never shared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TlsIdentity {
    /// `None`: the default settings.
    settings: Option<Arc<str>>,
    /// The name for SNI and verification.
    name: Option<Arc<str>>,
}

impl TlsIdentity {
    /// The identity towards `upstream` under `settings`.
    pub(super) fn new(settings: Option<&Arc<UpstreamTls>>, upstream: &Upstream) -> Self {
        let named = settings.filter(|tls| tls.verify || tls.server_name);
        Self {
            settings: settings.map(|tls| tls.id.clone()),
            name: named.map(|tls| tls.name.as_ref().unwrap_or(&upstream.log_name).clone()),
        }
    }
}

/// Why there is no TLS connection: requests fail instead of going out in plain text.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("unusable TLS settings: {0}")]
    Settings(String),
    #[error("invalid TLS server name: \"{0}\"")]
    Name(Arc<str>),
}

/// The configurations built from one set of settings.
struct Configs {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    stream: Arc<ClientConfig>,
}

/// What a connection carries; the endpoint is offered it by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Http1,
    Http2,
    /// Bytes of a protocol that only the client and the endpoint know, so that none is offered.
    Stream,
}

/// Configuration and server name for a handshake with `address` as `identity`.
pub(super) fn handshake(
    settings: Option<&Arc<UpstreamTls>>,
    identity: &TlsIdentity,
    address: SocketAddr,
    carries: Carries,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let configs = match settings {
        None => default_configs(),
        Some(tls) => tls.slot.get_or_init(|| Arc::new(Configs::new(tls))),
    };
    let configs = match configs {
        Some(Ok(configs)) => configs,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(TlsError::Settings("slot holds another type".to_owned())),
    };
    let name = match &identity.name {
        Some(name) => {
            ServerName::try_from(name.to_string()).map_err(|_| TlsError::Name(name.clone()))?
        }
        // The key of TLS sessions: endpoints must not share them.
        None => ServerName::from(address.ip()),
    };
    let config = match carries {
        Carries::Http1 => &configs.http1,
        Carries::Http2 => &configs.http2,
        Carries::Stream => &configs.stream,
    };
    Ok((config.clone(), name))
}

fn default_configs() -> Option<&'static Result<Configs, TlsError>> {
    static DEFAULT: OnceLock<Result<Configs, TlsError>> = OnceLock::new();
    Some(DEFAULT.get_or_init(|| {
        build(
            &[&version::TLS13, &version::TLS12],
            provider(),
            unverified(),
            None,
            false,
        )
    }))
}

impl Configs {
    fn new(tls: &UpstreamTls) -> Result<Self, TlsError> {
        let mut versions = Vec::new();
        versions.extend(tls.tls13.then_some(&version::TLS13));
        versions.extend(tls.tls12.then_some(&version::TLS12));
        let verifier = if tls.verify {
            verified(tls)?
        } else {
            unverified()
        };
        let client = tls
            .client
            .as_ref()
            .map(|certificate| certificate.key.clone());
        let provider = match tls.ciphers.is_empty() {
            true => provider(),
            false => Arc::new(crate::tls::provider(&tls.ciphers, &[])),
        };
        build(&versions, provider, verifier, client, tls.server_name)
    }
}

fn build(
    versions: &[&'static SupportedProtocolVersion],
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    client: Option<Arc<CertifiedKey>>,
    server_name: bool,
) -> Result<Configs, TlsError> {
    let unusable = |error: rustls::Error| TlsError::Settings(error.to_string());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut http1 = match client {
        None => builder.with_no_client_auth(),
        Some(key) => builder.with_client_cert_resolver(Arc::new(OneCertificate(key))),
    };
    http1.enable_sni = server_name;
    let mut http2 = http1.clone();
    let mut stream = http1.clone();
    http1.alpn_protocols = vec![b"http/1.1".to_vec()];
    http2.alpn_protocols = vec![b"h2".to_vec()];
    // Protocols must not share TLS sessions.
    http2.resumption = rustls::client::Resumption::in_memory_sessions(256);
    stream.resumption = rustls::client::Resumption::in_memory_sessions(256);
    Ok(Configs {
        http1: Arc::new(http1),
        http2: Arc::new(http2),
        stream: Arc::new(stream),
    })
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER
        .get_or_init(|| Arc::new(aws_lc_rs::default_provider()))
        .clone()
}

/// The client certificate, whatever authorities the endpoint names.
#[derive(Debug)]
struct OneCertificate(Arc<CertifiedKey>);

impl ResolvesClientCert for OneCertificate {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Verifies the signatures of the handshake, and the certificate against `trust` if there is one.
#[derive(Debug)]
struct Verifier {
    provider: Arc<CryptoProvider>,
    trust: Option<Trust>,
}

#[derive(Debug)]
struct Trust {
    anchors: Vec<TrustAnchor<'static>>,
    depth: usize,
    /// The certificate must have one of these; empty: it must be valid for the server name.
    alternatives: Arc<[AlternativeName]>,
}

/// Does not verify certificates, which protects against passive observers only: the default of nginx.
fn unverified() -> Arc<dyn ServerCertVerifier> {
    Arc::new(Verifier {
        provider: provider(),
        trust: None,
    })
}

fn verified(tls: &UpstreamTls) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let anchor = |der| webpki::anchor_from_trusted_cert(der).map(|anchor| anchor.to_owned());
    let system;
    let authorities: &[CertificateDer<'static>] = match &tls.authorities {
        Authorities::Listed(listed) => listed,
        Authorities::System => {
            system = rustls_native_certs::load_native_certs().certs;
            &system
        }
    };
    let anchors: Vec<_> = authorities
        .iter()
        .filter_map(|der| anchor(der).ok())
        .collect();
    if anchors.is_empty() {
        return Err(TlsError::Settings("no usable CA certificate".to_owned()));
    }
    let trust = Some(Trust {
        anchors,
        depth: usize::from(tls.verify_depth),
        alternatives: tls.alternatives.clone(),
    });
    Ok(Arc::new(Verifier {
        provider: provider(),
        trust,
    }))
}

impl Trust {
    /// The depth counts the certificates between that of the endpoint and that of the CA, as in OpenSSL.
    fn check(
        &self,
        provider: &CryptoProvider,
        presented: (&CertificateDer<'_>, &[CertificateDer<'_>]),
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let depth = |path: &VerifiedPath<'_>| {
            if path.intermediate_certificates().count() > self.depth {
                return Err(webpki::Error::MaximumPathDepthExceeded);
            }
            Ok(())
        };
        let certificate = EndEntityCert::try_from(presented.0)?;
        certificate.verify_for_usage(
            provider.signature_verification_algorithms.all,
            &self.anchors,
            presented.1,
            now,
            KeyUsage::server_auth(),
            None,
            Some(&depth),
        )?;
        if self.alternatives.is_empty() {
            return certificate.verify_is_valid_for_subject_name(name);
        }
        let mut alternatives = self.alternatives.iter();
        match alternatives.any(|alternative| has(&certificate, alternative)) {
            true => Ok(()),
            false => Err(webpki::Error::CertNotValidForName(InvalidNameContext {
                expected: name.to_owned(),
                presented: certificate
                    .valid_dns_names()
                    .chain(certificate.valid_uri_names())
                    .map(str::to_owned)
                    .collect(),
            })),
        }
    }
}

/// Whether a verified certificate has an alternative name.
fn has(certificate: &EndEntityCert<'_>, alternative: &AlternativeName) -> bool {
    match alternative {
        AlternativeName::Uri(uri) => certificate.valid_uri_names().any(|name| *name == **uri),
        AlternativeName::Dns(name) => match ServerName::try_from(&**name) {
            Ok(name) => certificate.verify_is_valid_for_subject_name(&name).is_ok(),
            // A wildcard.
            Err(_) => certificate
                .valid_dns_names()
                .any(|own| own.eq_ignore_ascii_case(name)),
        },
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(trust) = &self.trust {
            trust
                .check(
                    &self.provider,
                    (end_entity, intermediates),
                    server_name,
                    now,
                )
                .map_err(|error| CertificateError::Other(OtherError(Arc::new(error))))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
