//! W3C Trace Context, level 1 with the random flag of level 2.

use std::num::NonZeroU128;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::{Remote, SpanContext, hex, number, span_number};

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Length of `traceparent` in version 00.
const LENGTH: usize = 55;
/// Bits of the flags.
const SAMPLED: u128 = 1;
const RANDOM: u128 = 2;
/// Most members of `tracestate`.
const MOST_MEMBERS: usize = 32;

/// The span that the client names, if it names a valid one. An invalid `tracestate` is left out.
pub(super) fn extract(headers: &HeaderMap) -> Option<Remote> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (parent, None) = (lines.next()?, lines.next()) else {
        return None;
    };
    let mut remote = parse(parent.as_bytes())?;
    remote.state = state(headers).filter(|state| is_state(state.as_bytes()));
    Some(remote)
}

/// `tracestate`; several lines are one list.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(TRACESTATE).iter();
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.clone());
    };
    let mut all = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        all.extend_from_slice(b", ");
        all.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(all)).ok()
}

fn parse(text: &[u8]) -> Option<Remote> {
    let version = number(text.get(..2)?)?;
    let rest = text.get(LENGTH..)?;
    // A later version may append to it.
    let is_length_right = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
    if !is_length_right || !dashes {
        return None;
    }
    let flags = number(text.get(53..LENGTH)?)?;
    Some(Remote {
        trace: NonZeroU128::new(number(text.get(3..35)?)?)?,
        span: span_number(text.get(36..52)?)?,
        sampled: Some(flags & SAMPLED != 0),
        random: flags & RANDOM != 0,
        state: None,
    })
}

/// Whether `text` is a list that others can parse: then it is passed on as it is.
fn is_state(text: &[u8]) -> bool {
    let mut keys: Vec<&[u8]> = Vec::new();
    for member in text.split(|byte| *byte == b',') {
        let member = trim(member);
        if member.is_empty() {
            continue;
        }
        let Some(at) = memchr::memchr(b'=', member) else {
            return false;
        };
        let (key, value) = member.split_at(at);
        let value = value.get(1..).unwrap_or_default();
        // The number comes first: each key is compared with all before it.
        if keys.len() == MOST_MEMBERS || keys.contains(&key) || !is_key(key) || !is_value(value) {
            return false;
        }
        keys.push(key);
    }
    !keys.is_empty()
}

fn trim(member: &[u8]) -> &[u8] {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t');
    let start = member.iter().take_while(is_space).count();
    let member = member.get(start..).unwrap_or_default();
    let end = member.iter().rev().take_while(is_space).count();
    member.get(..member.len() - end).unwrap_or_default()
}

/// `vendor`, or `tenant@vendor`.
fn is_key(key: &[u8]) -> bool {
    let rest =
        |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte);
    let is_name = |name: &[u8], longest: usize, digit: bool| {
        let first = name.first();
        let begins = first
            .is_some_and(|first| first.is_ascii_lowercase() || (digit && first.is_ascii_digit()));
        begins && name.len() <= longest && name.iter().all(rest)
    };
    match memchr::memchr(b'@', key) {
        None => is_name(key, 256, false),
        Some(at) => {
            let (tenant, vendor) = key.split_at(at);
            let vendor = vendor.get(1..).unwrap_or_default();
            is_name(tenant, 241, true) && is_name(vendor, 14, false)
        }
    }
}

fn is_value(value: &[u8]) -> bool {
    let allowed = |byte: &u8| (b' '..=b'~').contains(byte) && !b",=".contains(byte);
    value.len() <= 256 && !value.is_empty() && value.iter().all(allowed)
}

/// `traceparent`.
pub(super) fn traceparent(context: &SpanContext) -> [u8; LENGTH] {
    let mut text = [b'-'; LENGTH];
    let flags = u128::from(context.sampled) * SAMPLED + u128::from(context.random) * RANDOM;
    let span = u128::from(context.span.get());
    for (range, number) in [
        (0..2, 0),
        (3..35, context.trace.get()),
        (36..52, span),
        (53..LENGTH, flags),
    ] {
        if let Some(part) = text.get_mut(range) {
            hex(part, number);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&'static str, &str)| {
            let value = HeaderValue::from_str(value).unwrap();
            (HeaderName::from_static(name), value)
        };
        let mut headers = HeaderMap::new();
        for (name, value) in fields.iter().map(field) {
            headers.append(name, value);
        }
        headers
    }

    fn of(traceparent: &str) -> Option<Remote> {
        extract(&headers(&[("traceparent", traceparent)]))
    }

    #[test]
    fn a_span_is_parsed_and_written() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let remote = of(text).unwrap();
        assert_eq!((remote.trace.get(), remote.sampled), (TRACE, Some(true)));
        assert_eq!(remote.span.get(), 0xb7ad_6b71_6920_3331);
        let context = SpanContext {
            trace: remote.trace,
            span: remote.span,
            sampled: true,
            random: false,
        };
        assert_eq!(traceparent(&context), text.as_bytes());
    }

    /// The cases of the test suite of the specification.
    #[test]
    fn what_is_no_traceparent() {
        const TRACE: &str = "12345678901234567890123456789012";
        const SPAN: &str = "1234567890123456";
        for (text, valid) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (
                format!("cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
                true,
            ),
            (
                format!("cc-{TRACE}-{SPAN}-01.what-the-future-will-be-like"),
                false,
            ),
            (format!("ff-{TRACE}-{SPAN}-01"), false),
            (
                format!("00-{TRACE}-{SPAN}-01-what-the-future-will-be-like"),
                false,
            ),
            (format!("00-{TRACE}-{SPAN}-01."), false),
            (format!("0-{TRACE}-{SPAN}-01"), false),
            (format!("000-{TRACE}-{SPAN}-01"), false),
            (format!(".0-{TRACE}-{SPAN}-01"), false),
            (format!("0.-{TRACE}-{SPAN}-01"), false),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), false),
            (format!("00-.{}-{SPAN}-01", "1".repeat(31)), false),
            (format!("00-{}-{SPAN}-01", "1".repeat(31)), false),
            (format!("00-{TRACE}3-{SPAN}-01"), false),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), false),
            (format!("00-{TRACE}-.{}-01", "1".repeat(15)), false),
            (format!("00-{TRACE}-{SPAN}7-01"), false),
            (format!("00-{TRACE}-123456789012345-01"), false),
            (format!("00-{TRACE}-{SPAN}-.0"), false),
            (format!("00-{TRACE}-{SPAN}-0."), false),
            (format!("00-{TRACE}-{SPAN}-1"), false),
            (format!("00-{TRACE}-{SPAN}-001"), false),
            (format!("00-ABCDEF{}-{SPAN}-01", "1".repeat(26)), false),
            (String::new(), false),
        ] {
            assert_eq!(of(&text).is_some(), valid, "{text}");
        }
        let twice = [(
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ); 2];
        assert_eq!(extract(&headers(&twice)), None);
    }

    #[test]
    fn flags() {
        for (flags, sampled, random) in [
            ("00", false, false),
            ("01", true, false),
            ("02", false, true),
            ("03", true, true),
            ("ff", true, true),
            ("fc", false, false),
        ] {
            let text = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
            let remote = of(&text).unwrap();
            assert_eq!(
                (remote.sampled, remote.random),
                (Some(sampled), random),
                "{flags}"
            );
        }
    }

    #[test]
    fn a_state_is_kept_as_it_is_or_left_out() {
        let long_key = format!("{}=1", "z".repeat(256));
        let too_long_key = format!("{}=1", "z".repeat(257));
        let tenant = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
        let too_long_tenant = format!("{}@v=1", "t".repeat(242));
        let too_long_vendor = format!("t@{}=1", "v".repeat(15));
        let many = |n: usize| {
            (0..n)
                .map(|n| format!("bar{n:02}={n:02}"))
                .collect::<Vec<_>>()
                .join(",")
        };
        let (most, too_many) = (many(32), many(33));
        for (state, valid) in [
            ("foo=1", true),
            ("foo=1,bar=2", true),
            ("foo=1 \t , \t bar=2", true),
            ("foo=1,", true),
            (",foo=1", true),
            ("foo=1,,,bar=2", true),
            ("0foo=1", false),
            ("0foo@v=1", true),
            ("foo@=1", false),
            ("@foo=1", false),
            ("foo@@bar=1", false),
            ("foo@bar@baz=1", false),
            ("FOO=1", false),
            ("foo =1", false),
            ("foo.bar=1", false),
            ("foo", false),
            ("foo=", false),
            ("foo=1=2", false),
            ("foo=1,foo=2", false),
            ("a-/*_0=!\"#$%&'()*+-./0123456789:;<>?@[\\]^_`{|}~", true),
            ("", false),
            (&long_key, true),
            (&too_long_key, false),
            (&tenant, true),
            (&too_long_tenant, false),
            (&too_long_vendor, false),
            (&most, true),
            (&too_many, false),
        ] {
            let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let remote = extract(&headers(&[("traceparent", parent), ("tracestate", state)]));
            let kept = remote.unwrap().state;
            assert_eq!(kept.is_some(), valid, "{state}");
            assert!(kept.is_none_or(|kept| kept == state.trim()));
        }
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let lines = [
            ("traceparent", parent),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
        ];
        assert_eq!(
            extract(&headers(&lines)).unwrap().state.unwrap(),
            "a=1, b=2"
        );
    }
}
