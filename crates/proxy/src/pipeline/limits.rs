//! Request-rate and concurrency limits (behaviour.md 1.3).

use std::sync::Arc;

use headgate_limit::{
    Admission, ConcurrencyLimiter, Key, Nanos, Permit, Quota, RateLimiter, Rule, admit_all,
};
use headgate_table::{Limits, Variable};
use http::StatusCode;
use smallvec::SmallVec;

use crate::limit::Limit;
use crate::request::Context;

/// The usage of one object's limits; it lives in [`Limits::slot`] and outlives tables.
#[derive(Debug, Default)]
struct Counters {
    per_second: RateLimiter,
    per_minute: RateLimiter,
    in_flight: Arc<ConcurrencyLimiter>,
}

/// A request over a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Status of the response.
    pub(super) status: StatusCode,
    /// The limit that refused it.
    pub(super) limit: Limit,
}

/// Counts the request, and holds a permit if requests in flight are limited. Requests of exempt clients and with an empty
/// key are not counted.
pub(super) fn admit(
    context: &Context<'_>,
    limits: &Limits,
    now: Nanos,
) -> Result<Option<Permit>, Refusal> {
    if limits.exempt.contains(context.client()) {
        return Ok(None);
    }
    let Some(key) = key(context) else {
        return Ok(None);
    };
    // A bug of this crate if the slot holds another type: a limit that cannot be enforced closes the route.
    let Some(counters) = limits.slot.get_or_init(|| Arc::new(Counters::default())) else {
        return Err(Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            limit: Limit::Rate,
        });
    };
    if admit_all(&rules(limits, counters), key, now) == Admission::Rejected {
        return Err(Refusal {
            status: context.settings.limit_status,
            limit: Limit::Rate,
        });
    }
    let Some(max) = limits.connections else {
        return Ok(None);
    };
    match counters.in_flight.acquire(key, max) {
        Some(permit) => Ok(Some(permit)),
        None => Err(Refusal {
            status: context.settings.limit_connections_status,
            limit: Limit::Concurrency,
        }),
    }
}

/// Whether the `announced` length of a body (`None`: not announced) exceeds `limit` (`None`: unlimited), in bytes.
pub(super) fn is_too_long(limit: Option<u64>, announced: Option<u64>) -> bool {
    limit
        .zip(announced)
        .is_some_and(|(limit, length)| length > limit)
}

fn rules<'l>(limits: &Limits, counters: &'l Counters) -> SmallVec<[Rule<'l>; 2]> {
    let rule =
        |quota: Option<Quota>, limiter: &'l RateLimiter| quota.map(|quota| Rule { limiter, quota });
    let per_second = rule(limits.per_second, &counters.per_second);
    let per_minute = rule(limits.per_minute, &counters.per_minute);
    per_second.into_iter().chain(per_minute).collect()
}

/// The key that requests are counted by; `None`: not counted.
fn key(context: &Context<'_>) -> Option<Key> {
    let template = &context.settings.limit_key;
    match template.only_variable() {
        Some(Variable::BinaryRemoteAddr | Variable::RemoteAddr) => {
            Some(Key::from(context.client()))
        }
        _ => Key::from_text(context.expand(template, None)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use crate::request::testing::Sample;
    use headgate_table::{IpSet, Slot, Template};
    use std::num::NonZeroU32;

    const NOW: Nanos = Nanos::new(0);

    fn limits() -> Limits {
        Limits {
            id: "shop/web/1".into(),
            per_second: None,
            per_minute: None,
            connections: None,
            exempt: IpSet::default(),
            slot: Slot::default(),
        }
    }

    fn one_a_second() -> Limits {
        Limits {
            per_second: Some(Quota::per_second(NonZeroU32::MIN, 0)),
            ..limits()
        }
    }

    fn status(outcome: Result<Option<Permit>, Refusal>) -> u16 {
        outcome.map_or_else(|refusal| refusal.status.as_u16(), |_| 200)
    }

    #[test]
    fn lengths_up_to_the_limit_pass() {
        for (limit, announced, refused) in [
            (Some(10), Some(11), true),
            (Some(10), Some(10), false),
            (Some(0), Some(1), true),
            (Some(10), None, false),
            (None, Some(u64::MAX), false),
        ] {
            assert_eq!(
                is_too_long(limit, announced),
                refused,
                "{limit:?} {announced:?}"
            );
        }
    }

    #[test]
    fn the_rate_is_enforced() {
        let limits = one_a_second();
        let sample = Sample::new("GET", "/")
            .settings(|settings| settings.limit_status = StatusCode::TOO_MANY_REQUESTS);
        let context = sample.context();
        assert_eq!(status(admit(&context, &limits, NOW)), 200);
        assert_eq!(status(admit(&context, &limits, NOW)), 429);
        assert_eq!(
            status(admit(&context, &limits, Nanos::new(1_000_000_000))),
            200
        );
    }

    #[test]
    fn both_rates_apply() {
        let quota = |n| Quota::per_minute(NonZeroU32::new(n).unwrap(), 0);
        let limits = Limits {
            per_minute: Some(quota(1)),
            ..one_a_second()
        };
        let sample = Sample::new("GET", "/");
        let context = sample.context();
        assert_eq!(status(admit(&context, &limits, NOW)), 200);
        assert_eq!(
            status(admit(&context, &limits, Nanos::new(2_000_000_000))),
            503
        );
    }

    #[test]
    fn permits_are_returned() {
        let limits = Limits {
            connections: NonZeroU32::new(1),
            ..limits()
        };
        let sample = Sample::new("GET", "/")
            .settings(|settings| settings.limit_connections_status = StatusCode::TOO_MANY_REQUESTS);
        let context = sample.context();
        let permit = admit(&context, &limits, NOW).unwrap();
        assert_eq!(
            admit(&context, &limits, NOW).unwrap_err(),
            Refusal {
                status: StatusCode::TOO_MANY_REQUESTS,
                limit: Limit::Concurrency
            }
        );
        drop(permit);
        assert!(admit(&context, &limits, NOW).unwrap().is_some());
    }

    #[test]
    fn exempt_clients_and_empty_keys_are_not_counted() {
        let exempt: IpSet = ["192.0.2.0/24".parse::<ipnet::IpNet>().unwrap()]
            .into_iter()
            .collect();
        let exempting = Limits {
            exempt,
            ..one_a_second()
        };
        let sample = Sample::new("GET", "/");
        assert!((0..5).all(|_| admit(&sample.context(), &exempting, NOW).is_ok()));

        let key = Template::parse("$http_x_user").unwrap();
        let limits = one_a_second();
        let anonymous =
            Sample::new("GET", "/").settings(|settings| settings.limit_key = key.clone());
        assert!((0..5).all(|_| admit(&anonymous.context(), &limits, NOW).is_ok()));
        let named = Sample::new("GET", "/")
            .settings(|settings| settings.limit_key = key.clone())
            .header("x-user", "u");
        assert_eq!(status(admit(&named.context(), &limits, NOW)), 200);
        assert_eq!(status(admit(&named.context(), &limits, NOW)), 503);
    }
}
