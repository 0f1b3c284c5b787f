//! Metrics of Events.

use std::collections::HashMap;

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// How many Events were written and how many were not.
#[derive(Clone)]
pub struct EventMetrics {
    written: IntCounter,
    dropped: IntCounterVec,
}

impl EventMetrics {
    /// With the labels that all metrics carry.
    pub fn new(labels: &HashMap<String, String>) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).const_labels(labels.clone());
        let written = opts("headgate_events_total", "Events written to the API server");
        let dropped = opts(
            "headgate_events_dropped_total",
            "Events not written: too many (queue), too often (limit), or refused by the API server",
        );
        Ok(Self {
            written: IntCounter::with_opts(written)?,
            dropped: IntCounterVec::new(dropped, &["reason"])?,
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
