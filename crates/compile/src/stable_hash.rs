//! A hash for names of objects and cookies, which must stay what they are.

/// FNV-1a, 32 bits: the same in every version of this program and in every replica. It keeps no secret and resists no attack.
pub fn stable_hash(bytes: impl IntoIterator<Item = u8>) -> u32 {
    bytes.into_iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!(stable_hash([]), 0x811c_9dc5);
        assert_eq!(stable_hash(*b"foobar"), 0xbf9c_f968);
    }
}
