//! Metrics of the webhook, under ingress-nginx's names (behaviour.md 7).

use std::collections::HashSet;
use std::time::Duration;

use foldhash::fast::RandomState;
use headgate_compile::Review;
use parking_lot::Mutex;
use prometheus::{CounterVec, Gauge, Registry};

use crate::metrics::{self, CommonLabels};

/// Most Ingresses with their own series; all others share one with empty labels. Any client that reaches the port can
/// invent names, which must not fill the memory.
const MAX_NAMES: usize = 10_000;
/// Most bytes of a name in Kubernetes.
const MAX_NAME: usize = 253;

/// The metrics of the admission webhook.
#[derive(Debug)]
pub struct WebhookMetrics {
    allowed: CounterVec,
    denied: CounterVec,
    names: Mutex<HashSet<(String, String), RandomState>>,
    tested: Gauge,
    tested_seconds: Gauge,
    rendered: Gauge,
    rendered_seconds: Gauge,
    size: Gauge,
    roundtrip_seconds: Gauge,
}

/// One review, for the metrics.
#[derive(Debug)]
pub(super) struct Reviewed<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) review: &'a Review,
    /// Time of the validator.
    pub(super) validation: Duration,
    /// Time since the head of the request.
    pub(super) roundtrip: Duration,
    /// Bytes of the request.
    pub(super) size: usize,
}

impl WebhookMetrics {
    /// Metrics with the labels that all metrics of the process carry (`controller_namespace` and so on).
    ///
    /// # Errors
    /// When a label is invalid.
    pub fn new(common: &CommonLabels) -> Result<Self, prometheus::Error> {
        Ok(Self {
            allowed: metrics::REVIEWS_ALLOWED.counters(common)?,
            denied: metrics::REVIEWS_DENIED.counters(common)?,
            names: Mutex::default(),
            tested: metrics::TESTED.gauge(common)?,
            tested_seconds: metrics::TESTED_DURATION.gauge(common)?,
            rendered: metrics::RENDERED.gauge(common)?,
            rendered_seconds: metrics::RENDERED_DURATION.gauge(common)?,
            size: metrics::REVIEW_SIZE.gauge(common)?,
            roundtrip_seconds: metrics::ROUNDTRIP.gauge(common)?,
        })
    }

    /// Adds them to `registry`.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        for counter in [&self.allowed, &self.denied] {
            registry.register(Box::new(counter.clone()))?;
        }
        for gauge in [
            &self.tested,
            &self.tested_seconds,
            &self.rendered,
            &self.rendered_seconds,
            &self.size,
            &self.roundtrip_seconds,
        ] {
            registry.register(Box::new(gauge.clone()))?;
        }
        Ok(())
    }

    /// Removes the series of an Ingress that is gone.
    pub fn forget(&self, namespace: &str, ingress: &str) {
        let known = (namespace.to_owned(), ingress.to_owned());
        if self.names.lock().remove(&known) {
            for counter in [&self.allowed, &self.denied] {
                // An Ingress has only the series of its own results.
                let _ = counter.remove_label_values(&[namespace, ingress]);
            }
        }
    }

    /// Records a review. Allowed Ingresses of other classes are not counted.
    pub(super) fn reviewed(&self, reviewed: &Reviewed<'_>) {
        let Reviewed { review, .. } = reviewed;
        self.roundtrip_seconds.set(reviewed.roundtrip.as_secs_f64());
        self.size.set(reviewed.size as f64);
        if !review.selected && review.denied.is_none() {
            return;
        }
        let seconds = reviewed.validation.as_secs_f64();
        self.tested.set(review.tested as f64);
        self.tested_seconds.set(seconds);
        self.rendered.set(review.tested as f64);
        self.rendered_seconds.set(seconds);
        let counter = match review.denied {
            None => &self.allowed,
            Some(_) => &self.denied,
        };
        let labels = match self.has_series(reviewed.namespace, reviewed.name) {
            true => [reviewed.namespace, reviewed.name],
            false => [""; 2],
        };
        counter.with_label_values(&labels).inc();
    }

    fn has_series(&self, namespace: &str, name: &str) -> bool {
        if namespace.len() > MAX_NAME || name.len() > MAX_NAME {
            return false;
        }
        let known = (namespace.to_owned(), name.to_owned());
        let mut names = self.names.lock();
        if names.len() < MAX_NAMES {
            names.insert(known);
            return true;
        }
        names.contains(&known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(registry: &Registry, name: &str) -> Vec<(String, f64)> {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map(|family| family.get_metric()).unwrap_or_default();
        let series = metrics.iter().map(|metric| {
            let labels = metric.get_label().iter().map(|label| label.value());
            let labels: Vec<_> = labels.collect();
            (labels.join(" "), metric.get_counter().get_value())
        });
        series.collect()
    }

    #[test]
    fn names_are_bounded_and_forgotten() {
        let registry = Registry::new();
        let common = CommonLabels::from([("controller_class".to_owned(), "c".to_owned())]);
        let metrics = WebhookMetrics::new(&common).expect("valid names");
        metrics.register(&registry).expect("unused names");
        let of_own_class = Review {
            selected: true,
            ..Review::default()
        };
        let of_other_class = Review::default();
        let count = |name: &str, review: &Review| {
            metrics.reviewed(&Reviewed {
                namespace: "ns",
                name,
                review,
                validation: Duration::ZERO,
                roundtrip: Duration::ZERO,
                size: 1,
            });
        };
        count("other-class", &of_other_class);
        for n in 0..MAX_NAMES + 5 {
            count(&format!("i{n}"), &of_own_class);
        }
        count(&"x".repeat(300), &of_own_class);
        let name = "nginx_ingress_controller_check_success";
        let found = series(&registry, name);
        assert_eq!(found.len(), MAX_NAMES + 1);
        assert!(found.contains(&("c  ".into(), 6.0)));
        assert!(found.contains(&("c i7 ns".into(), 1.0)));
        metrics.forget("ns", "i7");
        metrics.forget("ns", "never seen");
        count("new", &of_own_class);
        let found = series(&registry, name);
        assert_eq!(found.len(), MAX_NAMES + 1);
        assert!(found.contains(&("c new ns".into(), 1.0)));
    }
}
