//! Metrics of the webhook's certificate.

use std::collections::HashMap;

use prometheus::{IntGauge, Opts, Registry};

/// The expiry of the certificate.
#[derive(Clone)]
pub struct WebhookCertificateMetrics {
    expires: IntGauge,
}

impl WebhookCertificateMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &HashMap<String, String>) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "headgate_webhook_certificate_expire_time_seconds",
            "End of validity of the admission webhook's certificate, seconds since the epoch; 0 without one",
        );
        Ok(Self {
            expires: IntGauge::with_opts(opts.const_labels(labels.clone()))?,
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
