//! Metrics of the webhook, under the names of ingress-nginx (behaviour.md 7).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use foldhash::fast::RandomState;
use headgate_compile::Review;
use parking_lot::Mutex;
use prometheus::{CounterVec, Gauge, Opts, Registry};

/// Ingresses that have series of their own; all others share one with empty labels. Whoever reaches the port can make names
/// up, and they must not fill the memory.
const MAX_NAMES: usize = 10_000;
/// Bytes of a name of the API.
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
    /// Until the verdict was there.
    pub(super) judged: Duration,
    /// Since the head of the request.
    pub(super) roundtrip: Duration,
    /// Bytes of the request.
    pub(super) size: usize,
}

impl WebhookMetrics {
    /// Metrics with the labels that all metrics of the process carry (`controller_namespace` and so on).
    ///
    /// # Errors
    /// When a label is none.
    pub fn new(common: &HashMap<String, String>) -> Result<Self, prometheus::Error> {
        let named = |name: &str, help: &str| {
            Opts::new(name, help)
                .namespace("nginx_ingress_controller")
                .const_labels(common.clone())
        };
        let counter = |name, help| CounterVec::new(named(name, help), &["namespace", "ingress"]);
        let gauge = |name, help| Gauge::with_opts(named(name, help));
        Ok(Self {
            allowed: counter("check_success", "Reviews that let an Ingress pass")?,
            denied: counter("check_errors", "Reviews that denied an Ingress")?,
            names: Mutex::default(),
            tested: gauge(
                "admission_tested_ingresses",
                "Ingresses that the last review looked at",
            )?,
            tested_seconds: gauge(
                "admission_tested_duration",
                "Seconds until the verdict of the last review",
            )?,
            rendered: gauge(
                "admission_render_ingresses",
                "Ingresses that the last review looked at; nothing is rendered",
            )?,
            rendered_seconds: gauge(
                "admission_render_duration",
                "Seconds until the verdict of the last review; nothing is rendered",
            )?,
            size: gauge(
                "admission_config_size",
                "Bytes of the last review's request",
            )?,
            roundtrip_seconds: gauge(
                "admission_roundtrip_duration",
                "Seconds from the head of the last review's request to its answer",
            )?,
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
                // An Ingress has series only for what happened to it.
                let _ = counter.remove_label_values(&[namespace, ingress]);
            }
        }
    }

    /// Takes one review in. Ingresses of other classes that pass are not counted.
    pub(super) fn reviewed(&self, reviewed: &Reviewed<'_>) {
        let Reviewed { review, .. } = reviewed;
        self.roundtrip_seconds.set(reviewed.roundtrip.as_secs_f64());
        self.size.set(reviewed.size as f64);
        if !review.ours && review.denied.is_none() {
            return;
        }
        let judged = reviewed.judged.as_secs_f64();
        self.tested.set(review.tested as f64);
        self.tested_seconds.set(judged);
        self.rendered.set(review.tested as f64);
        self.rendered_seconds.set(judged);
        let counter = match review.denied {
            None => &self.allowed,
            Some(_) => &self.denied,
        };
        let labels = match self.has_room(reviewed.namespace, reviewed.name) {
            true => [reviewed.namespace, reviewed.name],
            false => [""; 2],
        };
        counter.with_label_values(&labels).inc();
    }

    fn has_room(&self, namespace: &str, name: &str) -> bool {
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
        let common = HashMap::from([("controller_class".to_owned(), "c".to_owned())]);
        let metrics = WebhookMetrics::new(&common).expect("the names are good");
        metrics.register(&registry).expect("the names are free");
        let ours = Review {
            ours: true,
            ..Review::default()
        };
        let foreign = Review::default();
        let count = |name: &str, review: &Review| {
            metrics.reviewed(&Reviewed {
                namespace: "ns",
                name,
                review,
                judged: Duration::ZERO,
                roundtrip: Duration::ZERO,
                size: 1,
            });
        };
        count("foreign", &foreign);
        for n in 0..MAX_NAMES + 5 {
            count(&format!("i{n}"), &ours);
        }
        count(&"x".repeat(300), &ours);
        let name = "nginx_ingress_controller_check_success";
        let found = series(&registry, name);
        assert_eq!(found.len(), MAX_NAMES + 1);
        assert!(found.contains(&("c  ".into(), 6.0)));
        assert!(found.contains(&("c i7 ns".into(), 1.0)));
        metrics.forget("ns", "i7");
        metrics.forget("ns", "never seen");
        count("new", &ours);
        let found = series(&registry, name);
        assert_eq!(found.len(), MAX_NAMES + 1);
        assert!(found.contains(&("c new ns".into(), 1.0)));
    }
}
