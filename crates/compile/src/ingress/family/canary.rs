//! Canary releases.

use http::HeaderName;

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::family::affinity::{AFFINITY_CANARY_BEHAVIOR, CanaryBehavior};
use crate::ingress::registry::{Class, OnInvalid, Reader, keys, types};

keys! { Annotation {
    CANARY: bool =
        annotation("canary", types::BOOL,
            "This Ingress is an alternative for the Ingress with the same hosts and paths.")
            .default("false").ingress();
    CANARY_BY_HEADER: String =
        annotation("canary-by-header", types::chars(Class::Basic),
            "Header that chooses: always is the canary, never the primary, anything else leaves it to the next rule.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row()]);
    CANARY_BY_HEADER_VALUE: String =
        annotation("canary-by-header-value", types::spaced(Class::Basic),
            "Exact value of the header that chooses the canary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row(), CANARY_BY_HEADER.row()]);
    CANARY_BY_HEADER_PATTERN: String =
        annotation("canary-by-header-pattern", types::chars(Class::Regex),
            "Regex on the header's value that chooses the canary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row(), CANARY_BY_HEADER.row()]);
    CANARY_BY_COOKIE: String =
        annotation("canary-by-cookie", types::chars(Class::Basic),
            "Cookie that chooses: always is the canary, never the primary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row()]);
    CANARY_WEIGHT: i64 =
        annotation("canary-weight", types::INT, "Share of the remaining requests that go to the canary.")
            .default("0").ingress().needs(&[CANARY.row()]);
    CANARY_WEIGHT_TOTAL: i64 =
        annotation("canary-weight-total", types::INT, "What the weight is a share of; only values above 100 count.")
            .default("100").ingress().needs(&[CANARY.row()]);
} }

/// How requests are given to the canary, in this order: header, cookie, weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Canary {
    /// The header rule.
    pub(crate) header: Option<CanaryHeader>,
    /// Cookie that chooses by `always` and `never`.
    pub(crate) cookie: Option<String>,
    /// Share of what the other rules left, from 0 to `weight_total`.
    pub(crate) weight: u32,
    /// What the weight is a share of; at least 100.
    pub(crate) weight_total: u32,
    /// Whether the session affinity of the primary holds for the canary too (`affinity-canary-behavior: sticky`).
    pub(crate) sticky: bool,
}

/// How a request header chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CanaryHeader {
    /// `always` is the canary, `never` the primary, anything else is left to the next rule.
    AlwaysNever(HeaderName),
    /// Exactly this value is the canary.
    Value(HeaderName, String),
    /// A match of this regex, anywhere in the value, is the canary. Not compiled yet; one that does not compile never
    /// chooses the canary.
    Pattern(HeaderName, String),
}

impl Canary {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        if !reader.on(&CANARY) {
            return None;
        }
        let weight_total = weight_total(reader);
        Some(Self {
            header: header(reader),
            cookie: reader.get(&CANARY_BY_COOKIE),
            weight: weight(reader, weight_total),
            weight_total,
            sticky: reader.get(&AFFINITY_CANARY_BEHAVIOR) != Some(CanaryBehavior::Legacy),
        })
    }
}

fn header(reader: &mut Reader) -> Option<CanaryHeader> {
    let value = reader.get(&CANARY_BY_HEADER_VALUE);
    let pattern = reader.get(&CANARY_BY_HEADER_PATTERN);
    let header = reader.parsed(&CANARY_BY_HEADER, |text| {
        HeaderName::try_from(text).map_err(|_| "the value is not a header name")
    })?;
    if value.is_some() && pattern.is_some() {
        reader.warn(
            &CANARY_BY_HEADER_PATTERN,
            "ignored beside canary-by-header-value",
        );
    }
    Some(match (value, pattern) {
        (Some(value), _) => CanaryHeader::Value(header, value),
        (None, Some(pattern)) => CanaryHeader::Pattern(header, pattern),
        (None, None) => CanaryHeader::AlwaysNever(header),
    })
}

/// The total, of which only values above 100 count.
fn weight_total(reader: &mut Reader) -> u32 {
    const DEFAULT: u32 = 100;
    let Some(total) = reader.get(&CANARY_WEIGHT_TOTAL) else {
        return DEFAULT;
    };
    if total < i64::from(DEFAULT) {
        reader.reject(
            &CANARY_WEIGHT_TOTAL,
            OnInvalid::Ignore,
            &format!("{total} is below 100, and 100 is the least"),
        );
    }
    u32::try_from(total)
        .unwrap_or(if total < 0 { DEFAULT } else { u32::MAX })
        .max(DEFAULT)
}

/// The weight, held within 0 and the total.
fn weight(reader: &mut Reader, total: u32) -> u32 {
    let Some(weight) = reader.get(&CANARY_WEIGHT) else {
        return 0;
    };
    let held = weight.clamp(0, i64::from(total));
    if held != weight {
        reader.warn(
            &CANARY_WEIGHT,
            format!("{weight} is not from 0 to {total}; {held} is used"),
        );
    }
    u32::try_from(held).unwrap_or(total)
}
