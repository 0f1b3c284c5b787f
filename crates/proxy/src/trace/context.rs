//! Identity of a span, and its text.

use std::num::{NonZeroU64, NonZeroU128};

use http::HeaderValue;

/// A span as others refer to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SpanContext {
    pub(crate) trace: NonZeroU128,
    pub(crate) span: NonZeroU64,
    /// The spans of its trace are to be exported.
    pub(crate) sampled: bool,
    /// The trace id is random (W3C Trace Context level 2): passed on with it.
    pub(crate) random: bool,
}

/// The span of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) trace: NonZeroU128,
    pub(crate) span: NonZeroU64,
    /// `None`: the client leaves the decision to its server, which B3 allows.
    pub(crate) sampled: Option<bool>,
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

/// Writes the last bytes of `number` in hexadecimal digits that fill `out`, two for each: every traced request is written, so
/// this is a look-up for each byte.
pub(super) fn hex(out: &mut [u8], number: u128) {
    let bytes = number.to_be_bytes();
    let digits = bytes.iter().rev().map(|byte| PAIRS[usize::from(*byte)]);
    for (out, pair) in out.rchunks_exact_mut(2).zip(digits) {
        out.copy_from_slice(&pair);
    }
}

/// The digits of every byte.
static PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < pairs.len() {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 0xf]];
        byte += 1;
    }
    pairs
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_fill_what_they_are_written_to() {
        let number = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
        for length in [2, 16, 32] {
            let mut out = vec![0; length];
            hex(&mut out, number);
            let all = format!("{number:032x}");
            assert_eq!(out, all.as_bytes()[32 - length..]);
        }
    }
}
