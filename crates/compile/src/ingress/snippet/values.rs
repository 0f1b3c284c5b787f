//! Values of directives: switches, times, sizes and texts with variables.

use std::time::Duration;

use headgate_table::{FieldTemplate, Phase, Template};
use http::{HeaderName, HeaderValue, StatusCode};

/// `on` or `off`.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("\"{}\" is neither on nor off", shown(text))),
    }
}

/// A text with variables that are known in `phase`.
pub(super) fn template(text: &str, phase: Phase) -> Result<Template, String> {
    Template::with_locals(text, phase).map_err(|error| error.to_string())
}

/// The value of a header field.
pub(super) fn field(text: &str, phase: Phase) -> Result<FieldTemplate, String> {
    if text.contains('$') {
        return Ok(FieldTemplate::Template(Box::new(template(text, phase)?)));
    }
    let value = HeaderValue::from_str(text);
    let value = value.map_err(|_| format!("\"{}\" holds a control character", shown(text)))?;
    Ok(FieldTemplate::Fixed(value))
}

/// The name of a header field.
pub(super) fn field_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::try_from(text).map_err(|_| format!("\"{}\" is not a header name", shown(text)))
}

/// A status code of three digits.
pub(super) fn status(text: &str) -> Result<StatusCode, String> {
    StatusCode::from_bytes(text.as_bytes())
        .map_err(|_| format!("\"{}\" is not a status code", shown(text)))
}

/// A time of at least a millisecond, such as `30`, `30s`, `500ms` or `1m`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let invalid = || format!("\"{}\" is not a time such as 30s or 1m", shown(text));
    let mut total = 0_u64;
    let mut rest = text;
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = rest.split_at(end.unwrap_or(rest.len()));
        let number: u64 = digits.parse().map_err(|_| invalid())?;
        let units = [
            ("ms", 1),
            ("s", 1000),
            ("m", 60_000),
            ("h", 3_600_000),
            ("d", 86_400_000),
        ];
        let unit = units.iter().find(|(unit, _)| after.starts_with(unit));
        let (unit, factor) = match unit {
            Some(unit) => *unit,
            None if after.is_empty() => ("", 1000),
            None => return Err(invalid()),
        };
        let milliseconds = number.checked_mul(factor).ok_or_else(invalid)?;
        total = total.checked_add(milliseconds).ok_or_else(invalid)?;
        rest = after.strip_prefix(unit).unwrap_or_default();
    }
    if total == 0 {
        return Err("a time of zero would end every request".to_owned());
    }
    Ok(Duration::from_millis(total))
}

/// A size in bytes, such as `8k`, `1m` or `0`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("\"{}\" is not a size such as 8k or 1m", shown(text));
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (text.get(..text.len() - 1), 1 << 10),
        Some(b'm' | b'M') => (text.get(..text.len() - 1), 1 << 20),
        Some(b'g' | b'G') => (text.get(..text.len() - 1), 1 << 30),
        _ => (Some(text), 1),
    };
    let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.ok_or_else(invalid)?.parse().map_err(|_| invalid())?;
    number.checked_mul(factor).ok_or_else(invalid)
}

/// The start of a text for a message.
pub(super) fn shown(text: &str) -> String {
    crate::ingress::registry::excerpt(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_those_of_nginx() {
        for (text, expected) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1h", Some(3_600_000)),
            ("0", None),
            ("", None),
            ("s", None),
            ("1x", None),
            ("-1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(
                time(text).ok().map(|time| time.as_millis()),
                expected,
                "{text}"
            );
        }
        for (text, expected) in [
            ("0", Some(0)),
            ("8k", Some(8192)),
            ("2M", Some(2 << 20)),
            ("1g", Some(1 << 30)),
            ("k", None),
            ("", None),
            ("+1", None),
            ("1kb", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
