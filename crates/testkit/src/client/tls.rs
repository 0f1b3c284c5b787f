//! TLS clients with a chosen server name, protocols and versions, which return the certificate instead of verifying it.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, IpAddr, PrivateKeyDer, ServerName, UnixTime};

use crate::certificate::Issued;

/// The client's side of a handshake.
#[derive(Clone, Debug)]
pub struct Tls {
    server_name: Option<String>,
    protocols: Vec<Vec<u8>>,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    /// Certificate and key, PEM.
    identity: Option<(String, String)>,
}

/// The outcome of a handshake.
#[derive(Clone, Debug)]
pub struct Negotiated {
    /// The certificate that the server sent, DER.
    pub certificate: Vec<u8>,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// `TLSv1_3` or `TLSv1_2`.
    pub version: String,
}

impl Tls {
    /// A client with this server name (SNI).
    pub fn name(server_name: &str) -> Self {
        Self {
            server_name: Some(server_name.to_owned()),
            ..Self::nameless()
        }
    }

    /// A client without a server name.
    pub fn nameless() -> Self {
        Self {
            server_name: None,
            protocols: Vec::new(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            identity: None,
        }
    }

    /// Offers these protocols (ALPN), in order.
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        self
    }

    /// Offers this version only.
    pub fn version(mut self, version: &'static rustls::SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// Sends this certificate to a server that requests one.
    pub fn showing(mut self, issued: &Issued) -> Self {
        self.identity = Some((issued.certificate.clone(), issued.key.clone()));
        self
    }

    /// The configuration for rustls.
    ///
    /// # Panics
    /// When the cryptography library supports none of the versions, or the client certificate is invalid.
    pub fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(AcceptAny {
            provider: provider.clone(),
        });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .expect("the provider supports TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
                let chain = chain
                    .map(|der| der.expect("the certificate is PEM"))
                    .collect();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("the key is PEM");
                config
                    .with_client_auth_cert(chain, key)
                    .expect("key and certificate belong together")
            }
        };
        config.alpn_protocols.clone_from(&self.protocols);
        Arc::new(config)
    }

    /// The first message of a client: a ClientHello.
    ///
    /// # Panics
    /// When rustls refuses the configuration.
    pub fn hello(&self) -> Vec<u8> {
        let client = ClientConnection::new(self.config(), self.rustls_name());
        let mut hello = Vec::new();
        client
            .expect("the configuration is usable")
            .write_tls(&mut hello)
            .expect("a vector takes any bytes");
        hello
    }

    /// The name for rustls; without a name an address, which is never sent.
    ///
    /// # Panics
    /// When the name is not a DNS name.
    pub fn rustls_name(&self) -> ServerName<'static> {
        match &self.server_name {
            Some(name) => ServerName::try_from(name.clone()).expect("a server name is a DNS name"),
            None => ServerName::IpAddress(IpAddr::from(std::net::IpAddr::from([127, 0, 0, 1]))),
        }
    }

    pub(super) fn handshake(
        &self,
        mut socket: TcpStream,
    ) -> io::Result<(StreamOwned<ClientConnection, TcpStream>, Negotiated)> {
        let mut session =
            ClientConnection::new(self.config(), self.rustls_name()).map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        let negotiated = Negotiated {
            certificate: session
                .peer_certificates()
                .and_then(|chain| chain.first())
                .map(|certificate| certificate.to_vec())
                .unwrap_or_default(),
            alpn: session
                .alpn_protocol()
                .map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            version: session
                .protocol_version()
                .map(|version| format!("{version:?}"))
                .unwrap_or_default(),
        };
        Ok((StreamOwned::new(session, socket), negotiated))
    }
}

/// Accepts every certificate, so that a test can examine it; signatures are verified.
#[derive(Debug)]
struct AcceptAny {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
