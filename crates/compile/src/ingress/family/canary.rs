//! Canary releases.

use headgate_table::{HeaderTest, Pattern, RuleTest};

use crate::ingress::annotations::{Annotation, Risk, annotation};
use crate::ingress::family::affinity::{AFFINITY_CANARY_BEHAVIOR, CanaryBehavior};
use crate::ingress::registry::{
    Class, OnInvalid, Reader, When, differences, keys, parse_header_name, types,
};

/// Why no policy can have these.
const OF_CANARIES: &str =
    "it makes an Ingress a canary of others; routes have weights and header matches";

keys! { Annotation {
    CANARY: bool =
        annotation("canary", types::BOOL,
            "This Ingress is an alternative for the Ingress with the same hosts and paths.")
            .default("false").ingress().on_canary()
            .differs(differences![
                When::Sometimes =>
                    "Several canaries of one path all apply, and a canary splits its own hosts and paths only; in ingress-nginx the oldest applies, to every path of the primary Service port.",
            ])
            .of_no_policy(OF_CANARIES);
    CANARY_BY_HEADER: String =
        annotation("canary-by-header", types::chars(Class::Basic),
            "Header field: always selects the canary, never the primary; with any other value the next rule applies.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
    CANARY_BY_HEADER_VALUE: String =
        annotation("canary-by-header-value", types::spaced(Class::Basic),
            "Exact value of the header field that selects the canary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row(), CANARY_BY_HEADER.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
    CANARY_BY_HEADER_PATTERN: String =
        annotation("canary-by-header-pattern", types::chars(Class::Regex),
            "Regex for values of the header field that select the canary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row(), CANARY_BY_HEADER.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
    CANARY_BY_COOKIE: String =
        annotation("canary-by-cookie", types::chars(Class::Basic),
            "Cookie: always selects the canary, never the primary.")
            .ingress().risk(Risk::Medium).needs(&[CANARY.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
    CANARY_WEIGHT: i64 =
        annotation("canary-weight", types::INT, "Share of the remaining requests that go to the canary.")
            .default("0").ingress().needs(&[CANARY.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
    CANARY_WEIGHT_TOTAL: i64 =
        annotation("canary-weight-total", types::INT, "Total of which the weight is a share; only values above 100 are used.")
            .default("100").ingress().needs(&[CANARY.row()]).on_canary()
            .of_no_policy(OF_CANARIES);
} }

/// Which requests the canary gets, by these rules in this order: header, cookie, weight.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Canary {
    pub(crate) header: Option<RuleTest>,
    pub(crate) cookie: Option<RuleTest>,
    /// Share of the requests to which no other rule applies, from 0 to `weight_total`.
    pub(crate) weight: u32,
    /// Total of which the weight is a share; at least 100.
    pub(crate) weight_total: u32,
    /// Whether the session affinity of the primary also applies to the canary (`affinity-canary-behavior: sticky`).
    pub(crate) sticky: bool,
}

impl Canary {
    /// The expression for values of the header field.
    pub(crate) fn expression(&self) -> Option<&Pattern> {
        match &self.header {
            Some(RuleTest::Header {
                value: HeaderTest::Pattern(pattern),
                ..
            }) => Some(pattern),
            _ => None,
        }
    }

    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        if !reader.on(&CANARY) {
            return None;
        }
        let weight_total = weight_total(reader);
        let cookie = reader.get(&CANARY_BY_COOKIE);
        Some(Self {
            header: header(reader),
            cookie: cookie.map(|name| RuleTest::Cookie(name.into())),
            weight: weight(reader, weight_total),
            weight_total,
            sticky: reader.get(&AFFINITY_CANARY_BEHAVIOR) != Some(CanaryBehavior::Legacy),
        })
    }
}

fn header(reader: &mut Reader) -> Option<RuleTest> {
    // nginx looks for a variable, in which an underscore stands for a hyphen.
    let name = reader.parsed(&CANARY_BY_HEADER, |name| {
        parse_header_name(&name.replace('_', "-"))
    })?;
    let value = reader.get(&CANARY_BY_HEADER_VALUE);
    let pattern = reader.get(&CANARY_BY_HEADER_PATTERN);
    let value = match (value, pattern) {
        (None, None) => HeaderTest::AlwaysNever,
        (None, Some(pattern)) => self::pattern(reader, &pattern),
        (Some(value), pattern) => {
            if pattern.is_some() {
                let message = "ignored beside canary-by-header-value";
                reader.warn(&CANARY_BY_HEADER_PATTERN, message);
            }
            HeaderTest::Value(value.into())
        }
    };
    Some(RuleTest::Header { name, value })
}

/// A regular expression that does not compile never selects the canary.
fn pattern(reader: &mut Reader, source: &str) -> HeaderTest {
    Pattern::new(source).map_or_else(
        |error| {
            let message = format!(
                "\"{source}\" is not a regular expression: {error}; requests go to the primary"
            );
            reader.error(&CANARY_BY_HEADER_PATTERN, message);
            HeaderTest::Broken
        },
        HeaderTest::Pattern,
    )
}

/// The total; only values above 100 are used.
fn weight_total(reader: &mut Reader) -> u32 {
    const DEFAULT: u32 = 100;
    let Some(total) = reader.get(&CANARY_WEIGHT_TOTAL) else {
        return DEFAULT;
    };
    if total < i64::from(DEFAULT) {
        reader.reject(
            &CANARY_WEIGHT_TOTAL,
            OnInvalid::Ignore,
            &format!("{total} is below the minimum of 100"),
        );
    }
    u32::try_from(total)
        .unwrap_or(if total < 0 { DEFAULT } else { u32::MAX })
        .max(DEFAULT)
}

/// The weight, clamped to 0 and the total.
fn weight(reader: &mut Reader, total: u32) -> u32 {
    let Some(weight) = reader.get(&CANARY_WEIGHT) else {
        return 0;
    };
    let clamped = weight.clamp(0, i64::from(total));
    if clamped != weight {
        reader.warn(
            &CANARY_WEIGHT,
            format!("{weight} is not from 0 to {total}; {clamped} is used"),
        );
    }
    u32::try_from(clamped).unwrap_or(total)
}
