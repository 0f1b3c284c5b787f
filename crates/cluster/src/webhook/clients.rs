//! Authentication of clients by certificates of configured CAs.
//!
//! An API server sends one when its admission configuration names a kubeconfig for the webhook. Without this option every
//! client that reaches the port may call the webhook, and learns only the review of the object that it sends.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, UnixTime};

/// The file is read again with the first handshake after this time, so that CAs can be replaced.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// Verifies clients by the CAs in a file. Until it was read once, every client is refused.
pub(super) struct ClientVerifier {
    file: PathBuf,
    provider: CryptoProvider,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    checked: Option<Instant>,
    text: Vec<u8>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    last_failure: Option<String>,
}

impl ClientVerifier {
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            file,
            provider: aws_lc_rs::default_provider(),
            state: Mutex::default(),
        }
    }

    /// The verifier of the CAs that were last read; a failed read keeps them.
    fn current(&self) -> Option<Arc<dyn ClientCertVerifier>> {
        let mut state = self.state.lock();
        if state
            .checked
            .is_none_or(|checked| checked.elapsed() >= RELOAD_INTERVAL)
        {
            state.checked = Some(Instant::now());
            match self.read(&mut state) {
                Ok(()) => state.last_failure = None,
                Err(error) => self.failed(&mut state, error.to_string()),
            }
        }
        state.verifier.clone()
    }

    fn failed(&self, state: &mut State, error: String) {
        if state.last_failure.as_ref() == Some(&error) {
            return;
        }
        let file = self.file.display();
        if state.verifier.is_some() {
            tracing::warn!(%file, error, "cannot read the client CA file of the admission webhook; using the last CAs");
        } else {
            tracing::warn!(%file, error, "cannot read the client CA file of the admission webhook; refusing all clients");
        }
        state.last_failure = Some(error);
    }

    fn read(&self, state: &mut State) -> io::Result<()> {
        let text = std::fs::read(&self.file)?;
        if text != state.text || state.verifier.is_none() {
            state.verifier = Some(verifier(&text, &self.provider)?);
            state.text = text;
        }
        Ok(())
    }
}

fn verifier(pem: &[u8], provider: &CryptoProvider) -> io::Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        // The error quotes the text, which may be a key by mistake.
        let certificate =
            certificate.map_err(|_| io::Error::other("not a PEM file of certificates"))?;
        roots.add(certificate).map_err(io::Error::other)?;
    }
    if roots.is_empty() {
        return Err(io::Error::other("no certificate in the file"));
    }
    let provider = Arc::new(provider.clone());
    let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    built.map_err(io::Error::other)
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientVerifier").field(&self.file).finish()
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// None: the CAs may change during the handshake, and clients have one certificate for this server.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let current = self.current().ok_or(refused)?;
        current.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use headgate_testkit::Authority;

    use super::*;

    #[test]
    fn an_invalid_file_keeps_the_verifier() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.crt");
        let (clients, mut state) = (ClientVerifier::new(file.clone()), State::default());
        assert!(clients.read(&mut state).is_err() && state.verifier.is_none());
        std::fs::write(&file, "nothing").unwrap();
        assert!(clients.read(&mut state).is_err() && state.verifier.is_none());
        std::fs::write(&file, Authority::new().pem()).unwrap();
        clients.read(&mut state).unwrap();
        let first = state.verifier.clone().unwrap();
        for text in [
            "",
            "nothing",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            std::fs::write(&file, text).unwrap();
            assert!(clients.read(&mut state).is_err(), "{text}");
            assert!(Arc::ptr_eq(state.verifier.as_ref().unwrap(), &first));
        }
    }
}
