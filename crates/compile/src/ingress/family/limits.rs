//! Rate and connection limits.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use headgate_limit::Quota;
use headgate_table as table;
use headgate_table::{IpSet, ResponseRate, Slot};
use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::registry::{Key, Protection, Reader, When, differences, keys, types};
use crate::ingress::settings;
use crate::ingress::subject::Subject;

keys! { Annotation {
    LIMIT_RPS: i64 =
        annotation("limit-rps", types::INT, "Requests per second and client; zero or less is unlimited.")
            .default("0").refuses().protects(Protection::Routes).misnomers(&["rate-limit-rps", "rate-limit"])
            .differs(differences![
                When::Sometimes =>
                    "IPv6 clients are counted by /64 network; in ingress-nginx by address.",
            ]);
    LIMIT_RPM: i64 =
        annotation("limit-rpm", types::INT, "Requests per minute and client; zero or less is unlimited.")
            .default("0").refuses().protects(Protection::Routes)
            .differs(differences![
                When::Sometimes =>
                    "IPv6 clients are counted by /64 network; in ingress-nginx by address.",
            ]);
    LIMIT_CONNECTIONS: i64 =
        annotation("limit-connections", types::INT, "Concurrent requests per client; zero or less is unlimited.")
            .default("0").refuses().protects(Protection::Routes)
            .differs(differences![
                When::Sometimes =>
                    "IPv6 clients are counted by /64 network; in ingress-nginx by address.",
            ]);
    LIMIT_BURST_MULTIPLIER: i64 =
        annotation("limit-burst-multiplier", types::INT, "Burst as a multiple of the limit, served without delay.")
            .default("5");
    LIMIT_ALLOWLIST: Vec<IpNet> =
        annotation("limit-allowlist", types::CIDRS, "Clients that are not counted.")
            .alias(&["limit-whitelist"]).refuses();
    // Not a protection: it slows responses down and refuses none, so the route may be served without it.
    LIMIT_RATE: i64 =
        annotation("limit-rate", types::INT,
            "Kilobytes per second of one response, while proxy-buffering is on; zero or less is unlimited.")
            .setting(&settings::client::LIMIT_RATE);
    LIMIT_RATE_AFTER: i64 =
        annotation("limit-rate-after", types::INT, "Kilobytes of a response before limit-rate applies.")
            .setting(&settings::client::LIMIT_RATE_AFTER);
} }

/// The rate of responses. A number that is not set is that of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct RateNumbers {
    /// KiB per second; zero and less are unlimited.
    pub(crate) rate: Option<i64>,
    /// KiB that are sent before.
    pub(crate) after: Option<i64>,
}

impl RateNumbers {
    pub(crate) fn read(reader: &Reader) -> Self {
        Self {
            rate: reader.get(&LIMIT_RATE),
            after: reader.get(&LIMIT_RATE_AFTER),
        }
    }

    /// The rate; `None`: unlimited.
    pub(crate) fn policy(self, defaults: Self) -> Option<ResponseRate> {
        let bytes = |number: Option<i64>, default: Option<i64>| {
            let kilobytes = u64::try_from(number.or(default).unwrap_or_default());
            kilobytes.unwrap_or_default().saturating_mul(1 << 10)
        };
        Some(ResponseRate {
            bytes: NonZeroU64::new(bytes(self.rate, defaults.rate))?,
            after: bytes(self.after, defaults.after),
        })
    }
}

/// Limits per client, shared by all routes of the Ingress. `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) per_second: Option<Quota>,
    pub(crate) per_minute: Option<Quota>,
    /// Concurrent requests.
    pub(crate) connections: Option<NonZeroU32>,
    /// Clients that are not counted.
    pub(crate) exempt: IpSet,
}

impl Limits {
    /// `None` if no limit is set.
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let multiplier = reader.count_or_default(&LIMIT_BURST_MULTIPLIER);
        let burst = |rate: NonZeroU32| rate.get().saturating_mul(multiplier);
        let limits = Self {
            per_second: limit(reader, &LIMIT_RPS).map(|rate| Quota::per_second(rate, burst(rate))),
            per_minute: limit(reader, &LIMIT_RPM).map(|rate| Quota::per_minute(rate, burst(rate))),
            connections: limit(reader, &LIMIT_CONNECTIONS),
            exempt: reader.or_default(&LIMIT_ALLOWLIST).into_iter().collect(),
        };
        let limited = limits.per_second.is_some()
            || limits.per_minute.is_some()
            || limits.connections.is_some();
        limited.then_some(limits)
    }

    /// The limits of `subject`. `slot` has the counters of its former version.
    pub(crate) fn policy(&self, subject: Subject<'_>, slot: Option<Slot>) -> Arc<table::Limits> {
        Arc::new(table::Limits {
            id: format!("{}/{}", subject.name, subject.uid).into(),
            per_second: self.per_second,
            per_minute: self.per_minute,
            connections: self.connections,
            exempt: self.exempt.clone(),
            slot: slot.unwrap_or_default(),
        })
    }
}

/// Zero and less are off; numbers out of range are clamped.
fn limit(reader: &Reader, key: &Key<i64>) -> Option<NonZeroU32> {
    let value = reader.get(key).filter(|value| *value > 0)?;
    NonZeroU32::new(u32::try_from(value).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_a_rate_replaces_that_of_the_settings() {
        let numbers = |rate, after| RateNumbers { rate, after };
        let defaults = numbers(Some(10), Some(2));
        for (own, expected) in [
            (numbers(None, None), Some((10, 2))),
            (numbers(Some(5), None), Some((5, 2))),
            (numbers(None, Some(0)), Some((10, 0))),
            (numbers(Some(1), Some(-1)), Some((1, 0))),
            (numbers(Some(0), Some(7)), None),
            (numbers(Some(-1), None), None),
        ] {
            let found = own.policy(defaults);
            let found = found.map(|rate| (rate.bytes.get() >> 10, rate.after >> 10));
            assert_eq!(found, expected, "{own:?}");
        }
        let most = numbers(Some(i64::MAX), Some(i64::MAX)).policy(defaults);
        assert!(most.is_some_and(|rate| rate.bytes.get() == u64::MAX));
    }
}
