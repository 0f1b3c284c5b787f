//! Rate and connection limits.

use std::num::NonZeroU32;

use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, annotation};
use crate::ingress::registry::{Key, Protection, Reader, keys, types};
use crate::ingress::settings;

keys! { Annotation {
    LIMIT_RPS: i64 =
        annotation("limit-rps", types::INT, "Requests per second and client; zero or less is off.")
            .default("0").refuses().protects(Protection::Routes).misnomers(&["rate-limit-rps", "rate-limit"]);
    LIMIT_RPM: i64 =
        annotation("limit-rpm", types::INT, "Requests per minute and client; zero or less is off.")
            .default("0").refuses().protects(Protection::Routes);
    LIMIT_CONNECTIONS: i64 =
        annotation("limit-connections", types::INT, "Requests in progress at a time per client; zero or less is off.")
            .default("0").refuses().protects(Protection::Routes);
    LIMIT_BURST_MULTIPLIER: i64 =
        annotation("limit-burst-multiplier", types::INT, "Burst as a multiple of the limit, served without delay.")
            .default("5");
    LIMIT_ALLOWLIST: Vec<IpNet> =
        annotation("limit-allowlist", types::CIDRS, "Clients that are not counted.")
            .alias(&["limit-whitelist"]).refuses();
    // A throttle slows answers down and never refuses one, so without it nothing is open that should be closed.
    LIMIT_RATE: i64 =
        annotation("limit-rate", types::INT, "Kilobytes per second of one response.")
            .setting(&settings::client::LIMIT_RATE).not_yet();
    LIMIT_RATE_AFTER: i64 =
        annotation("limit-rate-after", types::INT, "Kilobytes of a response before limit-rate begins.")
            .setting(&settings::client::LIMIT_RATE_AFTER).not_yet();
} }

/// Limits per client, shared by all routes of the Ingress. `None` is off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second.
    pub rps: Option<NonZeroU32>,
    /// Requests per minute.
    pub rpm: Option<NonZeroU32>,
    /// Requests in progress at a time.
    pub connections: Option<NonZeroU32>,
    /// Burst as a multiple of `rps` and `rpm`; 5 by default.
    pub burst_multiplier: u32,
    /// Clients that are not counted.
    pub allowlist: Vec<IpNet>,
}

/// The multiple of the limit that passes at once.
const BURST_MULTIPLIER: u32 = 5;

impl Default for Limits {
    fn default() -> Self {
        Self {
            rps: None,
            rpm: None,
            connections: None,
            burst_multiplier: BURST_MULTIPLIER,
            allowlist: Vec::new(),
        }
    }
}

impl Limits {
    pub(crate) fn read(reader: &mut Reader) -> Self {
        Self {
            rps: limit(reader, &LIMIT_RPS),
            rpm: limit(reader, &LIMIT_RPM),
            connections: limit(reader, &LIMIT_CONNECTIONS),
            burst_multiplier: reader
                .count(&LIMIT_BURST_MULTIPLIER)
                .unwrap_or(BURST_MULTIPLIER),
            allowlist: reader.get(&LIMIT_ALLOWLIST).unwrap_or_default(),
        }
    }
}

/// Zero and less are off; more than fits is as good as the most that does.
fn limit(reader: &Reader, key: &Key<i64>) -> Option<NonZeroU32> {
    let value = reader.get(key).filter(|value| *value > 0)?;
    NonZeroU32::new(u32::try_from(value).unwrap_or(u32::MAX))
}
