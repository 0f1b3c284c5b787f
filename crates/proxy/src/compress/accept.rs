//! Which codings a client accepts, by nginx's reading of `Accept-Encoding`.

use headgate_table::Pattern;
use http::header::{ACCEPT_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderValue};

/// Whether the client accepts `coding`. As in nginx, only the first field line counts, `*` names no coding, and a quantity
/// must be 0 or 1 with at most three decimals.
pub(super) fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let field = headers.get(ACCEPT_ENCODING).map(HeaderValue::as_bytes);
    field.is_some_and(|field| names(field, coding.as_bytes()))
}

/// Whether `agents` match the client's `User-Agent`.
pub(super) fn user_agent_matches(headers: &HeaderMap, agents: &Pattern) -> bool {
    let agent = headers.get(USER_AGENT);
    agent.is_some_and(|agent| agents.is_match(agent.as_bytes()))
}

fn names(field: &[u8], coding: &[u8]) -> bool {
    let mut words = field.windows(coding.len()).enumerate();
    let found = words.find(|(at, word)| {
        let before = at.checked_sub(1).and_then(|before| field.get(before));
        word.eq_ignore_ascii_case(coding) && before.is_none_or(|byte| b", ".contains(byte))
    });
    let rest = found.and_then(|(at, word)| field.get(at + word.len()..));
    rest.is_some_and(|rest| match rest.trim_ascii_start() {
        [] | [b',', ..] => true,
        [b';', quantity @ ..] => is_wanted(quantity.trim_ascii_start()),
        // Another word follows, as in `gzip br`, or the name is longer.
        _ => false,
    })
}

/// Whether a parameter is no quantity of zero. Without a parameter after the semicolon the coding is accepted.
fn is_wanted(parameter: &[u8]) -> bool {
    match parameter {
        [] => true,
        [b'q' | b'Q', b'=', quantity @ ..] => {
            let end = quantity.iter().position(|byte| b", ".contains(byte));
            let quantity = quantity.get(..end.unwrap_or(quantity.len()));
            quantity.is_some_and(is_positive)
        }
        _ => false,
    }
}

/// Whether `quantity` is a qvalue above zero (RFC 9110 section 12.4.2).
fn is_positive(quantity: &[u8]) -> bool {
    match quantity {
        b"1" | b"1." => true,
        [b'0', b'.', decimals @ ..] => {
            decimals.len() <= 3
                && decimals.iter().all(u8::is_ascii_digit)
                && decimals.iter().any(|digit| *digit != b'0')
        }
        [b'1', b'.', decimals @ ..] => {
            decimals.len() <= 3 && decimals.iter().all(|digit| *digit == b'0')
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_nginx_does() {
        for (field, expected) in [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip", true),
            ("deflate,gzip;q=1.0", true),
            ("gzip, deflate, br", true),
            ("gzip ;q=0.5", true),
            ("gzip; q=0.001", true),
            ("gzip;q=1.000", true),
            ("gzip;", true),
            ("gzip;q=0", false),
            ("gzip;q=0.0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=1.001", false),
            ("gzip;q=2", false),
            ("gzip;q=0.0001", false),
            ("gzip;q=", false),
            ("gzip;level=1", false),
            ("x-gzip", false),
            ("gzipped", false),
            ("*", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(names(field.as_bytes(), b"gzip"), expected, "{field}");
        }
        assert!(names(b"gzip, br", b"br") && !names(b"gzip, brotli", b"br"));
    }
}
