//! When a request is retried.

use std::time::Duration;

use headgate_table::{Retry, RetryOn};
use http::{Method, StatusCode};
use tokio::time::Instant;

/// How many times the least backoff a backoff is at most.
const LARGEST_BACKOFF: u32 = 10;
/// After that many it is larger than that.
const MOST_DOUBLINGS: u32 = 4;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Connecting failed or the connection broke.
    Error,
    /// A timeout.
    Timeout,
    /// The head of the response was empty, invalid or too large.
    InvalidHeader,
    /// A status that the policy retries.
    Status(StatusCode),
}

/// Whether and how often one request is retried.
#[derive(Debug)]
pub(super) struct RetryState {
    policy: Retry,
    limit: u32,
    repeatable: bool,
    start: Instant,
    attempts: u32,
}

impl RetryState {
    /// For a request of `method` to this number of `endpoints`, whose first attempt begins at `start`.
    pub(super) fn new(policy: Retry, method: &Method, endpoints: usize, start: Instant) -> Self {
        // Without a configured number, each endpoint is tried once.
        let all = u32::try_from(endpoints).unwrap_or(u32::MAX);
        let limit = policy.tries.map_or(all, std::num::NonZeroU32::get);
        // The list of nginx, not of the RFC: PUT and DELETE are idempotent, LOCK belongs to WebDAV.
        let once = *method == Method::POST || *method == Method::PATCH || method.as_str() == "LOCK";
        Self {
            policy,
            limit,
            repeatable: policy.non_idempotent || !once,
            start,
            attempts: 1,
        }
    }

    /// How many attempts were before the current one.
    pub(super) fn resends(&self) -> u32 {
        self.attempts.saturating_sub(1)
    }

    /// Whether the request may be sent again, so that a copy is needed.
    pub(super) fn may_resend(&self) -> bool {
        self.may_try_again() && self.policy.on != RetryOn::default()
    }

    /// Whether to retry after `cause`; if so, counts the next attempt. `sent`: the endpoint may have received something.
    pub(super) fn retry(&mut self, cause: Cause, sent: bool, now: Instant) -> bool {
        let configured = match cause {
            Cause::Error => self.policy.on.error,
            Cause::Timeout => self.policy.on.timeout,
            Cause::InvalidHeader => self.policy.on.invalid_header,
            Cause::Status(status) => self.policy.on.statuses.contains(status),
        };
        let retry = configured
            && self.attempts < self.limit
            && self.in_time(now)
            && (self.repeatable || !sent);
        self.attempts += u32::from(retry);
        retry
    }

    /// How long to wait before the attempt that was counted last. `spread`, from 0 to 1, spreads the waits of many requests.
    pub(super) fn backoff(&self, spread: f32) -> Option<Duration> {
        let least = self.policy.backoff?;
        let doublings = self.attempts.saturating_sub(2).min(MOST_DOUBLINGS);
        let most = least.saturating_mul(LARGEST_BACKOFF);
        let wait = least.saturating_mul(1 << doublings).min(most);
        Some(wait.saturating_add(wait.mul_f32(spread.clamp(0.0, 1.0) / 4.0)))
    }

    /// Whether there may be another attempt.
    pub(super) fn may_try_again(&self) -> bool {
        self.repeatable && self.attempts < self.limit
    }

    /// Whether a request that was sent on a kept connection, which turned out to be closed, may be sent on a new one. This
    /// is not another attempt: the endpoint is not at fault for closing an idle connection.
    pub(super) fn may_reconnect(&self) -> bool {
        self.policy.on.error && self.repeatable
    }

    fn in_time(&self, now: Instant) -> bool {
        let elapsed = now.duration_since(self.start);
        self.policy
            .timeout
            .filter(|bound| *bound > Duration::ZERO)
            .is_none_or(|bound| elapsed < bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headgate_table::StatusSet;
    use std::num::NonZeroU32;

    fn policy(on: RetryOn, tries: u32) -> Retry {
        Retry {
            on,
            tries: NonZeroU32::new(tries),
            timeout: None,
            non_idempotent: false,
            backoff: None,
        }
    }

    fn both() -> RetryOn {
        RetryOn {
            error: true,
            timeout: true,
            invalid_header: false,
            statuses: StatusSet::of([503]),
        }
    }

    #[test]
    fn conditions_methods_and_what_was_sent() {
        let status = |code| Cause::Status(StatusCode::from_u16(code).unwrap_or_default());
        let cases = [
            (Method::GET, Cause::Error, true, true),
            (Method::GET, Cause::Timeout, true, true),
            (Method::GET, Cause::InvalidHeader, true, false),
            (Method::GET, status(503), true, true),
            (Method::GET, status(500), true, false),
            (Method::POST, Cause::Error, false, true),
            (Method::POST, Cause::Error, true, false),
            (Method::POST, status(503), true, false),
            (Method::PATCH, Cause::Timeout, true, false),
            (Method::PUT, Cause::Error, true, true),
            (Method::DELETE, Cause::Error, true, true),
        ];
        let now = Instant::now();
        for (method, cause, sent, expected) in cases {
            let mut retries = RetryState::new(policy(both(), 3), &method, 2, now);
            assert_eq!(
                retries.retry(cause, sent, now),
                expected,
                "{method} {cause:?} sent={sent}"
            );
        }
        let mut retries = RetryState::new(
            Retry {
                non_idempotent: true,
                ..policy(both(), 3)
            },
            &Method::POST,
            2,
            now,
        );
        assert!(retries.retry(Cause::Error, true, now));
    }

    #[test]
    fn number_and_time_are_bounded() {
        let now = Instant::now();
        let mut three = RetryState::new(policy(both(), 3), &Method::GET, 1, now);
        assert_eq!(
            [(); 3].map(|()| three.retry(Cause::Error, true, now)),
            [true, true, false]
        );
        let mut each_once = RetryState::new(policy(both(), 0), &Method::GET, 2, now);
        assert_eq!(
            [(); 2].map(|()| each_once.retry(Cause::Error, true, now)),
            [true, false]
        );
        let bounded = Retry {
            timeout: Some(Duration::from_secs(5)),
            ..policy(both(), 3)
        };
        let mut late = RetryState::new(bounded, &Method::GET, 2, now);
        assert!(!late.retry(Cause::Error, true, now + Duration::from_secs(5)));
    }

    #[test]
    fn a_copy_is_made_only_when_it_can_be_used() {
        let now = Instant::now();
        assert!(RetryState::new(policy(both(), 3), &Method::GET, 1, now).may_resend());
        assert!(!RetryState::new(policy(both(), 1), &Method::GET, 1, now).may_resend());
        assert!(!RetryState::new(policy(RetryOn::default(), 3), &Method::GET, 1, now).may_resend());
        assert!(!RetryState::new(policy(both(), 3), &Method::POST, 1, now).may_resend());
    }

    #[test]
    fn backoff_doubles_up_to_its_tenfold() {
        let now = Instant::now();
        let backoff = |backoff, attempts| {
            let policy = Retry {
                backoff,
                ..policy(both(), 10)
            };
            let mut state = RetryState::new(policy, &Method::GET, 1, now);
            state.attempts = attempts;
            move |spread| state.backoff(spread)
        };
        assert_eq!(backoff(None, 2)(0.0), None);
        let least = Some(Duration::from_millis(100));
        let waits = [2, 3, 4, 5, 6, 60].map(|attempts| backoff(least, attempts)(0.0));
        let expected = [100, 200, 400, 800, 1000, 1000];
        assert_eq!(
            waits,
            expected.map(|wait| Some(Duration::from_millis(wait)))
        );
        let spread = backoff(least, 2)(1.0).unwrap_or_default();
        assert_eq!(spread.as_millis(), 125);
        assert!(backoff(Some(Duration::MAX / 4), 9)(0.5).is_some());
    }
}
