//! When another endpoint is tried.

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table as table;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{NextUpstream, Reader, keys, types};
use crate::ingress::settings::{self, UpstreamDefaults};

keys! { Annotation {
    PROXY_NEXT_UPSTREAM: NextUpstream =
        annotation("proxy-next-upstream", types::NEXT_UPSTREAM, "On what another endpoint is tried.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM).risk(Risk::Medium);
    PROXY_NEXT_UPSTREAM_TIMEOUT: i64 =
        annotation("proxy-next-upstream-timeout", types::INT, "Seconds for all tries; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TIMEOUT);
    PROXY_NEXT_UPSTREAM_TRIES: i64 =
        annotation("proxy-next-upstream-tries", types::INT, "Tries in all; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TRIES);
} }

/// When another endpoint is tried. Everything not set has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Retry {
    pub(crate) next: Option<NextUpstream>,
    /// Time for all tries; zero is unlimited.
    pub(crate) timeout: Option<Duration>,
    /// Tries in all; zero is unlimited.
    pub(crate) tries: Option<u32>,
}

impl Retry {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        let timeout = reader.count(&PROXY_NEXT_UPSTREAM_TIMEOUT);
        Self {
            next: reader.get(&PROXY_NEXT_UPSTREAM),
            timeout: timeout.map(|seconds| Duration::from_secs(seconds.into())),
            tries: reader.count(&PROXY_NEXT_UPSTREAM_TRIES),
        }
    }

    /// `retry-non-idempotent` of the ConfigMap holds whatever conditions are set.
    pub(crate) fn policy(&self, defaults: &UpstreamDefaults) -> table::Retry {
        let retry = &defaults.forwarding.retry;
        let (on, non_idempotent) = match self.next {
            Some(next) => (
                next.on,
                next.non_idempotent || defaults.retry_non_idempotent,
            ),
            None => (retry.on, retry.non_idempotent),
        };
        table::Retry {
            on,
            non_idempotent,
            tries: self.tries.map_or(retry.tries, NonZeroU32::new),
            timeout: self.timeout.map_or(retry.timeout, unless_zero),
        }
    }
}

/// A bound of zero is none.
pub(crate) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
