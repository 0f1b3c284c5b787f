//! Canary releases.

use http::HeaderName;

use crate::ingress::annotations::{Annotation, Bad, Class, Kind, Reader, Risk, annotation};

pub(crate) const ENTRIES: &[Annotation] = &[
    annotation("canary", Kind::Bool, "This Ingress is an alternative for the Ingress with the same hosts and paths.")
        .default("false")
        .ingress(),
    annotation(
        "canary-by-header",
        Kind::Chars(Class::Basic),
        "Header that chooses: always is the canary, never the primary, anything else leaves it to the next rule.",
    )
    .ingress()
    .risk(Risk::Medium),
    annotation("canary-by-header-value", Kind::Spaced(Class::Basic), "Exact value of the header that chooses the canary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-by-header-pattern", Kind::Chars(Class::Regex), "Regex on the header's value that chooses the canary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-by-cookie", Kind::Chars(Class::Basic), "Cookie that chooses: always is the canary, never the primary.")
        .ingress()
        .risk(Risk::Medium),
    annotation("canary-weight", Kind::Int, "Share of the remaining requests that go to the canary.").default("0").ingress(),
    annotation("canary-weight-total", Kind::Int, "What the weight is a share of; only values above 100 count.")
        .default("100")
        .ingress(),
];

/// The settings that mean nothing without `canary: "true"`.
const NEEDS_CANARY: [&str; 6] = [
    "canary-by-header",
    "canary-by-header-value",
    "canary-by-header-pattern",
    "canary-by-cookie",
    "canary-weight",
    "canary-weight-total",
];

/// How requests are given to the canary, in this order: header, cookie, weight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// The header rule.
    pub header: Option<CanaryHeader>,
    /// Cookie that chooses by `always` and `never`.
    pub cookie: Option<String>,
    /// Share of what the other rules left, from 0 to `weight_total`.
    pub weight: u32,
    /// What the weight is a share of; at least 100.
    pub weight_total: u32,
    /// Whether the session affinity of the primary holds for the canary too (`affinity-canary-behavior: sticky`).
    pub sticky: bool,
}

/// How a request header chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CanaryHeader {
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
        if !reader.on("canary") {
            for name in NEEDS_CANARY {
                if reader.present(name) {
                    reader.warn(
                        name,
                        "ignored without canary: \"true\"; the Ingress is an ordinary one",
                    );
                }
            }
            return None;
        }
        let weight_total = weight_total(reader);
        Some(Self {
            header: header(reader),
            cookie: reader.string("canary-by-cookie"),
            weight: weight(reader, weight_total),
            weight_total,
            sticky: reader.text("affinity-canary-behavior") != Some("legacy"),
        })
    }
}

fn header(reader: &mut Reader) -> Option<CanaryHeader> {
    let value = reader.string("canary-by-header-value");
    let pattern = reader.string("canary-by-header-pattern");
    if !reader.present("canary-by-header") {
        for (name, _) in [
            ("canary-by-header-value", &value),
            ("canary-by-header-pattern", &pattern),
        ]
        .into_iter()
        .filter(|(_, text)| text.is_some())
        {
            reader.warn(name, "ignored without canary-by-header");
        }
        return None;
    }
    let header = reader.parsed("canary-by-header", |text| {
        HeaderName::try_from(text).map_err(|_| "the value is not a header name")
    })?;
    if value.is_some() && pattern.is_some() {
        reader.warn(
            "canary-by-header-pattern",
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
    let Some(total) = reader.int("canary-weight-total") else {
        return DEFAULT;
    };
    if total < i64::from(DEFAULT) {
        reader.reject(
            "canary-weight-total",
            Bad::Ignore,
            &format!("{total} is below 100, and 100 is the least"),
        );
    }
    u32::try_from(total)
        .unwrap_or(if total < 0 { DEFAULT } else { u32::MAX })
        .max(DEFAULT)
}

/// The weight, held within 0 and the total.
fn weight(reader: &mut Reader, total: u32) -> u32 {
    let Some(weight) = reader.int("canary-weight") else {
        return 0;
    };
    let held = weight.clamp(0, i64::from(total));
    if held != weight {
        reader.warn(
            "canary-weight",
            format!("{weight} is not from 0 to {total}; {held} is used"),
        );
    }
    u32::try_from(held).unwrap_or(total)
}
