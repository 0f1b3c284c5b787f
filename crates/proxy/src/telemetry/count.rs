//! Counters and histograms with a single writing thread.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto;

use crate::config::Buckets;

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
pub(super) struct Scale {
    /// Upper bounds, inclusive and ascending.
    bounds: Box<[u64]>,
    /// The same as they are exposed.
    exposed: Box<[f64]>,
    /// Small units per exposed unit.
    unit: f64,
}

impl Scale {
    /// Of times in nanoseconds, exposed in seconds.
    pub(super) fn seconds(bounds: &[f64]) -> Self {
        Self::new(bounds, 1e9, f64::round)
    }

    /// Of bytes: as values are whole numbers, so may be the bounds.
    pub(super) fn bytes(bounds: &[f64]) -> Self {
        Self::new(bounds, 1.0, f64::floor)
    }

    /// The bounds in the exposed unit.
    pub(super) fn exposed(&self) -> &[f64] {
        &self.exposed
    }

    fn new(bounds: &[f64], unit: f64, whole: fn(f64) -> f64) -> Self {
        Self {
            // Out of range, `as` takes the nearest number.
            bounds: bounds
                .iter()
                .map(|bound| whole(bound * unit) as u64)
                .collect(),
            exposed: bounds.into(),
            unit,
        }
    }
}

/// The buckets of request metrics.
#[derive(Debug)]
pub(super) struct Scales {
    /// `--time-buckets`
    pub(super) time: Scale,
    /// `--length-buckets`
    pub(super) length: Scale,
    /// `--size-buckets`
    pub(super) size: Scale,
}

impl Scales {
    pub(super) fn new(buckets: &Buckets) -> Self {
        Self {
            time: Scale::seconds(&buckets.time),
            length: Scale::bytes(&buckets.length),
            size: Scale::bytes(&buckets.size),
        }
    }
}

/// A histogram, written by one thread.
#[derive(Debug)]
pub(super) struct Histogram {
    /// One for each bound of the scale, and one for larger values.
    counts: Box<[Count]>,
    sum: Count,
}

impl Histogram {
    /// An empty one. Values are of the same scale, always.
    pub(super) fn new(scale: &Scale) -> Self {
        Self {
            counts: (0..=scale.bounds.len()).map(|_| Count::default()).collect(),
            sum: Count::default(),
        }
    }

    /// Adds the present counts to `totals`, which grows to their number. Returns their sum.
    pub(super) fn add_to(&self, totals: &mut Vec<u64>) -> u64 {
        totals.resize(self.counts.len().max(totals.len()), 0);
        let mut sum = 0_u64;
        for (total, count) in totals.iter_mut().zip(&self.counts) {
            let count = count.value();
            *total = total.wrapping_add(count);
            sum = sum.wrapping_add(count);
        }
        sum
    }

    /// Counts `value`.
    pub(super) fn observe(&self, scale: &Scale, value: u64) {
        let bucket = scale.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(bucket) {
            count.add(1);
        }
        self.sum.add(value);
    }
}

/// The sum of histograms of several threads.
#[derive(Clone, Debug, Default)]
pub(super) struct Total {
    /// As in [`Histogram`]; empty before the first.
    counts: Vec<u64>,
    sum: u64,
}

impl Total {
    /// Adds the present counts of `histogram`.
    pub(super) fn add(&mut self, histogram: &Histogram) {
        self.counts.resize(histogram.counts.len(), 0);
        for (total, count) in self.counts.iter_mut().zip(&histogram.counts) {
            *total = total.wrapping_add(count.value());
        }
        self.sum = self.sum.wrapping_add(histogram.sum.value());
    }

    /// Number of values.
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// With cumulative buckets, for exposition.
    pub(super) fn exposed(&self, scale: &Scale) -> proto::Histogram {
        let mut below = 0_u64;
        let buckets = self
            .counts
            .iter()
            .zip(&scale.exposed)
            .map(|(count, bound)| {
                below = below.wrapping_add(*count);
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
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

    fn counted(scale: &Scale, values: &[u64]) -> proto::Histogram {
        let histogram = Histogram::new(scale);
        values
            .iter()
            .for_each(|value| histogram.observe(scale, *value));
        let mut total = Total::default();
        total.add(&histogram);
        total.exposed(scale)
    }

    fn buckets(histogram: &proto::Histogram) -> Vec<(f64, u64)> {
        let buckets = histogram.get_bucket().iter();
        buckets
            .map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()))
            .collect()
    }

    #[test]
    fn bounds_are_inclusive() {
        let scale = Scales::new(&Buckets::default()).length;
        let exposed = counted(&scale, &[0, 10, 11, 100, 101]);
        let counts: Vec<u64> = buckets(&exposed).into_iter().map(|(_, n)| n).collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!(
            (exposed.get_sample_count(), exposed.get_sample_sum()),
            (5, 222.0)
        );
    }

    #[test]
    fn times_are_exposed_in_seconds() {
        let scale = Scale::seconds(&[0.0, 0.03, 1.1, 1e30]);
        let exposed = counted(&scale, &[30_000_000, 30_000_001, 1_100_000_000, u64::MAX]);
        assert_eq!(
            buckets(&exposed),
            [(0.0, 0), (0.03, 1), (1.1, 3), (1e30, 4)]
        );
        let exposed = counted(&Scale::seconds(&[]), &[60_000_000]);
        assert_eq!(
            (exposed.get_sample_count(), exposed.get_sample_sum()),
            (1, 0.06)
        );
    }

    #[test]
    fn bounds_of_bytes_may_have_fractions() {
        let exposed = counted(&Scale::bytes(&[0.5, 1.5]), &[0, 1, 2]);
        assert_eq!(buckets(&exposed), [(0.5, 1), (1.5, 2)]);
    }

    #[test]
    fn threads_are_added_up() {
        let scale = Scale::bytes(&[1.0]);
        let (first, second) = (Histogram::new(&scale), Histogram::new(&scale));
        first.observe(&scale, 1);
        second.observe(&scale, 5);
        let mut total = Total::default();
        total.add(&first);
        total.add(&second);
        let exposed = total.exposed(&scale);
        assert_eq!((total.count(), exposed.get_sample_sum()), (2, 6.0));
        assert_eq!(buckets(&exposed), [(1.0, 1)]);
    }
}
