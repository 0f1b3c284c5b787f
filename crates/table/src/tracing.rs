//! Traces of requests: which are sampled, and where they go (behaviour.md 1.15).

use std::sync::Arc;
use std::time::Duration;

use crate::Template;

/// Tracing of the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracing {
    /// Continue the trace that the client names; otherwise each request begins one.
    pub trusts_client: bool,
    /// Name of the span; `None`: the method and the path of the route.
    pub name: Option<Template>,
}

/// How traces are sampled and exported, for all routes that are traced.
#[derive(Clone, Debug, PartialEq)]
pub struct TracingSettings {
    /// The collector; `None`, the default: as the environment of the process says, else one on this machine.
    pub collector: Option<Collector>,
    /// Name of the service; `None`: as the environment of the process says, else `nginx`.
    pub service: Option<Arc<str>>,
    /// Which requests are sampled; default all, unless the client's trace is not.
    pub sampler: Sampler,
    /// Most spans that wait for their export; default 2048. Beyond, spans are dropped.
    pub queue: usize,
    /// Longest wait of a span for its export; default 5 s.
    pub delay: Duration,
    /// Most spans in one export; default 512.
    pub batch: usize,
}

/// A collector of traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// Use TLS.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: Arc<str>,
    /// `None`: that of the protocol, 4317 for gRPC and 4318 for HTTP.
    pub port: Option<u16>,
}

/// Which requests are sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// For requests that begin a trace.
    pub root: RootSampler,
    /// A request that continues a trace is sampled if that is; default true.
    pub parent_based: bool,
}

/// Which traces are sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RootSampler {
    /// All.
    #[default]
    AlwaysOn,
    /// None.
    AlwaysOff,
    /// This share, 0 to 1, chosen by the trace's id: every process that has the same ratio chooses the same.
    Ratio(f64),
}

impl Default for TracingSettings {
    fn default() -> Self {
        Self {
            collector: None,
            service: None,
            sampler: Sampler::default(),
            queue: 2048,
            delay: Duration::from_millis(5000),
            batch: 512,
        }
    }
}

impl Default for Sampler {
    fn default() -> Self {
        Self {
            root: RootSampler::AlwaysOn,
            parent_based: true,
        }
    }
}

impl Sampler {
    /// Whether a request of `trace` is sampled. `parent`: whether the span that it continues is, if it continues one.
    pub fn samples(&self, trace: u128, parent: Option<bool>) -> bool {
        match parent.filter(|_| self.parent_based) {
            Some(sampled) => sampled,
            None => self.root.samples(trace),
        }
    }
}

impl RootSampler {
    fn samples(self, trace: u128) -> bool {
        match self {
            Self::AlwaysOn => true,
            Self::AlwaysOff => false,
            Self::Ratio(ratio) if ratio >= 1.0 => true,
            Self::Ratio(ratio) => {
                // As other implementations do: the lower half of the id, without its last bit.
                const RANGE: f64 = (1_u64 << 63) as f64;
                ((trace as u64) >> 1) < (ratio.max(0.0) * RANGE) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(ratio: f64) -> Sampler {
        Sampler {
            root: RootSampler::Ratio(ratio),
            parent_based: true,
        }
    }

    #[test]
    fn the_parent_decides_unless_the_sampler_says_otherwise() {
        let own = |root| Sampler {
            root,
            parent_based: false,
        };
        for (sampler, parent, sampled) in [
            (Sampler::default(), None, true),
            (Sampler::default(), Some(false), false),
            (ratio(0.0), None, false),
            (ratio(0.0), Some(true), true),
            (own(RootSampler::AlwaysOff), Some(true), false),
            (own(RootSampler::AlwaysOn), Some(false), true),
        ] {
            assert_eq!(
                sampler.samples(u128::MAX, parent),
                sampled,
                "{sampler:?} {parent:?}"
            );
        }
    }

    #[test]
    fn a_ratio_is_a_share_of_the_ids() {
        for share in [0.0, 0.01, 0.5, 1.0] {
            let step = u64::MAX / 10_000;
            let sampled = (0..10_000_u64)
                .filter(|n| ratio(share).samples(u128::from(n * step) | 7 << 64, None))
                .count();
            assert!(
                sampled.abs_diff((share * 10_000.0) as usize) <= 1,
                "{share}: {sampled}"
            );
        }
    }

    #[test]
    fn the_lower_half_of_an_id_decides() {
        let half = ratio(0.5);
        assert!(half.samples(u128::MAX << 64, None));
        assert!(half.samples(0x7fff_ffff_ffff_ffff, None));
        assert!(!half.samples(0x8000_0000_0000_0000, None));
    }
}
