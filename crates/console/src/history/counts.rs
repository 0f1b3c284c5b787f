//! Numbers of requests.

use super::Sample;
use crate::model::{Point, Traffic};

/// Buckets of durations that are kept: those of the default `--time-buckets`. More are put together.
pub(super) const BUCKETS: usize = 12;

/// Requests of some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub(super) client_errors: u32,
    pub(super) server_errors: u32,
    /// By duration.
    pub(super) times: [u32; BUCKETS],
}

impl Counts {
    /// Number of requests.
    pub fn requests(&self) -> u64 {
        self.times.iter().map(|count| u64::from(*count)).sum()
    }

    /// Number of responses with a status from 400.
    pub fn errors(&self) -> u64 {
        u64::from(self.client_errors) + u64::from(self.server_errors)
    }

    pub(super) fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Adds `other`, up to the largest number.
    pub fn add(&mut self, other: &Self) {
        self.client_errors = self.client_errors.saturating_add(other.client_errors);
        self.server_errors = self.server_errors.saturating_add(other.server_errors);
        for (sum, count) in self.times.iter_mut().zip(other.times) {
            *sum = sum.saturating_add(count);
        }
    }

    /// How much counters have grown since `former`. They wrap.
    pub(super) fn since(&self, former: &Self) -> Self {
        let mut grown = *self;
        grown.client_errors = self.client_errors.wrapping_sub(former.client_errors);
        grown.server_errors = self.server_errors.wrapping_sub(former.server_errors);
        for (count, former) in grown.times.iter_mut().zip(former.times) {
            *count = count.wrapping_sub(former);
        }
        grown
    }
}

/// Upper bounds of durations.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Of samples.
    samples: usize,
    /// Of what is kept, in seconds; the last bucket has none.
    kept: [Option<f64>; BUCKETS],
}

impl Bounds {
    /// With these bounds of samples, ascending, in seconds.
    pub fn new(bounds: &[f64]) -> Self {
        let samples = bounds.len() + 1;
        let mut kept = [None; BUCKETS];
        for (index, bound) in bounds.iter().enumerate() {
            // The last of the buckets that are put together has the bound of all.
            if let Some(kept) = kept.get_mut(place(index, samples)) {
                *kept = Some(*bound);
            }
        }
        if let Some(last) = kept.get_mut(place(samples - 1, samples)) {
            *last = None;
        }
        Self { samples, kept }
    }

    /// The counters of a sample. Only their growth is of interest, so the lower half of each is enough.
    pub(super) fn counts(&self, sample: &Sample<'_>) -> Counts {
        let mut counts = Counts {
            client_errors: sample.client_errors as u32,
            server_errors: sample.server_errors as u32,
            times: [0; BUCKETS],
        };
        for (index, count) in sample.times.iter().enumerate() {
            if let Some(sum) = counts.times.get_mut(place(index, self.samples)) {
                *sum = sum.wrapping_add(*count as u32);
            }
        }
        counts
    }

    /// The times that these parts of what `times` counts did not exceed, in seconds.
    pub fn quantiles<const N: usize>(&self, times: &[u64], parts: [f64; N]) -> [Option<f64>; N] {
        let counts = self.counts(&Sample {
            route: 0,
            host: None,
            canary: None,
            client_errors: 0,
            server_errors: 0,
            times,
        });
        parts.map(|part| self.quantile(&counts, part))
    }

    pub(super) fn traffic(&self, counts: &Counts, seconds: u64) -> Traffic {
        let requests = counts.requests();
        let share = |count: u32| (requests > 0).then(|| f64::from(count) / requests as f64);
        Traffic {
            window_seconds: seconds,
            requests,
            requests_per_second: rate(requests, seconds),
            client_errors_per_second: rate(counts.client_errors.into(), seconds),
            server_errors_per_second: rate(counts.server_errors.into(), seconds),
            client_error_share: share(counts.client_errors),
            server_error_share: share(counts.server_errors),
            p50_seconds: self.quantile(counts, 0.5),
            p99_seconds: self.quantile(counts, 0.99),
        }
    }

    pub(super) fn point(&self, counts: Option<&Counts>, seconds: u64) -> Point {
        let Some(counts) = counts else {
            return Point::default();
        };
        let traffic = self.traffic(counts, seconds);
        Point {
            requests_per_second: Some(traffic.requests_per_second),
            client_errors_per_second: Some(traffic.client_errors_per_second),
            server_errors_per_second: Some(traffic.server_errors_per_second),
            p50_seconds: traffic.p50_seconds,
            p99_seconds: traffic.p99_seconds,
        }
    }

    /// The duration that this part of the requests did not exceed, between the bounds of its bucket as Prometheus has it; beyond
    /// the last bound, that bound.
    fn quantile(&self, counts: &Counts, part: f64) -> Option<f64> {
        let requests = counts.requests();
        if requests == 0 {
            return None;
        }
        let rank = part * requests as f64;
        let (mut below, mut lower) = (0.0, 0.0);
        for (count, bound) in counts.times.iter().zip(self.kept) {
            let count = f64::from(*count);
            let Some(upper) = bound else { break };
            if count > 0.0 && below + count >= rank {
                return Some(lower + (upper - lower) * ((rank - below) / count).clamp(0.0, 1.0));
            }
            below += count;
            lower = upper;
        }
        Some(lower)
    }
}

/// The bucket that keeps the bucket `index` of `samples`.
fn place(index: usize, samples: usize) -> usize {
    if samples <= BUCKETS {
        index
    } else {
        index * BUCKETS / samples
    }
}

fn rate(count: u64, seconds: u64) -> f64 {
    match seconds {
        0 => 0.0,
        seconds => count as f64 / seconds as f64,
    }
}
