//! Builds metric families for exposition.

use prometheus::proto::{Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::names::Name;
use crate::config::MetricLabels;

/// Metric families while they are gathered.
pub(super) struct Families {
    common: Vec<LabelPair>,
    families: Vec<MetricFamily>,
}

/// Labels of one sample.
pub(super) type Labels<'l> = &'l [(&'static str, &'l str)];

impl Families {
    /// No families; `labels` are common to all samples.
    pub(super) fn new(labels: &MetricLabels) -> Self {
        let common = pairs(&[
            ("controller_class", &labels.class),
            ("controller_namespace", &labels.namespace),
            ("controller_pod", &labels.pod),
        ]);
        Self {
            common,
            families: Vec::new(),
        }
    }

    /// Adds a counter or gauge with one value.
    pub(super) fn single(&mut self, name: &Name, value: f64) {
        let metric = sample(name, self.labels(&[]), value);
        self.add(name, vec![metric]);
    }

    /// Adds a counter or gauge with one value and without the common labels.
    pub(super) fn bare(&mut self, name: &Name, value: f64) {
        self.add(name, vec![sample(name, Vec::new(), value)]);
    }

    /// Adds a counter or gauge with a value for each value of `label`.
    pub(super) fn by<'l>(
        &mut self,
        name: &Name,
        label: &'static str,
        values: impl IntoIterator<Item = (&'l str, f64)>,
    ) {
        let samples = values
            .into_iter()
            .map(|(text, value)| sample(name, self.labels(&[(label, text)]), value));
        let samples = samples.collect();
        self.add(name, samples);
    }

    /// Adds samples of [`sample`] or [`histogram`].
    pub(super) fn add(&mut self, name: &Name, metrics: Vec<Metric>) {
        let mut family = MetricFamily::default();
        family.set_name(name.name.to_owned());
        family.set_help(name.help.to_owned());
        family.set_field_type(name.kind);
        family.set_metric(metrics);
        self.families.push(family);
    }

    /// The common labels and `labels`, by name.
    pub(super) fn labels(&self, labels: Labels<'_>) -> Vec<LabelPair> {
        let mut all = self.common.clone();
        all.extend(pairs(labels));
        all.sort_by(|a, b| a.name().cmp(b.name()));
        all
    }

    pub(super) fn finish(self) -> Vec<MetricFamily> {
        self.families
    }
}

pub(super) fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pair = |(name, value): &(&'static str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// A value of a counter or gauge.
pub(super) fn sample(name: &Name, labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut metric = Metric::from_label(labels);
    if name.kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}

/// A histogram.
pub(super) fn histogram(labels: Vec<LabelPair>, values: Histogram) -> Metric {
    let mut metric = Metric::from_label(labels);
    metric.set_histogram(values);
    metric
}
