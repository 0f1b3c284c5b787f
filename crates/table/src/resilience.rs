//! How requests are protected from failing endpoints, and a Service from too many requests.

use std::num::NonZeroU32;
use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;

/// Bounds and health rules of an upstream. Counts are those of one process, over all its workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resilience {
    /// Requests that use a connection or wait for one, upgraded ones included; default 16,384. Beyond: 503.
    pub max_connections: Option<NonZeroU32>,
    /// Requests that wait for a new connection; default 8,192. Beyond: 503.
    pub max_pending: Option<NonZeroU32>,
    /// How many requests may be retries.
    pub retries: RetryBudget,
    /// The same over a time, instead of `retries`; default none. Beyond: 503.
    pub retry_rate: Option<RetryRate>,
    /// When an endpoint is ejected.
    pub outliers: Outliers,
    /// How long an endpoint that joins others, or comes back after an ejection or failed health checks, gets fewer requests than
    /// they do; default: it gets as many at once.
    pub slow_start: Option<Duration>,
    /// How endpoints are checked; default: not at all.
    pub check: Option<HealthCheck>,
}

/// How many requests that an endpoint may have received are sent again at once, over all requests of the upstream. Both
/// numbers are added. A retry after a connection that failed is not counted: no endpoint has received anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// Percent of the active requests; default 20. From 100 on there is no bound.
    pub percent: u32,
    /// Beside that; default 100.
    pub minimum: u32,
}

/// How many requests that an endpoint may have received are sent again in a time, over all requests of the upstream. A retry is
/// allowed by either number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryRate {
    /// Percent of what is sent within `interval`, retries included. From 100 on there is no bound.
    pub percent: u32,
    /// The time of `percent`.
    pub interval: Duration,
    /// Retries within `per`.
    pub minimum: u32,
    /// The time of `minimum`.
    pub per: Duration,
}

/// When an endpoint is ejected: it gets no requests for some time, unless all others have failed the same request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outliers {
    /// Consecutive failures after which an endpoint is ejected, default 5; `None`: never.
    pub failures: Option<NonZeroU32>,
    /// How long, times the number of ejections in a row, and five minutes at most; default 30 s.
    pub time: Duration,
    /// Percent of the endpoints that are ejected at most, default 50. One always stays.
    pub max_percent: u32,
    /// Responses of 500 and above are failures too; default false.
    pub status_5xx: bool,
}

/// How endpoints are checked: by a GET that the process itself sends to each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query.
    pub path: PathAndQuery,
    /// Time from one check of an endpoint to the next, a tenth more or less; default 10 s.
    pub interval: Duration,
    /// Until the head of the response; default 2 s.
    pub timeout: Duration,
    /// Failed checks in a row after which an endpoint is unhealthy; default 3.
    pub unhealthy_after: NonZeroU32,
    /// Checks in a row after which it is healthy again; default 2.
    pub healthy_after: NonZeroU32,
    /// Statuses of a healthy endpoint; empty, the default: 200 to 399.
    pub statuses: Vec<StatusCode>,
}

impl HealthCheck {
    /// A check of `path` with the defaults.
    pub fn new(path: PathAndQuery) -> Self {
        Self {
            path,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            unhealthy_after: NonZeroU32::MIN.saturating_add(2),
            healthy_after: NonZeroU32::MIN.saturating_add(1),
            statuses: Vec::new(),
        }
    }

    /// Whether an endpoint that responds with `status` is healthy.
    pub fn accepts(&self, status: StatusCode) -> bool {
        match self.statuses.as_slice() {
            [] => status.is_success() || status.is_redirection(),
            statuses => statuses.contains(&status),
        }
    }
}

impl Default for Resilience {
    fn default() -> Self {
        Self {
            max_connections: NonZeroU32::new(16_384),
            max_pending: NonZeroU32::new(8_192),
            retries: RetryBudget::default(),
            retry_rate: None,
            outliers: Outliers::default(),
            slow_start: None,
            check: None,
        }
    }
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            minimum: 100,
        }
    }
}

impl Default for Outliers {
    fn default() -> Self {
        Self {
            failures: NonZeroU32::new(5),
            time: Duration::from_secs(30),
            max_percent: 50,
            status_5xx: false,
        }
    }
}

impl RetryBudget {
    /// Whether there may be another retry beside `retries` ones, with this number of `active` requests.
    pub fn allows(self, retries: usize, active: usize) -> bool {
        let share = active.saturating_mul(self.percent as usize) / 100;
        self.percent >= 100 || retries < share.saturating_add(self.minimum as usize)
    }
}

impl Outliers {
    /// Whether one more of `all` endpoints may be ejected beside `ejected` ones.
    pub fn may_eject(self, ejected: usize, all: usize) -> bool {
        let next = ejected.saturating_add(1);
        let share = all.saturating_mul(self.max_percent.min(100) as usize) / 100;
        next <= share && next < all
    }

    /// How long the ejection of this number in a row lasts, counted from 1.
    pub fn ejection_time(self, number: u32) -> Duration {
        self.time.saturating_mul(number).min(LONGEST_EJECTION)
    }
}

/// Bound on the time of an ejection.
const LONGEST_EJECTION: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_ejected_and_never_the_last_endpoint() {
        let ejected = |max_percent, all| {
            let outliers = Outliers {
                max_percent,
                ..Outliers::default()
            };
            (0..=all)
                .take_while(|ejected| outliers.may_eject(*ejected, all))
                .count()
        };
        for (percent, all, expected) in [
            (50, 0, 0),
            (50, 1, 0),
            (50, 2, 1),
            (50, 3, 1),
            (50, 30, 15),
            (100, 1, 0),
            (100, 4, 3),
            (1000, 4, 3),
            (0, 9, 0),
        ] {
            assert_eq!(ejected(percent, all), expected, "{percent} % of {all}");
        }
    }

    #[test]
    fn ejections_grow_up_to_a_bound() {
        let seconds = |number| Outliers::default().ejection_time(number).as_secs();
        assert_eq!(
            [1, 2, 10, 11, u32::MAX].map(seconds),
            [30, 60, 300, 300, 300]
        );
    }

    #[test]
    fn a_retry_budget_is_a_share_and_a_minimum() {
        let budget = RetryBudget {
            percent: 20,
            minimum: 3,
        };
        for (retries, active, allowed) in [
            (2, 0, true),
            (3, 4, false),
            (3, 5, true),
            (22, 100, true),
            (23, 100, false),
        ] {
            assert_eq!(
                budget.allows(retries, active),
                allowed,
                "{retries} of {active}"
            );
        }
        let unbounded = RetryBudget {
            percent: 100,
            minimum: 0,
        };
        assert!(unbounded.allows(usize::MAX, 1));
    }
}
