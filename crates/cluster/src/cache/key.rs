//! The key that encrypts the cache.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::CacheError;

/// Fewer bytes could be guessed.
const SHORTEST: usize = 16;

/// A key of 32 bytes. It prints as nothing, and is overwritten when it is dropped.
#[derive(Clone)]
pub struct CacheKey(Arc<Zeroizing<[u8; 32]>>);

impl CacheKey {
    /// Reads a file: 32 bytes as they are, or in base64 or hexadecimal; anything else of at least 16 bytes is hashed.
    pub(super) fn read(file: &Path) -> Result<Self, CacheError> {
        let name = || file.display().to_string();
        let content = std::fs::read(file).map_err(|source| CacheError::KeyFile {
            file: name(),
            source,
        })?;
        let content = Zeroizing::new(content);
        Self::of(&content).ok_or_else(|| CacheError::ShortKey {
            file: name(),
            length: content.trim_ascii().len(),
        })
    }

    fn of(content: &[u8]) -> Option<Self> {
        let text = content.trim_ascii();
        let key = exact(content)
            .or_else(|| exact(text))
            .or_else(|| exact(&Zeroizing::new(STANDARD.decode(text).ok()?)))
            .or_else(|| exact(&Zeroizing::new(from_hex(text)?)))
            .or_else(|| {
                let hash = || digest::digest(&digest::SHA256, text);
                (text.len() >= SHORTEST)
                    .then(hash)
                    .and_then(|hash| exact(hash.as_ref()))
            });
        key.map(|key| Self(Arc::new(key)))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey")
    }
}

fn exact(bytes: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    bytes.try_into().ok().map(Zeroizing::new)
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pair = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok();
    pairs.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failure is the test's result")]

    use super::*;

    #[test]
    fn all_encodings_of_a_key_are_equal() {
        let raw: Vec<u8> = (100..132).collect();
        let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
        let base64 = STANDARD.encode(&raw);
        let key = |content: &[u8]| *CacheKey::of(content).unwrap().bytes();
        assert_eq!(key(&raw)[..], raw);
        assert_eq!(key(format!("{hex}\n").as_bytes())[..], raw);
        assert_eq!(key(format!("{base64}\n").as_bytes())[..], raw);
        assert_ne!(key(b"a phrase of some length")[..], raw);
        assert!(CacheKey::of(b"too short").is_none());
    }

    #[test]
    fn a_key_prints_as_nothing() {
        let key = CacheKey::of(&[b'k'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "CacheKey");
    }
}
