//! Counters and histograms with a single writing thread.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto;

/// A number that one thread changes and others read. A load and a store instead of an atomic read-modify-write keep locked
/// instructions off the request path. Two writers would only lose counts.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    /// Adds `n`.
    pub(super) fn add(&self, n: u64) {
        self.0
            .store(self.value().wrapping_add(n), Ordering::Relaxed);
    }

    /// Subtracts 1.
    pub(super) fn decrement(&self) {
        self.0
            .store(self.value().saturating_sub(1), Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Buckets of a histogram: bounds are integers of a small unit, so that sums are exact.
#[derive(Debug)]
pub(super) struct Scale<const N: usize> {
    /// Upper bounds, inclusive and ascending.
    pub(super) bounds: [u64; N],
    /// Small units per exposed unit.
    pub(super) unit: f64,
}

/// Times in nanoseconds, exposed in seconds (`--time-buckets`).
pub(super) static TIME: Scale<11> = Scale {
    bounds: [
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        10_000_000_000,
    ],
    unit: 1e9,
};

/// Lengths in bytes (`--length-buckets`).
pub(super) static LENGTH: Scale<10> = Scale {
    bounds: [10, 20, 30, 40, 50, 60, 70, 80, 90, 100],
    unit: 1.0,
};

/// Sizes in bytes (`--size-buckets`).
pub(super) static SIZE: Scale<7> = Scale {
    bounds: [10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000],
    unit: 1.0,
};

/// A histogram, written by one thread.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    buckets: [Count; N],
    beyond: Count,
    sum: Count,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Count::default()),
            beyond: Count::default(),
            sum: Count::default(),
        }
    }
}

impl<const N: usize> Histogram<N> {
    /// Counts `value`.
    pub(super) fn observe(&self, scale: &Scale<N>, value: u64) {
        let bucket = scale.bounds.iter().position(|bound| value <= *bound);
        bucket
            .and_then(|at| self.buckets.get(at))
            .unwrap_or(&self.beyond)
            .add(1);
        self.sum.add(value);
    }
}

/// The sum of histograms of several threads.
#[derive(Clone, Debug)]
pub(super) struct Total<const N: usize> {
    buckets: [u64; N],
    beyond: u64,
    sum: u64,
}

impl<const N: usize> Default for Total<N> {
    fn default() -> Self {
        Self {
            buckets: [0; N],
            beyond: 0,
            sum: 0,
        }
    }
}

impl<const N: usize> Total<N> {
    /// Adds the present counts of `histogram`.
    pub(super) fn add(&mut self, histogram: &Histogram<N>) {
        for (total, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *total = total.wrapping_add(bucket.value());
        }
        self.beyond = self.beyond.wrapping_add(histogram.beyond.value());
        self.sum = self.sum.wrapping_add(histogram.sum.value());
    }

    /// Number of values.
    pub(super) fn count(&self) -> u64 {
        self.buckets
            .iter()
            .fold(self.beyond, |sum, n| sum.wrapping_add(*n))
    }

    /// With cumulative buckets, for exposition.
    pub(super) fn exposed(&self, scale: &Scale<N>) -> proto::Histogram {
        let mut below = 0_u64;
        let buckets = self
            .buckets
            .iter()
            .zip(&scale.bounds)
            .map(|(count, bound)| {
                below = below.wrapping_add(*count);
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound as f64 / scale.unit);
                bucket.set_cumulative_count(below);
                bucket
            });
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(self.count());
        histogram.set_sample_sum(self.sum as f64 / scale.unit);
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let histogram = Histogram::default();
        for value in [0, 10, 11, 100, 101] {
            histogram.observe(&LENGTH, value);
        }
        let mut total = Total::default();
        total.add(&histogram);
        let exposed = total.exposed(&LENGTH);
        let counts: Vec<u64> = exposed
            .get_bucket()
            .iter()
            .map(proto::Bucket::cumulative_count)
            .collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!(
            (exposed.get_sample_count(), exposed.get_sample_sum()),
            (5, 222.0)
        );
    }

    #[test]
    fn times_are_exposed_in_seconds() {
        let histogram = Histogram::default();
        histogram.observe(&TIME, 30_000_000);
        let mut total = Total::default();
        total.add(&histogram);
        total.add(&histogram);
        let exposed = total.exposed(&TIME);
        let bounds: Vec<f64> = exposed
            .get_bucket()
            .iter()
            .map(proto::Bucket::upper_bound)
            .collect();
        assert_eq!(
            bounds,
            [
                0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
            ]
        );
        assert_eq!(
            (exposed.get_sample_count(), exposed.get_sample_sum()),
            (2, 0.06)
        );
    }
}
