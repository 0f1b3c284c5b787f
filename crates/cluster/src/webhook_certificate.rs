//! The certificate of the admission webhook: from files, or issued and renewed here.
//!
//! A certificate that is issued here is stored in a Secret together with its CA. The first replica issues it, the others
//! read it; the CA is written to caBundle of the webhook configuration. All is reconciled every minute, and at once
//! when another client changed caBundle; nothing is replaced before its replacement is trusted: a new CA goes into caBundle first and signs only after that update is
//! observed. A Secret filled by another owner is used and never written.

mod configuration;
mod error;
mod evaluate;
mod files;
mod issue;
mod managed;
mod metrics;
mod secret;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use headgate_compile::{Name, certificate_from_pem};
use headgate_table::PrivateBytes;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::watch;

pub use error::WebhookCertificateError;
use files::Files;
use managed::Managed;
pub use metrics::WebhookCertificateMetrics;

/// The certificate that the webhook serves with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServingCertificate {
    /// The chain, PEM, leaf certificate first.
    pub chain_pem: Vec<u8>,
    /// The private key, PEM.
    pub key_pem: PrivateBytes,
}

/// Where the certificate comes from.
#[derive(Clone, Debug)]
pub enum CertificateSource {
    /// Files (`--validating-webhook-certificate`, `--validating-webhook-key`), read again when they change.
    Files {
        /// Chain, PEM.
        certificate: PathBuf,
        /// Key, PEM.
        key: PathBuf,
    },
    /// Issued here and stored in a Secret.
    Managed(ManagedOptions),
}

/// Options of a certificate that is issued here.
#[derive(Clone, Debug)]
pub struct ManagedOptions {
    /// The Secret that stores it (`--validating-webhook-secret`).
    pub secret: Name,
    /// The ValidatingWebhookConfiguration whose caBundle is updated (`--validating-webhook-configuration`); `None`: no
    /// update.
    pub configuration: Option<Box<str>>,
    /// The Service by which the API server reaches the webhook (`--validating-webhook-service`).
    pub service: Name,
}

/// The time; tests set their own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The task that keeps the certificate.
pub struct WebhookCertificate {
    source: CertificateSource,
    client: Client,
    clock: Clock,
    output: Output,
}

impl WebhookCertificate {
    /// A task that does nothing until it is run.
    pub fn new(
        client: Client,
        source: CertificateSource,
        metrics: WebhookCertificateMetrics,
    ) -> Self {
        Self {
            source,
            client,
            clock: Arc::new(Timestamp::now),
            output: Output {
                sender: watch::Sender::new(None),
                metrics,
            },
        }
    }

    /// With another clock than the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The certificate as it changes; `None` until there is one.
    pub fn serving(&self) -> watch::Receiver<Option<Arc<ServingCertificate>>> {
        self.output.sender.subscribe()
    }

    /// Keeps the certificate valid, for ever.
    pub async fn run(self) {
        match self.source {
            CertificateSource::Files { certificate, key } => {
                Files::new(certificate, key, self.output).run().await;
            }
            CertificateSource::Managed(options) => {
                let managed = Managed::new(self.client, options, self.clock, self.output);
                managed.run().await;
            }
        }
    }
}

struct Output {
    sender: watch::Sender<Option<Arc<ServingCertificate>>>,
    metrics: WebhookCertificateMetrics,
}

impl Output {
    /// Serves with this certificate from now on.
    fn publish(&self, serving: ServingCertificate, source: &str) {
        let is_new = self.sender.borrow().as_deref() != Some(&serving);
        if !is_new {
            return;
        }
        if let Ok(certificate) = certificate_from_pem(&serving.chain_pem, &serving.key_pem, source)
        {
            tracing::info!(
                source,
                fingerprint = %certificate.fingerprint,
                "certificate of the admission webhook"
            );
            self.metrics.expires(certificate.not_after);
        }
        self.sender.send_replace(Some(Arc::new(serving)));
    }
}
