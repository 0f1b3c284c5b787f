//! What to watch and how patiently.

use std::time::Duration;

use headgate_compile::{Name, Options};

use super::backoff::Backoff;
use super::failure::Failure;
use crate::cache::CacheOptions;

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// What is served: says which namespaces count, what flags name, and how annotations are called.
    pub compile: Options,
    /// Label selector of the namespaces that are watched (`--watch-namespace-selector`), for
    /// [`Namespaces::Selected`](headgate_compile::Namespaces::Selected). Default `None`.
    pub namespace_selector: Option<String>,
    /// The Service whose addresses are published (`--publish-service`); it may be outside the watched namespace. Default
    /// `None`.
    pub publish_service: Option<Name>,
    /// Our own pod, whose node has the zone if `compile.endpoints.topology` is on. Default `None`.
    pub pod: Option<Name>,
    /// Where the objects are left for the next run (`--cache-dir`). Default `None`: nowhere.
    pub cache: Option<CacheOptions>,
    /// How long to wait for what.
    pub timing: Timing,
}

/// How long to wait for what. Tests are less patient than the defaults.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Before an attempt is repeated for the first time; doubled with each failure. Default 100 ms.
    pub first_retry: Duration,
    /// The longest such wait. Default 10 s.
    pub longest_retry: Duration,
    /// The longest such wait while the API server is unreachable: an attempt then costs it nothing, and with each second that the API
    /// server is back unseen, endpoints are older. Default 2 s.
    pub longest_away: Duration,
    /// The longest wait that a server may ask for by `Retry-After`, up to a quarter of which is added by chance. Default 60 s.
    pub longest_wait: Duration,
    /// The server is asked to end a watch after so long; whole seconds. Default 290 s.
    pub watch: Duration,
    /// A watch from which nothing came for so long beyond that is taken for dead. Default 10 s.
    pub slack: Duration,
    /// Until an answer begins, and between two parts of a list's body. Default 30 s.
    pub patience: Duration,
    /// For the next object of a list at the beginning of a watch; then the server is taken for one that cannot list so.
    /// Default 10 s.
    pub initial: Duration,
    /// An Ingress waits so long for Services and slices that it names. Default 10 ms.
    pub together: Duration,
    /// What names a Secret or ConfigMap that is asked for waits so long for the answer. Default 100 ms.
    pub answer: Duration,
    /// The API server has so long to tell everything before the cache is used. Default 3 s.
    pub cached: Duration,
    /// Between two writes of the cache. Default 10 s.
    pub save: Duration,
    /// Between two attempts to learn the zone. Default 60 s.
    pub zone: Duration,
    /// Between two lists of everything (`--sync-period`); zero: nothing is listed anew without need. Default zero.
    pub resync: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            first_retry: Duration::from_millis(100),
            longest_retry: Duration::from_secs(10),
            longest_away: Duration::from_secs(2),
            longest_wait: Duration::from_secs(60),
            watch: Duration::from_secs(290),
            slack: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            initial: Duration::from_secs(10),
            together: Duration::from_millis(10),
            answer: Duration::from_millis(100),
            cached: Duration::from_secs(3),
            save: Duration::from_secs(10),
            zone: Duration::from_secs(60),
            resync: Duration::ZERO,
        }
    }
}

impl Timing {
    /// How long to wait after a failure. A server that says itself when it can be asked again is believed, unless it says at
    /// once: that is no reason to hurry.
    pub(super) fn wait(&self, failure: &Failure, backoff: &mut Backoff) -> Duration {
        let longest = match failure {
            Failure::Connection(_) => self.longest_away,
            _ => self.longest_retry,
        };
        let chance = fastrand::f32();
        let wait = backoff.failed(longest, chance);
        match failure {
            Failure::Busy {
                after: Some(after), ..
            } if !after.is_zero() => {
                // Bounded before it is spread: the server may have said anything.
                let wait = (*after).min(self.longest_wait);
                wait.mul_f32(1.0 + chance / 4.0)
            }
            _ => wait,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_is_looked_for_more_often_than_who_refuses() {
        let timing = Timing::default();
        let after_many = |failure: &Failure| {
            let mut backoff = Backoff::new(timing.first_retry);
            (0..20).map(|_| timing.wait(failure, &mut backoff)).last()
        };
        let away = after_many(&Failure::Connection("refused".to_owned()));
        assert!(away <= Some(timing.longest_away), "{away:?}");
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
        assert!(wait(Duration::MAX) <= Some(timing.longest_wait * 2));
        assert!(wait(Duration::ZERO) >= Some(timing.longest_retry / 2));
    }
}
