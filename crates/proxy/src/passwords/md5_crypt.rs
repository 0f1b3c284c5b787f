//! The MD5 of crypt(3) (`$1$`) and of Apache (`$apr1$`), which differ in the magic text alone.
//!
//! It is here because the one crate that has it brings second versions of five others, which the dependency rules exclude.

use md5::{Digest as _, Md5};

/// Characters of an encoded digest.
const LENGTH: usize = 22;
const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// The bytes of the digest in the order in which they are encoded, three at a time.
const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];

/// The encoded digest of `password`.
pub(super) fn digest(magic: &[u8], salt: &[u8], password: &[u8]) -> Vec<u8> {
    let mut last: [u8; 16] = Md5::new()
        .chain_update(password)
        .chain_update(salt)
        .chain_update(password)
        .finalize()
        .into();
    let mut first = Md5::new()
        .chain_update(password)
        .chain_update(magic)
        .chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        let length = left.min(last.len());
        first.update(&last[..length]);
        left -= length;
    }
    // An oddity of the original: a NUL, or the first character of the password.
    let mut bits = password.len();
    while bits > 0 {
        match password.first().filter(|_| bits & 1 == 0) {
            Some(character) => first.update([*character]),
            None => first.update([0]),
        }
        bits >>= 1;
    }
    last = first.finalize().into();
    for round in 0..1000 {
        last = stretch(round, last, (salt, password));
    }
    encode(&last)
}

fn stretch(round: u32, last: [u8; 16], (salt, password): (&[u8], &[u8])) -> [u8; 16] {
    let is_odd = round & 1 == 1;
    let mut hash = Md5::new();
    hash.update(if is_odd { password } else { &last });
    if !round.is_multiple_of(3) {
        hash.update(salt);
    }
    if !round.is_multiple_of(7) {
        hash.update(password);
    }
    hash.update(if is_odd { &last } else { password });
    hash.finalize().into()
}

fn encode(digest: &[u8; 16]) -> Vec<u8> {
    let mut text = Vec::with_capacity(LENGTH);
    for [high, middle, low] in ORDER {
        let bits = u32::from_be_bytes([0, digest[high], digest[middle], digest[low]]);
        characters(&mut text, bits, 4);
    }
    characters(&mut text, u32::from(digest[11]), 2);
    text
}

/// Adds `count` characters of six bits each, the lowest first.
fn characters(text: &mut Vec<u8>, mut bits: u32, count: usize) {
    for _ in 0..count {
        text.push(ALPHABET[(bits & 63) as usize]);
        bits >>= 6;
    }
}
