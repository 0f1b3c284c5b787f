//! The table of this crate's metrics: exposition and documentation share it. Those of the admission webhook and of leader
//! election have the names of ingress-nginx (behaviour.md 7).

use std::collections::HashMap;

use prometheus::proto::MetricType;
use prometheus::{
    CounterVec, Error, Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Result,
};

/// Labels that every metric carries, with their values.
pub type CommonLabels = HashMap<String, String>;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// Its meaning in one line.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: MetricType,
    /// Its labels, besides [`CommonLabels`].
    pub labels: &'static [&'static str],
}

/// Declares the metrics, and `METRICS` with every one of them.
macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal $labels:expr, $help:literal;)*) => {
        $(pub(crate) const $constant: Metric = Metric {
            name: $name,
            help: $help,
            kind: MetricType::$kind,
            labels: $labels,
        };)*

        /// Every metric of this crate.
        pub static METRICS: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    LEADER GAUGE "nginx_ingress_controller_leader_election_status" &["name"],
        "Whether this replica leads (1) or not (0)";
    REVIEWS_ALLOWED COUNTER "nginx_ingress_controller_check_success" &["namespace", "ingress"],
        "Reviews that allowed an Ingress";
    REVIEWS_DENIED COUNTER "nginx_ingress_controller_check_errors" &["namespace", "ingress"],
        "Reviews that denied an Ingress";
    TESTED GAUGE "nginx_ingress_controller_admission_tested_ingresses" &[],
        "Ingresses checked by the last review";
    TESTED_DURATION GAUGE "nginx_ingress_controller_admission_tested_duration" &[],
        "Seconds that the last review took";
    RENDERED GAUGE "nginx_ingress_controller_admission_render_ingresses" &[],
        "Ingresses checked by the last review; nothing is rendered";
    RENDERED_DURATION GAUGE "nginx_ingress_controller_admission_render_duration" &[],
        "Seconds that the last review took; nothing is rendered";
    REVIEW_SIZE GAUGE "nginx_ingress_controller_admission_config_size" &[],
        "Bytes of the last review's request";
    ROUNDTRIP GAUGE "nginx_ingress_controller_admission_roundtrip_duration" &[],
        "Seconds from the request head of the last review to its response";
    WEBHOOK_CERTIFICATE GAUGE "headgate_webhook_certificate_expire_time_seconds" &[],
        "End of validity of the admission webhook's certificate, seconds since the epoch; 0 without one";
    API_CONNECTED GAUGE "headgate_api_connected" &[],
        "1 while the API server responds, 0 while it does not";
    SNAPSHOT_STALE GAUGE "headgate_snapshot_stale" &[],
        "1 while the served objects are from the cache and not yet from the API server";
    WATCH_RESTARTS COUNTER "headgate_watch_restarts_total" &["kind", "reason"],
        "Lists and watches restarted, by kind and reason";
    WATCH_EVENTS COUNTER "headgate_watch_events_total" &["kind", "type"],
        "Watch events, by kind and type";
    WATCH_DENIED GAUGE "headgate_watch_denied" &["kind"],
        "1 for kinds that the controller is forbidden to list or watch";
    OBJECTS GAUGE "headgate_objects" &["kind"],
        "Objects kept in memory, by kind";
    CACHE_WRITES COUNTER "headgate_cache_writes_total" &["result"],
        "Writes of the object cache, by result";
    STATUS_WRITES COUNTER "headgate_status_writes_total" &["result"],
        "Statuses of Ingresses written, by result";
    STATUS_PENDING GAUGE "headgate_status_writes_pending" &[],
        "Status writes that are pending";
    STATUS_FORBIDDEN GAUGE "headgate_status_forbidden" &[],
        "Whether the API server forbids to write statuses (1) or not (0)";
    GATEWAY_STATUS_WRITES COUNTER "headgate_gateway_status_writes_total" &["result"],
        "Statuses of objects of the Gateway API written, by result";
    GATEWAY_STATUS_PENDING GAUGE "headgate_gateway_status_writes_pending" &[],
        "Objects of the Gateway API whose statuses are to be compared and written";
    GATEWAY_STATUS_FORBIDDEN GAUGE "headgate_gateway_status_forbidden" &[],
        "Whether the API server forbids to write statuses of the Gateway API (1) or not (0)";
    EVENTS COUNTER "headgate_events_total" &[],
        "Events written to the API server";
    EVENTS_DROPPED COUNTER "headgate_events_dropped_total" &["reason"],
        "Events not written: too many (queue), too often (limit), or refused by the API server";
}

/// Each fails only if the table is wrong: a name, a label, or the kind.
impl Metric {
    pub(crate) fn int_counter(&self, common: &CommonLabels) -> Result<IntCounter> {
        IntCounter::with_opts(self.opts(MetricType::COUNTER, common)?)
    }

    pub(crate) fn int_counters(&self, common: &CommonLabels) -> Result<IntCounterVec> {
        IntCounterVec::new(self.opts(MetricType::COUNTER, common)?, self.labels)
    }

    pub(crate) fn counters(&self, common: &CommonLabels) -> Result<CounterVec> {
        CounterVec::new(self.opts(MetricType::COUNTER, common)?, self.labels)
    }

    pub(crate) fn int_gauge(&self, common: &CommonLabels) -> Result<IntGauge> {
        IntGauge::with_opts(self.opts(MetricType::GAUGE, common)?)
    }

    pub(crate) fn int_gauges(&self, common: &CommonLabels) -> Result<IntGaugeVec> {
        IntGaugeVec::new(self.opts(MetricType::GAUGE, common)?, self.labels)
    }

    pub(crate) fn gauge(&self, common: &CommonLabels) -> Result<Gauge> {
        Gauge::with_opts(self.opts(MetricType::GAUGE, common)?)
    }

    fn opts(&self, kind: MetricType, common: &CommonLabels) -> Result<Opts> {
        if self.kind != kind {
            return Err(Error::Msg(format!("{} is no {kind:?}", self.name)));
        }
        Ok(Opts::new(self.name, self.help).const_labels(common.clone()))
    }
}
