//! Metrics of the webhook's certificate.

use prometheus::{IntGauge, Registry};

use crate::metrics::{CommonLabels, WEBHOOK_CERTIFICATE};

/// The expiry of the certificate.
#[derive(Clone)]
pub struct WebhookCertificateMetrics {
    expires: IntGauge,
}

impl WebhookCertificateMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &CommonLabels) -> Result<Self, prometheus::Error> {
        Ok(Self {
            expires: WEBHOOK_CERTIFICATE.int_gauge(labels)?,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.expires.clone()))
    }

    pub(super) fn expires(&self, seconds: i64) {
        self.expires.set(seconds);
    }
}
