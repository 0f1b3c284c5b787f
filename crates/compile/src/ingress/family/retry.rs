//! Retries with another endpoint.

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table as table;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::registry::{NextUpstream, Reader, keys, types};
use crate::ingress::settings::{self, UpstreamDefaults};

keys! { Annotation {
    PROXY_NEXT_UPSTREAM: NextUpstream =
        annotation("proxy-next-upstream", types::NEXT_UPSTREAM, "Conditions under which another endpoint is tried.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM).risk(Risk::Medium);
    PROXY_NEXT_UPSTREAM_TIMEOUT: i64 =
        annotation("proxy-next-upstream-timeout", types::INT, "Seconds for all attempts; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TIMEOUT);
    PROXY_NEXT_UPSTREAM_TRIES: i64 =
        annotation("proxy-next-upstream-tries", types::INT, "Maximum attempts, including the first; 0 is unlimited.")
            .setting(&settings::upstream::PROXY_NEXT_UPSTREAM_TRIES);
} }

/// When a request is retried with another endpoint. Everything not set has its default in the ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Retry {
    pub(crate) next: Option<NextUpstream>,
    /// Time for all attempts; zero is unlimited.
    pub(crate) timeout: Option<Duration>,
    /// Maximum attempts; zero is unlimited.
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

    /// `retry-non-idempotent` of the ConfigMap applies with any conditions.
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
            backoff: None,
        }
    }
}

/// Zero is unlimited.
pub(crate) fn unless_zero(time: Duration) -> Option<Duration> {
    (!time.is_zero()).then_some(time)
}
