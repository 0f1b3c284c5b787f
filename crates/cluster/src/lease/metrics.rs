//! Metrics of the election.

use std::collections::HashMap;

use prometheus::{IntGauge, Opts, Registry};

/// Whether this replica leads, by the name that ingress-nginx has for it.
#[derive(Clone)]
pub struct LeaseMetrics {
    leads: IntGauge,
}

impl LeaseMetrics {
    /// For the election `name` (`--election-id`); `labels` are those that all metrics have. It is 0 until set
    /// otherwise, which is right where there is no election at all.
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

    /// Adds them to those that are shown.
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
