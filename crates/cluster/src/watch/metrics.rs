//! Metrics of watching.

use headgate_compile::Kind;
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

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
    /// New metrics, all zero.
    ///
    /// # Errors
    /// Never: the names are valid.
    pub fn new() -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            IntGaugeVec::new(Opts::new(name, help), labels)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            connected: gauge(
                "headgate_api_connected",
                "1 while the API server responds, 0 while it does not",
            )?,
            stale: gauge(
                "headgate_snapshot_stale",
                "1 while the served objects are from the cache and not yet from the API server",
            )?,
            restarts: counters(
                "headgate_watch_restarts_total",
                "Lists and watches restarted, by kind and reason",
                &["kind", "reason"],
            )?,
            events: counters(
                "headgate_watch_events_total",
                "Watch events, by kind and type",
                &["kind", "type"],
            )?,
            denied: gauges(
                "headgate_watch_denied",
                "1 for kinds that the controller is forbidden to list or watch",
                &["kind"],
            )?,
            objects: gauges(
                "headgate_objects",
                "Objects kept in memory, by kind",
                &["kind"],
            )?,
            cache_writes: counters(
                "headgate_cache_writes_total",
                "Writes of the object cache, by result",
                &["result"],
            )?,
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
