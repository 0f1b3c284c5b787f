//! Metrics of the status writer.

use prometheus::{IntCounterVec, IntGauge, Registry};

use crate::metrics::{CommonLabels, STATUS_FORBIDDEN, STATUS_PENDING, STATUS_WRITES};

/// Statuses written and pending, and whether writing is forbidden.
#[derive(Clone)]
pub struct StatusMetrics {
    writes: IntCounterVec,
    pending: IntGauge,
    forbidden: IntGauge,
}

impl StatusMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &CommonLabels) -> Result<Self, prometheus::Error> {
        Ok(Self {
            writes: STATUS_WRITES.int_counters(labels)?,
            pending: STATUS_PENDING.int_gauge(labels)?,
            forbidden: STATUS_FORBIDDEN.int_gauge(labels)?,
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
