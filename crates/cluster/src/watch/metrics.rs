//! Metrics of watching.

use headgate_compile::Kind;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Registry};

use crate::metrics::{self, CommonLabels};

/// Handles of the metrics; cheap to clone.
#[derive(Clone)]
pub struct WatchMetrics {
    /// `headgate_api_connected`.
    pub(crate) connected: IntGauge,
    /// `headgate_snapshot_stale`.
    pub(crate) stale: IntGauge,
    /// `headgate_watch_restarts_total`.
    restarts: IntCounterVec,
    /// `headgate_watch_events_total`.
    events: IntCounterVec,
    /// `headgate_watch_denied`.
    denied: IntGaugeVec,
    /// `headgate_objects`.
    objects: IntGaugeVec,
    /// `headgate_cache_writes_total`.
    cache_writes: IntCounterVec,
}

impl WatchMetrics {
    /// New metrics, all zero, with the labels that all metrics carry.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn new(labels: &CommonLabels) -> prometheus::Result<Self> {
        Ok(Self {
            connected: metrics::API_CONNECTED.int_gauge(labels)?,
            stale: metrics::SNAPSHOT_STALE.int_gauge(labels)?,
            restarts: metrics::WATCH_RESTARTS.int_counters(labels)?,
            events: metrics::WATCH_EVENTS.int_counters(labels)?,
            denied: metrics::WATCH_DENIED.int_gauges(labels)?,
            objects: metrics::OBJECTS.int_gauges(labels)?,
            cache_writes: metrics::CACHE_WRITES.int_counters(labels)?,
        })
    }

    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.connected.clone()))?;
        registry.register(Box::new(self.stale.clone()))?;
        registry.register(Box::new(self.restarts.clone()))?;
        registry.register(Box::new(self.events.clone()))?;
        registry.register(Box::new(self.denied.clone()))?;
        registry.register(Box::new(self.objects.clone()))?;
        registry.register(Box::new(self.cache_writes.clone()))
    }

    pub(super) fn restarted(&self, kind: Kind, reason: &str) {
        self.restarts
            .with_label_values(&[kind.as_str(), reason])
            .inc();
    }

    pub(super) fn events(&self, kind: Kind, event: &str, count: usize) {
        let counter = self.events.with_label_values(&[kind.as_str(), event]);
        counter.inc_by(count as u64);
    }

    pub(super) fn denied(&self, kind: Kind, denied: bool) {
        let gauge = self.denied.with_label_values(&[kind.as_str()]);
        gauge.set(i64::from(denied));
    }

    pub(super) fn objects(&self, kind: Kind, count: usize) {
        let gauge = self.objects.with_label_values(&[kind.as_str()]);
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(super) fn cache_written(&self, succeeded: bool) {
        let result = if succeeded { "success" } else { "failure" };
        self.cache_writes.with_label_values(&[result]).inc();
    }
}
