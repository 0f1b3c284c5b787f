//! Metrics of Events.

use prometheus::{IntCounter, IntCounterVec, Registry};

use crate::metrics::{CommonLabels, EVENTS, EVENTS_DROPPED};

/// How many Events were written and how many were not.
#[derive(Clone)]
pub struct EventMetrics {
    written: IntCounter,
    dropped: IntCounterVec,
}

impl EventMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &CommonLabels) -> Result<Self, prometheus::Error> {
        Ok(Self {
            written: EVENTS.int_counter(labels)?,
            dropped: EVENTS_DROPPED.int_counters(labels)?,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.written.clone()))?;
        registry.register(Box::new(self.dropped.clone()))
    }

    pub(super) fn written(&self) {
        self.written.inc();
    }

    pub(super) fn dropped(&self, reason: &str) {
        self.dropped.with_label_values(&[reason]).inc();
    }

    #[cfg(test)]
    pub(super) fn counts(&self) -> (u64, u64) {
        let dropped = ["queue", "limit", "refused"];
        let dropped = dropped.map(|reason| self.dropped.with_label_values(&[reason]).get());
        (self.written.get(), dropped.iter().sum())
    }
}
