//! Rate and connection limits.

use std::num::NonZeroU32;

use ipnet::IpNet;

use crate::ingress::annotations::{Annotation, Kind, Reader, Support, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation(
        "limit-rps",
        Kind::Int,
        "Requests per second and client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-rpm",
        Kind::Int,
        "Requests per minute and client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-connections",
        Kind::Int,
        "Requests in progress at a time per client; zero or less is off.",
    )
    .default("0")
    .refuses(),
    annotation(
        "limit-burst-multiplier",
        Kind::Int,
        "Burst as a multiple of the limit, served without delay.",
    )
    .default("5"),
    annotation(
        "limit-allowlist",
        Kind::Cidrs,
        "Clients that are not counted.",
    )
    .alias(&["limit-whitelist"])
    .refuses(),
    // A throttle slows answers down and never refuses one, so without it nothing is open that should be closed.
    annotation(
        "limit-rate",
        Kind::Int,
        "Kilobytes per second of one response.",
    )
    .setting("limit-rate", "0")
    .support(Support::NotYet),
    annotation(
        "limit-rate-after",
        Kind::Int,
        "Kilobytes of a response before limit-rate begins.",
    )
    .setting("limit-rate-after", "0")
    .support(Support::NotYet),
];

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
            rps: limit(reader, "limit-rps"),
            rpm: limit(reader, "limit-rpm"),
            connections: limit(reader, "limit-connections"),
            burst_multiplier: reader
                .count("limit-burst-multiplier")
                .unwrap_or(BURST_MULTIPLIER),
            allowlist: reader
                .cidrs("limit-allowlist")
                .map(<[IpNet]>::to_vec)
                .unwrap_or_default(),
        }
    }
}

/// Zero and less are off; more than fits is as good as the most that does.
fn limit(reader: &Reader, name: &str) -> Option<NonZeroU32> {
    let value = reader.int(name).filter(|value| *value > 0)?;
    NonZeroU32::new(u32::try_from(value).unwrap_or(u32::MAX))
}
