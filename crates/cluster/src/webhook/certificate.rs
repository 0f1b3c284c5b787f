//! The certificate that the webhook shows, swapped while it serves.

use std::fmt;
use std::sync::Arc;

use headgate_compile::certificate_from_pem;
use parking_lot::{Mutex, RwLock};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::webhook_certificate::ServingCertificate;

/// The certificate in use: the last usable one that `source` held. It is looked at with each handshake, so that whoever
/// is told of a new certificate may rely on it.
pub(super) struct Current {
    used: RwLock<Option<Arc<CertifiedKey>>>,
    source: Mutex<watch::Receiver<Option<Arc<ServingCertificate>>>>,
}

impl Current {
    /// Nothing taken yet.
    pub(super) fn new(mut source: watch::Receiver<Option<Arc<ServingCertificate>>>) -> Self {
        source.mark_changed();
        Self {
            used: RwLock::default(),
            source: Mutex::new(source),
        }
    }

    /// Takes what the source holds now, if that is another. What cannot be used leaves the one in use.
    fn refresh(&self) {
        let mut source = self.source.lock();
        // Without a sender the last one stays.
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
                tracing::debug!(fingerprint = %read.fingerprint, "the admission webhook has a certificate");
                *self.used.write() = Some(read.key);
            }
            Err(error) => {
                tracing::error!(%error, "the admission webhook's new certificate cannot be used");
            }
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Current(present: {})", self.used.read().is_some())
    }
}

impl ResolvesServerCert for Current {
    /// The same for every name: the API server asks by the name of a Service, people who try it by an address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.refresh();
        self.used.read().clone()
    }
}
