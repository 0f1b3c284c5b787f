//! Formats of stored passwords.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headgate_table::{HashFormat, PasswordHash, PrivateBytes};

use super::Reason;

/// Highest cost of bcrypt: about four seconds.
const MAX_COST: u32 = 16;
/// Most rounds of `$5$` and `$6$`: about one second.
const MAX_ROUNDS: u32 = 2_000_000;
/// Rounds where none are written.
const DEFAULT_ROUNDS: u32 = 5000;
/// Fewest rounds that crypt(3) writes.
const MIN_ROUNDS: u32 = 1000;
/// Bytes of a SHA-1 digest.
const SHA1: usize = 20;

/// The password of `text`.
///
/// # Errors
/// Its format is unknown, or too slow to verify.
pub(super) fn recognize(text: &[u8]) -> Result<PasswordHash, Reason> {
    if let Some(password) = text.strip_prefix(b"{PLAIN}") {
        return Ok(hash(HashFormat::Plain, password.to_vec()));
    }
    if let Some(encoded) = text.strip_prefix(b"{SSHA}") {
        return sha1(encoded, |length| length >= SHA1);
    }
    if let Some(encoded) = text.strip_prefix(b"{SHA}") {
        return sha1(encoded, |length| length == SHA1);
    }
    let format = crypt(text)?;
    Ok(hash(format, text.to_vec()))
}

fn hash(format: HashFormat, stored: Vec<u8>) -> PasswordHash {
    PasswordHash {
        format,
        stored: PrivateBytes(stored),
    }
}

fn sha1(encoded: &[u8], fits: impl Fn(usize) -> bool) -> Result<PasswordHash, Reason> {
    let decoded = STANDARD.decode(encoded);
    let decoded = decoded.map_err(|_| Reason::UnknownHash)?;
    if !fits(decoded.len()) {
        return Err(Reason::UnknownHash);
    }
    Ok(hash(HashFormat::Sha1, decoded))
}

/// The format of crypt(3) that `text` has.
fn crypt(text: &[u8]) -> Result<HashFormat, Reason> {
    let text = std::str::from_utf8(text).map_err(|_| Reason::UnknownHash)?;
    let Some(rest) = text.strip_prefix('$') else {
        return known(is_encoded(text, 13), HashFormat::DesCrypt);
    };
    let (id, rest) = rest.split_once('$').ok_or(Reason::UnknownHash)?;
    match id {
        "apr1" => known(is_md5(rest), HashFormat::Apr1),
        "1" => known(is_md5(rest), HashFormat::Md5Crypt),
        "5" => sha(rest, 43),
        "6" => sha(rest, 86),
        "2a" | "2b" | "2y" => bcrypt(rest),
        _ => Err(Reason::UnknownHash),
    }
}

fn known(is_known: bool, format: HashFormat) -> Result<HashFormat, Reason> {
    is_known.then_some(format).ok_or(Reason::UnknownHash)
}

/// `salt$digest`, with at most 8 characters of salt.
fn is_md5(text: &str) -> bool {
    let parts = text.split_once('$');
    parts.is_some_and(|(salt, digest)| salt.len() <= 8 && is_encoded(digest, 22))
}

/// `[rounds=N$]salt$digest`, with at most 16 characters of salt.
fn sha(text: &str, length: usize) -> Result<HashFormat, Reason> {
    let (rounds, text) = match text.strip_prefix("rounds=") {
        None => (DEFAULT_ROUNDS, text),
        Some(text) => {
            let (rounds, text) = text.split_once('$').ok_or(Reason::UnknownHash)?;
            let rounds = rounds.parse().map_err(|_| Reason::UnknownHash)?;
            (rounds, text)
        }
    };
    let (salt, digest) = text.split_once('$').ok_or(Reason::UnknownHash)?;
    if rounds < MIN_ROUNDS || salt.len() > 16 || !is_encoded(digest, length) {
        return Err(Reason::UnknownHash);
    }
    if rounds > MAX_ROUNDS {
        return Err(Reason::TooSlow);
    }
    Ok(HashFormat::ShaCrypt { rounds })
}

/// `NN$` and 53 characters of salt and digest.
fn bcrypt(text: &str) -> Result<HashFormat, Reason> {
    let (cost, digest) = text.split_once('$').ok_or(Reason::UnknownHash)?;
    let has_two_digits = cost.len() == 2 && cost.bytes().all(|byte| byte.is_ascii_digit());
    let cost: u32 = cost.parse().map_err(|_| Reason::UnknownHash)?;
    if !has_two_digits || !(4..=31).contains(&cost) || !is_encoded(digest, 53) {
        return Err(Reason::UnknownHash);
    }
    if cost > MAX_COST {
        return Err(Reason::TooSlow);
    }
    Ok(HashFormat::Bcrypt { cost })
}

/// Whether `text` is `length` characters of crypt(3)'s alphabet.
fn is_encoded(text: &str, length: usize) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/');
    text.len() == length && text.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let bcrypt = |prefix: &str| format!("{prefix}{}", "a".repeat(53));
        let sha = |prefix: &str, length| format!("{prefix}{}", "a".repeat(length));
        let unknown = Err(Reason::UnknownHash);
        for (text, expected) in [
            ("{PLAIN}".to_owned(), Ok(HashFormat::Plain)),
            (
                "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=".into(),
                Ok(HashFormat::Sha1),
            ),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9hh".into(), unknown),
            ("{SHA}!".into(), unknown),
            (
                "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9hh".into(),
                Ok(HashFormat::Sha1),
            ),
            ("{SSHA}W6ph".into(), unknown),
            (
                "$apr1$salt$0123456789012345678901".into(),
                Ok(HashFormat::Apr1),
            ),
            ("$apr1$123456789$0123456789012345678901".into(), unknown),
            (
                "$1$$0123456789012345678901".into(),
                Ok(HashFormat::Md5Crypt),
            ),
            ("$1$012345678901234567890".into(), unknown),
            (sha("$5$s$", 43), Ok(HashFormat::ShaCrypt { rounds: 5000 })),
            (
                sha("$6$rounds=1000$s$", 86),
                Ok(HashFormat::ShaCrypt { rounds: 1000 }),
            ),
            (sha("$6$rounds=999$s$", 86), unknown),
            (sha("$6$rounds=2000001$s$", 86), Err(Reason::TooSlow)),
            (sha("$6$s$", 43), unknown),
            (bcrypt("$2y$10$"), Ok(HashFormat::Bcrypt { cost: 10 })),
            (bcrypt("$2a$04$"), Ok(HashFormat::Bcrypt { cost: 4 })),
            (bcrypt("$2b$17$"), Err(Reason::TooSlow)),
            (bcrypt("$2b$03$"), unknown),
            (bcrypt("$2b$+9$"), unknown),
            (bcrypt("$2x$10$"), unknown),
            ("$2y$10$short".into(), unknown),
            ("rqXexS6ZhobKA".into(), Ok(HashFormat::DesCrypt)),
            ("rqXexS6ZhobK".into(), unknown),
            ("rqXexS6Zhob A".into(), unknown),
            (String::new(), unknown),
            ("$".into(), unknown),
            ("$y$j9T$x$y".into(), unknown),
        ] {
            let found = recognize(text.as_bytes()).map(|hash| hash.format);
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(recognize(b"\xff").err(), Some(Reason::UnknownHash));
    }
}
