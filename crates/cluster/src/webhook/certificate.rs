//! The serving certificate of the webhook, replaced while it serves.

use std::fmt;
use std::sync::Arc;

use headgate_compile::certificate_from_pem;
use parking_lot::{Mutex, RwLock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::webhook_certificate::ServingCertificate;

/// The last valid certificate of `source`, which is read with each handshake, so that a new certificate is used as soon as
/// it is published.
pub(super) struct CertificateResolver {
    current: RwLock<Option<Arc<CertifiedKey>>>,
    source: Mutex<watch::Receiver<Option<Arc<ServingCertificate>>>>,
}

impl CertificateResolver {
    pub(super) fn new(mut source: watch::Receiver<Option<Arc<ServingCertificate>>>) -> Self {
        source.mark_changed();
        Self {
            current: RwLock::default(),
            source: Mutex::new(source),
        }
    }

    /// Reads a new certificate of the source, if any. An invalid one leaves the current one in use.
    fn refresh(&self) {
        let mut source = self.source.lock();
        // False without a sender: the current one stays.
        if !source.has_changed().unwrap_or(false) {
            return;
        }
        let Some(certificate) = source.borrow_and_update().clone() else {
            return;
        };
        let read = certificate_from_pem(
            &certificate.chain_pem,
            &certificate.key_pem,
            "admission webhook",
        );
        match read {
            Ok(read) => {
                tracing::debug!(fingerprint = %read.fingerprint, "new certificate of the admission webhook");
                *self.current.write() = Some(read.key);
            }
            Err(error) => {
                tracing::error!(%error, "cannot use the new certificate of the admission webhook");
            }
        }
    }
}

impl fmt::Debug for CertificateResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CertificateResolver(present: {})",
            self.current.read().is_some()
        )
    }
}

impl ResolvesServerCert for CertificateResolver {
    /// The same for every server name: API servers use the name of a Service, manual tests an address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.refresh();
        self.current.read().clone()
    }
}
