//! Metrics of leader election.

use prometheus::{IntGauge, IntGaugeVec, Registry};

use crate::metrics::{CommonLabels, LEADER};

/// Whether this replica leads, under ingress-nginx's metric name.
#[derive(Clone)]
pub struct LeaseMetrics {
    elections: IntGaugeVec,
    leads: IntGauge,
}

impl LeaseMetrics {
    /// For the election `name` (`--election-id`), with the labels that all metrics carry. It stays 0 where there is no
    /// election.
    pub fn new(name: &str, labels: &CommonLabels) -> Result<Self, prometheus::Error> {
        let elections = LEADER.int_gauges(labels)?;
        Ok(Self {
            leads: elections.with_label_values(&[name]),
            elections,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.elections.clone()))
    }

    /// 1 when this replica leads.
    pub fn leads(&self) -> i64 {
        self.leads.get()
    }

    pub(super) fn lead(&self) {
        self.leads.set(1);
    }

    pub(super) fn follow(&self) {
        self.leads.set(0);
    }
}
