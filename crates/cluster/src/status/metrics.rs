//! Metrics of the status writer.

use prometheus::{IntCounterVec, IntGauge, Registry};

use crate::metrics::{
    CommonLabels, GATEWAY_STATUS_FORBIDDEN, GATEWAY_STATUS_PENDING, GATEWAY_STATUS_WRITES,
    STATUS_FORBIDDEN, STATUS_PENDING, STATUS_WRITES,
};

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

    /// Of the statuses of objects of the Gateway API, with the labels that all metrics carry.
    pub fn of_gateways(labels: &CommonLabels) -> Result<Self, prometheus::Error> {
        Ok(Self {
            writes: GATEWAY_STATUS_WRITES.int_counters(labels)?,
            pending: GATEWAY_STATUS_PENDING.int_gauge(labels)?,
            forbidden: GATEWAY_STATUS_FORBIDDEN.int_gauge(labels)?,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.writes.clone()))?;
        registry.register(Box::new(self.pending.clone()))?;
        registry.register(Box::new(self.forbidden.clone()))
    }

    pub(crate) fn written(&self) {
        self.writes.with_label_values(&["written"]).inc();
        self.forbidden.set(0);
    }

    pub(crate) fn failed(&self) {
        self.writes.with_label_values(&["failed"]).inc();
    }

    pub(crate) fn forbidden(&self) {
        self.writes.with_label_values(&["forbidden"]).inc();
        self.forbidden.set(1);
    }

    pub(crate) fn pending(&self, count: usize) {
        self.pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    #[cfg(test)]
    pub(crate) fn is_forbidden(&self) -> bool {
        self.forbidden.get() == 1
    }
}
