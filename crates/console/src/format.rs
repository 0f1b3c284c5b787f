//! Numbers, times and links as people read them.

use std::fmt::Write as _;

use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands for a number that is not known.
pub(crate) const UNKNOWN: &str = "–";

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Characters of a part of a link that need no encoding.
const ENCODED: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A rate with two or three figures: `0`, `0.03`, `4.2`, `187`, `12,400`.
pub(crate) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0".to_owned(),
        rate if rate < 0.01 => "<0.01".to_owned(),
        rate if rate < 1.0 => format!("{rate:.2}"),
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// A share in percent: `0 %`, `0.04 %`, `12.5 %`.
pub(crate) fn share(share: Option<f64>) -> String {
    let Some(share) = share else {
        return UNKNOWN.to_owned();
    };
    match share * 100.0 {
        percent if percent <= 0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => "<0.01 %".to_owned(),
        percent if percent < 1.0 => format!("{percent:.2} %"),
        percent if percent < 99.95 && percent.fract() > 0.05 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// A short time with two or three figures: `850 µs`, `4.2 ms`, `1.25 s`.
pub(crate) fn seconds(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else {
        return UNKNOWN.to_owned();
    };
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0} µs", s * 1e6),
        s if s < 0.009_995 => format!("{:.1} ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0} ms", s * 1e3),
        s if s < 9.995 => format!("{s:.2} s"),
        s if s < 99.95 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// A long time in its two largest units: `12 s`, `4 min`, `3 h 20 min`, `12 d 3 h`.
pub(crate) fn duration(seconds: u64) -> String {
    let two = |(large, size): (&str, u64), (small, part): (&str, u64)| match seconds % size / part {
        0 => format!("{} {large}", seconds / size),
        rest => format!("{} {large} {rest} {small}", seconds / size),
    };
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => two(("min", MINUTE), ("s", 1)),
        HOUR..DAY => two(("h", HOUR), ("min", MINUTE)),
        _ => two(("d", DAY), ("h", HOUR)),
    }
}

/// Bytes with binary units: `512 B`, `84 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB"].into_iter().peekable();
    while let Some(unit) = units.next() {
        if value < 1023.5 || units.peek().is_none() {
            let digits = usize::from(value < 9.95 && unit != "B");
            return format!("{value:.digits$} {unit}");
        }
        value /= 1024.0;
    }
    String::new()
}

/// A whole number with groups of three: `20,000`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with its noun: `1 host`, `20,000 hosts`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = match number {
        1 => "",
        _ if noun.ends_with('s') => "es",
        _ => "s",
    };
    format!("{} {noun}{ending}", count(number as u64))
}

/// A day in UTC: `2026-11-30`.
pub(crate) fn day(unix_seconds: i64) -> String {
    at(unix_seconds, "%Y-%m-%d")
}

/// A minute in UTC: `14:05`.
pub(crate) fn minute(unix_seconds: u64) -> String {
    at(i64::try_from(unix_seconds).unwrap_or(i64::MAX), "%H:%M")
}

/// An instant in UTC: `2026-11-30 14:05:09`.
pub(crate) fn instant(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    at(seconds, "%Y-%m-%d %H:%M:%S")
}

/// A time of day in UTC with milliseconds: `14:05:09.120`.
pub(crate) fn clock(unix_seconds: f64) -> String {
    let millis = (unix_seconds * 1e3).round();
    let time = Timestamp::from_millisecond(millis as i64);
    time.map_or_else(
        |_| UNKNOWN.to_owned(),
        |time| time.strftime("%H:%M:%S%.3f").to_string(),
    )
}

fn at(unix_seconds: i64, format: &str) -> String {
    let time = Timestamp::from_second(unix_seconds);
    time.map_or_else(
        |_| UNKNOWN.to_owned(),
        |time| time.strftime(format).to_string(),
    )
}

/// A link: a path, further segments of it, and a query, of which empty values are left out.
#[derive(Clone, Debug)]
pub(crate) struct Link(String);

impl Link {
    pub(crate) fn to(path: &str) -> Self {
        Self(path.to_owned())
    }

    /// With a further segment, which may contain anything.
    pub(crate) fn segment(mut self, segment: &str) -> Self {
        // Writing to a string does not fail.
        let _ = write!(self.0, "/{}", utf8_percent_encode(segment, &ENCODED));
        self
    }

    /// With a further parameter.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        if !value.is_empty() {
            let mark = if self.0.contains('?') { '&' } else { '?' };
            let value = utf8_percent_encode(value, &ENCODED);
            // Writing to a string does not fail.
            let _ = write!(self.0, "{mark}{name}={value}");
        }
        self
    }

    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl maud::Render for Link {
    fn render_to(&self, out: &mut String) {
        self.0.render_to(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_two_or_three_figures() {
        let rates = [0.0, 0.004, 0.03, 4.21, 99.6, 187.4, 12_400.0].map(rate);
        assert_eq!(rates, ["0", "<0.01", "0.03", "4.2", "100", "187", "12,400"]);
        let shares = [0.0, 0.00004, 0.0004, 0.125, 0.5, 0.9999, 1.0].map(|one| share(Some(one)));
        let expected = [
            "0 %", "<0.01 %", "0.04 %", "12.5 %", "50 %", "100 %", "100 %",
        ];
        assert_eq!(shares, expected);
        assert_eq!(share(None), UNKNOWN);
        let times = [0.000_85, 0.0042, 0.085, 1.25, 12.34, 600.0].map(|one| seconds(Some(one)));
        assert_eq!(
            times,
            ["850 µs", "4.2 ms", "85 ms", "1.25 s", "12.3 s", "600 s"]
        );
        let times = [12, 240, 12_000, 1_047_600].map(duration);
        assert_eq!(times, ["12 s", "4 min", "3 h 20 min", "12 d 3 h"]);
        let sizes = [512, 9_000_000, 88_080_384, 1 << 40].map(bytes);
        assert_eq!(sizes, ["512 B", "8.6 MiB", "84 MiB", "1024 GiB"]);
        assert_eq!(counted(1, "host"), "1 host");
        assert_eq!(counted(20_000, "host"), "20,000 hosts");
    }

    #[test]
    fn times_are_in_utc_and_never_fail() {
        assert_eq!(day(1_796_000_000), "2026-11-30");
        assert_eq!(day(i64::MAX), UNKNOWN);
        assert_eq!(instant(u64::MAX), UNKNOWN);
        assert_eq!(clock(1_796_000_000.12), "00:53:20.120");
        assert_eq!(clock(f64::INFINITY), UNKNOWN);
    }

    #[test]
    fn links_are_encoded() {
        let link = Link::to("/hosts")
            .segment("*.a/b")
            .with("q", "")
            .with("host", "<\"&=ü");
        assert_eq!(link.as_str(), "/hosts/%2A.a%2Fb?host=%3C%22%26%3D%C3%BC");
    }
}
