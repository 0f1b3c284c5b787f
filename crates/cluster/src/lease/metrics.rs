//! Metrics of leader election.

use std::collections::HashMap;

use prometheus::{IntGauge, Opts, Registry};

/// Whether this replica leads, under ingress-nginx's metric name.
#[derive(Clone)]
pub struct LeaseMetrics {
    leads: IntGauge,
}

impl LeaseMetrics {
    /// For the election `name` (`--election-id`), with the labels that all metrics carry. It stays 0 where there is no
    /// election.
    pub fn new(name: &str, labels: &HashMap<String, String>) -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "nginx_ingress_controller_leader_election_status",
            "Whether this replica leads (1) or not (0)",
        );
        let opts = opts.const_labels(labels.clone()).const_label("name", name);
        Ok(Self {
            leads: IntGauge::with_opts(opts)?,
        })
    }

    /// Registers them.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.leads.clone()))
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
