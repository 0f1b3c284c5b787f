//! B3, in its single field and in several.

use std::num::NonZeroU128;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::context::{Remote, SpanContext, hex, number, span_number};

pub(super) const B3: HeaderName = HeaderName::from_static("b3");
pub(super) const TRACE_ID: HeaderName = HeaderName::from_static("x-b3-traceid");
pub(super) const SPAN_ID: HeaderName = HeaderName::from_static("x-b3-spanid");
pub(super) const SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// Every field of either form.
pub(super) const FIELDS: [HeaderName; 6] = [B3, TRACE_ID, SPAN_ID, SAMPLED, PARENT, FLAGS];

/// Length of the single field.
const LENGTH: usize = 51;

/// The span that the client names: in the single field, else in several.
pub(super) fn extract(headers: &HeaderMap) -> Option<Remote> {
    single(headers).or_else(|| several(headers))
}

fn single(headers: &HeaderMap) -> Option<Remote> {
    let text = headers.get(B3)?.as_bytes();
    let mut parts = text.split(|byte| *byte == b'-');
    let (trace, span) = (parts.next()?, parts.next()?);
    remote(trace, span, parts.next())
}

fn several(headers: &HeaderMap) -> Option<Remote> {
    let field = |name| headers.get(name).map(HeaderValue::as_bytes);
    let debug = field(FLAGS)
        .filter(|flags| *flags == b"1")
        .map(|_| &b"d"[..]);
    remote(
        field(TRACE_ID)?,
        field(SPAN_ID)?,
        debug.or_else(|| field(SAMPLED)),
    )
}

fn remote(trace: &[u8], span: &[u8], sampled: Option<&[u8]>) -> Option<Remote> {
    let (trace, span) = (trace.to_ascii_lowercase(), span.to_ascii_lowercase());
    let has_length = matches!(trace.len(), 16 | 32) && span.len() == 16;
    let sampled = match sampled {
        None => None,
        Some(b"1" | b"d" | b"true") => Some(true),
        Some(b"0" | b"false") => Some(false),
        Some(_) => return None,
    };
    Some(Remote {
        trace: NonZeroU128::new(number(&trace)?).filter(|_| has_length)?,
        span: span_number(&span)?,
        sampled,
        random: false,
        state: None,
    })
}

/// The single field.
pub(super) fn field(context: &SpanContext) -> [u8; LENGTH] {
    let mut text = [b'-'; LENGTH];
    for (range, number) in [
        (0..32, context.trace.get()),
        (33..49, u128::from(context.span.get())),
    ] {
        if let Some(part) = text.get_mut(range) {
            hex(part, number);
        }
    }
    if let Some(last) = text.last_mut() {
        *last = b'0' + u8::from(context.sampled);
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn of(fields: &[(&'static str, &'static str)]) -> Option<(u128, u64, Option<bool>)> {
        let fields = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        let remote = extract(&fields.collect())?;
        Some((remote.trace.get(), remote.span.get(), remote.sampled))
    }

    #[test]
    fn both_forms_are_read_and_the_single_one_first() {
        const LONG: &str = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90";
        const TRACE: u128 = 0x80f1_98ee_5634_3ba8_64fe_8b2a_57d3_eff7;
        const SPAN: u64 = 0xe457_b5a2_e4d8_6bd1;
        let long = ("x-b3-traceid", "80F198EE56343BA864FE8B2A57D3EFF7");
        let span = ("x-b3-spanid", "e457b5a2e4d86bd1");
        let shorter = ("x-b3-traceid", "64fe8b2a57d3eff7");
        for (fields, expected) in [
            (&[("b3", LONG)][..], Some((TRACE, SPAN, Some(true)))),
            (
                &[("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-0")],
                Some((0x64fe_8b2a_57d3_eff7, SPAN, Some(false))),
            ),
            (
                &[("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-d")],
                Some((0x64fe_8b2a_57d3_eff7, SPAN, Some(true))),
            ),
            (&[long, span], Some((TRACE, SPAN, None))),
            (
                &[long, span, ("x-b3-sampled", "0")],
                Some((TRACE, SPAN, Some(false))),
            ),
            (
                &[long, span, ("x-b3-flags", "1"), ("x-b3-sampled", "0")],
                Some((TRACE, SPAN, Some(true))),
            ),
            (
                &[shorter, span, ("b3", LONG)],
                Some((TRACE, SPAN, Some(true))),
            ),
            (&[long], None),
            (&[("b3", "0")], None),
            (&[("b3", "64fe8b2a57d3eff7-e457b5a2e4d86bd1-x")], None),
            (&[("b3", "64fe8b2a57d3eff-e457b5a2e4d86bd1-1")], None),
            (&[("b3", "0000000000000000-e457b5a2e4d86bd1-1")], None),
        ] {
            assert_eq!(of(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn the_single_field_is_written() {
        let context = SpanContext {
            trace: NonZeroU128::new(0xabc).unwrap(),
            span: std::num::NonZeroU64::new(0xd).unwrap(),
            sampled: true,
            random: true,
        };
        let text = "00000000000000000000000000000abc-000000000000000d-1";
        assert_eq!(field(&context), text.as_bytes());
    }
}
