//! `Expires` and `Cache-Control` of responses, as the directive `expires` of nginx sets them.

use std::fmt;

use crate::Template;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// When responses expire.
#[derive(Clone, Debug, PartialEq)]
pub enum Expires {
    /// A time that is known.
    At(ExpiresTime),
    /// The time that a template has as text.
    Text(Box<Template>),
}

/// A time of expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiresTime {
    /// The fields stay as they are.
    Off,
    /// In the past, and `no-cache`.
    Epoch,
    /// In ten years.
    Max,
    /// Seconds after the response; negative ones are `no-cache`.
    After(i64),
    /// Seconds after `Last-Modified`; without that field, after the response.
    AfterModified(i64),
    /// The next time of the day, seconds after midnight UTC.
    Daily(i64),
}

impl Expires {
    pub(super) fn template(&self) -> Option<&Template> {
        match self {
            Self::At(_) => None,
            Self::Text(template) => Some(template),
        }
    }
}

impl ExpiresTime {
    /// `epoch`, `max`, `off`, a time such as `1h30m` with an optional sign, or `@` and a time of the day; `None` for anything
    /// else. With `modified`, a time counts from `Last-Modified`.
    pub fn parse(text: &str, modified: bool) -> Option<Self> {
        match text {
            "epoch" if !modified => return Some(Self::Epoch),
            "max" if !modified => return Some(Self::Max),
            "off" if !modified => return Some(Self::Off),
            _ => {}
        }
        if let Some(daily) = text.strip_prefix('@') {
            let seconds = seconds(daily).filter(|seconds| *seconds <= DAY && !modified);
            return seconds.map(Self::Daily);
        }
        let (sign, time) = match text.strip_prefix('-') {
            Some(time) => (-1, time),
            None => (1, text.strip_prefix('+').unwrap_or(text)),
        };
        let seconds = seconds(time)?.checked_mul(sign)?;
        Some(if modified {
            Self::AfterModified(seconds)
        } else {
            Self::After(seconds)
        })
    }
}

/// A time of nginx in seconds: numbers with units from `y` down to `s`, each at most once; a number without a unit is seconds.
fn seconds(text: &str) -> Option<i64> {
    let mut total = 0_i64;
    let mut last = i64::MAX;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let number: i64 = digits.parse().ok()?;
        let unit = match after.as_bytes().first() {
            None | Some(b's' | b' ') => 1,
            Some(b'm') => 60,
            Some(b'h') => 60 * 60,
            Some(b'd') => DAY,
            Some(b'w') => 7 * DAY,
            Some(b'M') => 30 * DAY,
            Some(b'y') => 365 * DAY,
            Some(_) => return None,
        };
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = after.get(1..).unwrap_or_default().trim_start();
    }
    Some(total)
}

impl fmt::Display for Expires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(f),
            Self::Text(template) => template.fmt(f),
        }
    }
}

impl fmt::Display for ExpiresTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Epoch => f.write_str("epoch"),
            Self::Max => f.write_str("max"),
            Self::After(seconds) => write!(f, "{seconds}s"),
            Self::AfterModified(seconds) => write!(f, "modified {seconds}s"),
            Self::Daily(seconds) => write!(f, "@{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_nginx() {
        use ExpiresTime as E;
        for (text, expected) in [
            ("epoch", Some(E::Epoch)),
            ("max", Some(E::Max)),
            ("off", Some(E::Off)),
            ("0", Some(E::After(0))),
            ("-1", Some(E::After(-1))),
            ("30d", Some(E::After(30 * DAY))),
            ("+1h30m", Some(E::After(5400))),
            ("1y 2w", Some(E::After(365 * DAY + 14 * DAY))),
            ("@15h30m", Some(E::Daily(55_800))),
            ("@25h", None),
            ("1m1h", None),
            ("1ms", None),
            ("x", None),
            ("", None),
            ("9999999999999999999", None),
        ] {
            assert_eq!(E::parse(text, false), expected, "{text}");
        }
        assert_eq!(E::parse("24h", true), Some(E::AfterModified(DAY)));
        assert_eq!(E::parse("max", true), None);
    }
}
