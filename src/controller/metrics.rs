//! Metrics of watches, leader election, statuses, Events and the admission webhook.

use std::sync::Arc;

use headgate_cluster::events::EventMetrics;
use headgate_cluster::lease::LeaseMetrics;
use headgate_cluster::status::StatusMetrics;
use headgate_cluster::webhook::WebhookMetrics;
use headgate_cluster::webhook_certificate::WebhookCertificateMetrics;
use headgate_cluster::{CommonLabels, WatchMetrics};
use headgate_proxy::MetricLabels;
use prometheus::Registry;

/// The metrics of a controller.
pub(crate) struct Metrics {
    pub(super) watch: WatchMetrics,
    pub(super) lease: LeaseMetrics,
    pub(super) status: StatusMetrics,
    pub(super) gateway_status: StatusMetrics,
    pub(super) events: EventMetrics,
    pub(super) webhook: Arc<WebhookMetrics>,
    pub(super) certificate: WebhookCertificateMetrics,
}

impl Metrics {
    /// Metrics with the common labels; `election` is the name of the Lease.
    pub(crate) fn new(labels: &MetricLabels, election: &str) -> Result<Self, prometheus::Error> {
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = CommonLabels::from([
            label("controller_namespace", &labels.namespace),
            label("controller_class", &labels.class),
            label("controller_pod", &labels.pod),
        ]);
        Ok(Self {
            watch: WatchMetrics::new(&labels)?,
            lease: LeaseMetrics::new(election, &labels)?,
            status: StatusMetrics::new(&labels)?,
            gateway_status: StatusMetrics::of_gateways(&labels)?,
            events: EventMetrics::new(&labels)?,
            webhook: Arc::new(WebhookMetrics::new(&labels)?),
            certificate: WebhookCertificateMetrics::new(&labels)?,
        })
    }

    pub(crate) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.watch.register(registry)?;
        self.lease.register(registry)?;
        self.status.register(registry)?;
        self.gateway_status.register(registry)?;
        self.events.register(registry)?;
        self.webhook.register(registry)?;
        self.certificate.register(registry)
    }
}
