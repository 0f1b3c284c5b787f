//! Timeouts and retries of rules (gateway-api.md 3.12, 3.13).

use std::num::NonZeroU32;
use std::time::Duration;

use headgate_table::{Forwarding, Retry, RetryOn, StatusSet};

use crate::gateway::condition::Problem;
use crate::objects::custom::{HttpRule, RetrySpec};

/// Retries where a rule does not say how many.
const RETRIES: u32 = 2;
/// How much of a request body is kept, bytes, so that a retry can send it again.
const REPLAY_MEMORY: usize = 64 << 10;
/// Most numbers with units in a duration.
const LONGEST: usize = 4;

/// `forwarding` with the timeouts and retries of a rule.
///
/// # Errors
/// A value that is not supported.
pub(super) fn with_timing(rule: &HttpRule, forwarding: Forwarding) -> Result<Forwarding, Problem> {
    let timeouts = rule.timeouts.as_ref();
    let request = timeouts.and_then(|timeouts| timeouts.request.as_deref());
    let attempt = timeouts.and_then(|timeouts| timeouts.backend_request.as_deref());
    let attempt_timeout = timeout("timeouts.backendRequest", attempt)?;
    let retry = rule.retry.as_ref().map(retry).transpose()?;
    // Without retries, one attempt of limited time is all there is.
    let default = Retry {
        on: RetryOn {
            timeout: attempt_timeout.is_none(),
            ..forwarding.retry.on
        },
        ..forwarding.retry
    };
    Ok(Forwarding {
        request_timeout: timeout("timeouts.request", request)?,
        attempt_timeout,
        replay_memory: retry.map_or(forwarding.replay_memory, |_| REPLAY_MEMORY),
        retry: retry.unwrap_or(default),
        ..forwarding
    })
}

/// Zero is none.
fn timeout(field: &str, text: Option<&str>) -> Result<Option<Duration>, Problem> {
    let timeout = text.map(|text| duration(field, text)).transpose()?;
    Ok(timeout.filter(|timeout| !timeout.is_zero()))
}

/// A rule says explicitly that its requests are retried, so their methods do not matter.
fn retry(spec: &RetrySpec) -> Result<Retry, Problem> {
    let mut statuses = StatusSet::default();
    for code in &spec.codes {
        if !statuses.insert(*code) {
            return Err(unsupported("retry.codes", &code.to_string(), "400 to 599"));
        }
    }
    let retries = spec.attempts.unwrap_or(RETRIES);
    let backoff = spec.backoff.as_deref();
    Ok(Retry {
        on: RetryOn {
            error: true,
            timeout: true,
            invalid_header: true,
            statuses,
        },
        tries: NonZeroU32::new(retries.saturating_add(1)),
        timeout: None,
        non_idempotent: true,
        backoff: timeout("retry.backoff", backoff)?,
    })
}

/// A duration of the Gateway API: one to four numbers of up to five digits, each with `h`, `m`, `s` or `ms`.
pub(in crate::gateway) fn duration(field: &str, text: &str) -> Result<Duration, Problem> {
    parse(text).ok_or_else(|| unsupported(field, text, "a duration such as 1m30s or 500ms"))
}

fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut sum = Duration::ZERO;
    for _ in 0..LONGEST {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if !(1..=5).contains(&digits) {
            return None;
        }
        let (number, more) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let (unit, more) = match more.strip_prefix("ms") {
            Some(more) => (Duration::from_millis(number), more),
            None => {
                let seconds = match more.chars().next()? {
                    'h' => 3600,
                    'm' => 60,
                    's' => 1,
                    _ => return None,
                };
                (Duration::from_secs(number * seconds), more.get(1..)?)
            }
        };
        sum += unit;
        rest = more;
        if rest.is_empty() {
            return Some(sum);
        }
    }
    None
}

fn unsupported(field: &str, value: &str, right: &str) -> Problem {
    let value = value.escape_debug();
    Problem::new(
        "UnsupportedValue",
        format!("{field} \"{value}\" is not supported; it must be {right}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_numbers_with_units() {
        for (text, milliseconds) in [
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("1m30s", Some(90_000)),
            ("1h1m1s1ms", Some(3_661_001)),
            ("99999h", Some(99_999 * 3_600_000)),
            ("", None),
            ("5", None),
            ("s", None),
            ("100000s", None),
            ("1.5s", None),
            ("-1s", None),
            ("1d", None),
            ("1s1s1s1s1s", None),
            ("1s ", None),
            ("1\u{b5}s", None),
        ] {
            let parsed = parse(text).map(|parsed| parsed.as_millis());
            assert_eq!(parsed, milliseconds, "{text:?}");
        }
    }
}
