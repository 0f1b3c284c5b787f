//! Sets of bytes: a literal, a class, `.`.

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ByteSet {
    /// 0 to 127.
    low: u128,
    /// 128 to 255.
    high: u128,
}

impl ByteSet {
    pub(super) const EMPTY: Self = Self { low: 0, high: 0 };
    pub(super) const ALL: Self = Self::EMPTY.complement();

    pub(super) fn of(byte: u8) -> Self {
        let bit = 1_u128 << (byte & 127);
        if byte < 128 {
            Self { low: bit, high: 0 }
        } else {
            Self { low: 0, high: bit }
        }
    }

    /// From `first` to `last`, both included.
    pub(super) fn range(first: u8, last: u8) -> Self {
        (first..=last).fold(Self::EMPTY, |set, byte| set.with(Self::of(byte)))
    }

    pub(super) fn with(self, other: Self) -> Self {
        Self {
            low: self.low | other.low,
            high: self.high | other.high,
        }
    }

    pub(super) const fn complement(self) -> Self {
        Self {
            low: !self.low,
            high: !self.high,
        }
    }

    pub(super) fn contains(self, byte: u8) -> bool {
        let one = Self::of(byte);
        self.low & one.low != 0 || self.high & one.high != 0
    }

    /// With the other case of each ASCII letter in it; PCRE knows no other letters without UTF.
    pub(super) fn without_case(self) -> Self {
        let letters = (b'a'..=b'z').chain(b'A'..=b'Z');
        letters
            .filter(|letter| self.contains(*letter))
            .fold(self, |set, letter| set.with(Self::of(letter ^ 0x20)))
    }

    /// Its ranges in ascending order, first and last byte included.
    pub(super) fn ranges(self) -> Vec<(u8, u8)> {
        let mut ranges: Vec<(u8, u8)> = Vec::new();
        for byte in (0..=u8::MAX).filter(|byte| self.contains(*byte)) {
            match ranges.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(byte) => *last = byte,
                _ => ranges.push((byte, byte)),
            }
        }
        ranges
    }
}
