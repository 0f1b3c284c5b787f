//! Booleans, numbers, sizes and durations.

use std::time::Duration;

use super::ValueError;

const BOOL: &str = "true or false";
const ON_OFF: &str = "on or off";
const INT: &str = "a whole number";
const SIZE: &str = "a size such as 512, 8k, 1m or 2g";
const DURATION: &str = "a duration such as 30s, 10m or 1h";
const BUFFERS: &str = "a number and a size such as \"4 8k\"";

/// A boolean in one of the spellings that Go accepts: `1 t T TRUE true True 0 f F FALSE false False`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, ValueError> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(ValueError::invalid(text, BOOL)),
    }
}

/// `on` or `off`.
pub(crate) fn parse_on_off(text: &str) -> Result<bool, ValueError> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(ValueError::invalid(text, ON_OFF)),
    }
}

/// An optional sign and decimal digits.
pub(crate) fn parse_int(text: &str) -> Result<i64, ValueError> {
    text.parse().map_err(|_| ValueError::invalid(text, INT))
}

/// A size in bytes: digits and an optional `b`, `k`, `m` or `g`, case-insensitive. A size beyond `u64` is invalid.
pub(crate) fn parse_size(text: &str) -> Result<u64, ValueError> {
    let invalid = || ValueError::invalid(text, SIZE);
    let value = text.trim();
    let digits_end = value
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(value.len());
    let (digits, unit) = value.split_at_checked(digits_end).ok_or_else(invalid)?;
    let factor: u64 = match unit {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return Err(invalid()),
    };
    let count: u64 = digits.parse().map_err(|_| invalid())?;
    count.checked_mul(factor).ok_or_else(invalid)
}

/// A size of `client-body-buffer-size`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeText {
    /// In bytes.
    pub(crate) bytes: u64,
    /// Whether the unit is accepted: none, `k` or `m`, as in ingress-nginx.
    pub(crate) counts: bool,
}

/// As [`parse_size`], and whether the unit is accepted.
pub(crate) fn parse_size_text(text: &str) -> Result<SizeText, ValueError> {
    Ok(SizeText {
        bytes: parse_size(text)?,
        counts: !text.trim().ends_with(['b', 'B', 'g', 'G']),
    })
}

/// One or more numbers with units `ms s m h d w M y`, such as `1h30m`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, ValueError> {
    let invalid = || ValueError::invalid(text, DURATION);
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits_end = rest
            .bytes()
            .position(|b| !b.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, tail) = rest.split_at_checked(digits_end).ok_or_else(invalid)?;
        let unit_end = tail
            .bytes()
            .position(|b| !b.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end).ok_or_else(invalid)?;
        let count: u64 = digits.parse().map_err(|_| invalid())?;
        let millis = count
            .checked_mul(unit_millis(unit).ok_or_else(invalid)?)
            .ok_or_else(invalid)?;
        total = total
            .checked_add(Duration::from_millis(millis))
            .ok_or_else(invalid)?;
        rest = tail.trim_start();
    }
    Ok(total)
}

/// Milliseconds in one unit; a month has 30 days and a year 365, as in nginx.
fn unit_millis(unit: &str) -> Option<u64> {
    const SECOND: u64 = 1000;
    const DAY: u64 = 24 * 3600 * SECOND;
    Some(match unit {
        "ms" => 1,
        "" | "s" => SECOND,
        "m" => 60 * SECOND,
        "h" => 3600 * SECOND,
        "d" => DAY,
        "w" => 7 * DAY,
        "M" => 30 * DAY,
        "y" => 365 * DAY,
        _ => return None,
    })
}

/// Buffers, as in `4 8k`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Buffers {
    /// Number of buffers.
    pub(crate) number: u32,
    /// Bytes of each buffer.
    pub(crate) size: u64,
}

/// A number of buffers and the size of each; neither may be zero.
pub(crate) fn parse_buffers(text: &str) -> Result<Buffers, ValueError> {
    let invalid = || ValueError::invalid(text, BUFFERS);
    let mut words = text.split_ascii_whitespace();
    let number: u32 = words
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(invalid)?;
    let size = words
        .next()
        .and_then(|word| parse_size(word).ok())
        .ok_or_else(invalid)?;
    if number == 0 || size == 0 || words.next().is_some() {
        return Err(invalid());
    }
    Ok(Buffers { number, size })
}
