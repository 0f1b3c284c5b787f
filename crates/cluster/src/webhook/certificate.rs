//! The certificate that the webhook shows, swapped while it serves.

use std::fmt;
use std::sync::Arc;

use headgate_compile::certificate_from_pem;
use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::webhook_certificate::ServingCertificate;

/// The certificate in use; none until there is one.
#[derive(Default)]
pub(super) struct Current(RwLock<Option<Arc<CertifiedKey>>>);

impl Current {
    /// Takes what `source` holds now. What cannot be used leaves the one in use.
    pub(super) fn take(&self, source: &mut watch::Receiver<Option<Arc<ServingCertificate>>>) {
        let certificate = source.borrow_and_update();
        let Some(certificate) = &*certificate else {
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
                *self.0.write() = Some(read.key);
            }
            Err(error) => {
                tracing::error!(%error, "the admission webhook's new certificate cannot be used");
            }
        }
    }

    /// Follows `source` for as long as somebody feeds it.
    pub(super) async fn follow(
        self: Arc<Self>,
        mut source: watch::Receiver<Option<Arc<ServingCertificate>>>,
    ) {
        while source.changed().await.is_ok() {
            self.take(&mut source);
        }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Current(present: {})", self.0.read().is_some())
    }
}

impl ResolvesServerCert for Current {
    /// The same for every name: the API server asks by the name of a Service, people who try it by an address.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().clone()
    }
}
