//! Identity of a span, and its text.

use std::num::{NonZeroU64, NonZeroU128};

use http::HeaderValue;

/// A span as others refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace: NonZeroU128,
    pub(crate) span: NonZeroU64,
    pub(crate) recorded: bool,
    /// The trace id is random (W3C Trace Context level 2): passed on with it.
    pub(crate) random: bool,
}

/// The span of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) trace: NonZeroU128,
    pub(crate) span: NonZeroU64,
    /// `None`: the client leaves it to its server, which B3 allows.
    pub(crate) recorded: Option<bool>,
    /// See [`SpanContext::random`].
    pub(crate) random: bool,
    /// `tracestate`, if it is valid.
    pub(crate) state: Option<HeaderValue>,
}

/// A random id.
pub(super) fn trace_id() -> NonZeroU128 {
    NonZeroU128::new(fastrand::u128(..)).unwrap_or(NonZeroU128::MIN)
}

/// A random id.
pub(super) fn span_id() -> NonZeroU64 {
    NonZeroU64::new(fastrand::u64(..)).unwrap_or(NonZeroU64::MIN)
}

/// Writes `number` in hexadecimal digits that fill `out`.
pub(super) fn hex(out: &mut [u8], number: u128) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in out.iter_mut().rev().enumerate() {
        let digit = (number >> (4 * at)) & 0xf;
        *byte = DIGITS.get(digit as usize).copied().unwrap_or(b'0');
    }
}

/// The number that lower-case hexadecimal digits, and nothing else, write.
pub(super) fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The same as a span's id, which is not zero.
pub(super) fn span_number(digits: &[u8]) -> Option<NonZeroU64> {
    NonZeroU64::new(u64::try_from(number(digits)?).ok()?)
}
