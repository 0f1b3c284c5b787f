//! What to watch, and timeouts.

use std::sync::Arc;
use std::time::Duration;

use headgate_compile::{Name, Options};

use super::backoff::Backoff;
use super::failure::Failure;
use crate::cache::CacheOptions;

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// The watched namespaces, the objects that flags name, and the prefix of annotations.
    pub compile: Options,
    /// The Service whose addresses are published (`--publish-service`); it may be outside the watched namespace. Default
    /// `None`.
    pub publish_service: Option<Name>,
    /// The pod of this process, whose node has the zone if `compile.endpoints.topology` is on. Default `None`.
    pub pod: Option<Name>,
    /// The object cache for the next run (`--cache-dir`). Default `None`: no cache.
    pub cache: Option<CacheOptions>,
    /// Timeouts and intervals.
    pub timing: Timing,
}

/// Timeouts and intervals. Tests use shorter ones than the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// First wait after a failed attempt; doubled with each failure. Default 100 ms.
    pub first_retry: Duration,
    /// Longest wait after a failed attempt. Default 10 s.
    pub longest_retry: Duration,
    /// Longest wait while listing a kind is forbidden that roles may leave out on purpose. Default 5 min.
    pub longest_denied: Duration,
    /// Longest wait while the API server is unreachable: attempts then cost it nothing, and endpoints become stale. Default
    /// 2 s.
    pub longest_unreachable: Duration,
    /// Longest `Retry-After` that is honoured; up to a quarter of it is added as jitter. Default 60 s.
    pub longest_retry_after: Duration,
    /// `timeoutSeconds` of a watch; whole seconds. Default 290 s.
    pub watch: Duration,
    /// A watch without data for this time beyond `watch` is closed. Default 10 s.
    pub slack: Duration,
    /// Timeout of the head of a response, and between two parts of a list's body. Default 30 s.
    pub response_timeout: Duration,
    /// Timeout of the next initial event of a watch; without one the server is listed in pages. Default 10 s.
    pub initial_events_timeout: Duration,
    /// Longest time that an Ingress or route waits for its Services and slices, and new ones of these for it. Default 10 ms.
    pub services_wait: Duration,
    /// Longest time that changes wait for a requested Secret or ConfigMap. Default 100 ms.
    pub fetch_wait: Duration,
    /// Time to list everything before the cache is served. Default 3 s.
    pub cache_after: Duration,
    /// Between two writes of the cache. Default 10 s.
    pub save: Duration,
    /// Between two attempts to read the zone. Default 60 s.
    pub zone: Duration,
    /// Between two relists of everything (`--sync-period`). Default zero: no periodic relist.
    pub resync: Duration,
}

impl WatchOptions {
    /// The name of the controller of Gateways; `None`: the Gateway API is not watched.
    pub(super) fn controller(&self) -> Option<Arc<str>> {
        let gateway = self.compile.gateway.as_ref();
        gateway.map(|gateway| gateway.controller.clone())
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(10),
            longest_denied: Duration::from_secs(300),
            longest_unreachable: Duration::from_secs(2),
            longest_retry_after: Duration::from_secs(60),
            watch: Duration::from_secs(290),
            slack: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            initial_events_timeout: Duration::from_secs(10),
            services_wait: Duration::from_millis(10),
            fetch_wait: Duration::from_millis(100),
            cache_after: Duration::from_secs(3),
            save: Duration::from_secs(10),
            zone: Duration::from_secs(60),
            resync: Duration::ZERO,
        }
    }
}

impl Timing {
    /// The wait after a failure to list or watch something that roles may leave out, or not. `Retry-After` of the server is honoured, except zero, which must not shorten the back-off.
    pub(super) fn wait(
        &self,
        failure: &Failure,
        may_lack: bool,
        backoff: &mut Backoff,
    ) -> Duration {
        let longest = match failure {
            Failure::Connection(_) => self.longest_unreachable,
            Failure::Denied(_) | Failure::NotFound(_) if may_lack => self.longest_denied,
            _ => self.longest_retry,
        };
        let sample = fastrand::f32();
        let wait = backoff.failed(longest, sample);
        match failure {
            Failure::Busy {
                after: Some(after), ..
            } if !after.is_zero() => {
                // Bounded before jitter is added: the field may have any value.
                let wait = (*after).min(self.longest_retry_after);
                wait.mul_f32(1.0 + sample / 4.0)
            }
            _ => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_roles_may_leave_out_is_tried_again_rarely() {
        let timing = Timing::default();
        let denied = Failure::Denied("forbidden".to_owned());
        let waits = |may_lack| -> Vec<Duration> {
            let mut backoff = Backoff::new(timing.first_retry);
            let waits = (0..20).map(|_| timing.wait(&denied, may_lack, &mut backoff));
            waits.collect()
        };
        let (optional, required) = (waits(true), waits(false));
        assert!(optional[0] <= timing.first_retry, "{optional:?}");
        assert!(optional[19] >= timing.longest_denied / 2, "{optional:?}");
        assert!(required[19] <= timing.longest_retry, "{required:?}");
    }

    #[test]
    fn waits_are_shorter_while_the_server_is_unreachable_and_honour_retry_after() {
        let timing = Timing::default();
        let after_many = |failure: &Failure, may_lack: bool| {
            let mut backoff = Backoff::new(timing.first_retry);
            let waits = (0..20).map(|_| timing.wait(failure, may_lack, &mut backoff));
            waits.last()
        };
        let after_many = |failure: &Failure| after_many(failure, false);
        let unreachable = after_many(&Failure::Connection("refused".to_owned()));
        assert!(
            unreachable <= Some(timing.longest_unreachable),
            "{unreachable:?}"
        );
        let other = after_many(&Failure::Unauthorized("expired".to_owned()));
        assert!(other >= Some(timing.longest_retry / 2), "{other:?}");
        let wait = |after| {
            after_many(&Failure::Busy {
                message: String::new(),
                after: Some(after),
            })
        };
        let second = Duration::from_secs(1);
        assert!((Some(second)..Some(second * 2)).contains(&wait(second)));
        assert!(wait(Duration::MAX) <= Some(timing.longest_retry_after * 2));
        assert!(wait(Duration::ZERO) >= Some(timing.longest_retry / 2));
    }
}
