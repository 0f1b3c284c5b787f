//! Metrics of the status writer.

use std::collections::HashMap;

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// Statuses written and pending, and whether writing is forbidden.
#[derive(Clone)]
pub struct StatusMetrics {
    writes: IntCounterVec,
    pending: IntGauge,
    forbidden: IntGauge,
}

impl StatusMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &HashMap<String, String>) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_labels(labels.clone());
        let writes = opts(
            "headgate_status_writes_total",
            "Statuses of Ingresses written, by result",
        );
        let pending = opts(
            "headgate_status_writes_pending",
            "Status writes that are pending",
        );
        let forbidden = opts(
            "headgate_status_forbidden",
            "Whether the API server forbids to write statuses (1) or not (0)",
        );
        Ok(Self {
            writes: IntCounterVec::new(writes, &["result"])?,
            pending: IntGauge::with_opts(pending)?,
            forbidden: IntGauge::with_opts(forbidden)?,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.writes.clone()))?;
        registry.register(Box::new(self.pending.clone()))?;
        registry.register(Box::new(self.forbidden.clone()))
    }

    pub(super) fn written(&self) {
        self.writes.with_label_values(&["written"]).inc();
        self.forbidden.set(0);
    }

    pub(super) fn failed(&self) {
        self.writes.with_label_values(&["failed"]).inc();
    }

    pub(super) fn forbidden(&self) {
        self.writes.with_label_values(&["forbidden"]).inc();
        self.forbidden.set(1);
    }

    pub(super) fn pending(&self, count: usize) {
        self.pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    #[cfg(test)]
    pub(super) fn is_forbidden(&self) -> bool {
        self.forbidden.get() == 1
    }
}
