//! Hashes that cannot be predicted without their key (HMAC-SHA256).

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

/// A hash of some parts under a key.
pub(crate) type Digest = [u8; 32];

/// The key of hashes.
pub(crate) struct HashKey(hmac::Key);

impl HashKey {
    /// A key for this process: its hashes cannot be chosen, or compared with those of others.
    pub(crate) fn random() -> Self {
        let mut key = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *key).expect("the system has randomness, which TLS needs too");
        Self::new(&*key)
    }

    /// A key of these bytes.
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The hash of `parts`, each preceded by its length, so that they do not run together.
    pub(crate) fn hash(&self, parts: &[&[u8]]) -> Digest {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        for (to, from) in out.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        let key = HashKey::random();
        assert_ne!(key.hash(&[b"ab", b"c"]), key.hash(&[b"a", b"bc"]));
        assert_eq!(key.hash(&[b"a"]), key.hash(&[b"a"]));
        assert_ne!(HashKey::random().hash(&[b"a"]), key.hash(&[b"a"]));
    }
}
