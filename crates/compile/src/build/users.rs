//! Users in the format of htpasswd and htdigest: one `name:hash` or `name:realm:hash` a line.
//!
//! As nginx reads it: a line that begins with `#` is a comment, the first line of a user counts, and a hash ends at a colon or
//! the end of the line.

mod hash;

use std::collections::BTreeMap;

use headgate_table::{PasswordHash, PrivateBytes};

/// A line with which no user can log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unusable {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) reason: Reason,
}

/// Why no user can log in with a line. It never contains text of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A field is missing.
    Incomplete,
    /// The hash has no known format.
    UnknownHash,
    /// A password could not be verified within seconds.
    TooSlow,
    /// A former line has the same user.
    Repeated,
    /// The user is one of another realm.
    OtherRealm,
}

impl Reason {
    /// What is wrong, and what would be right.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Incomplete => {
                "a field is missing; a line must be name:hash, for digest name:realm:hash"
            }
            Self::UnknownHash => {
                "the hash has no known format; it must be bcrypt ($2y$, $2a$, $2b$), $apr1$, $1$, $5$, $6$, {SHA}, {SSHA}, \
                 {PLAIN} or 13 characters of crypt, for digest 32 hexadecimal digits"
            }
            Self::TooSlow => {
                "verifying would take seconds; bcrypt may have a cost of 16, $5$ and $6$ 2000000 rounds"
            }
            Self::Repeated => "a former line has the same user, and counts",
            Self::OtherRealm => "its realm is not that of the challenge",
        }
    }
}

/// The users of a file by name.
#[derive(Debug)]
pub(crate) struct Parsed<T> {
    pub(crate) users: BTreeMap<Box<[u8]>, T>,
    pub(crate) unusable: Vec<Unusable>,
}

impl<T> Default for Parsed<T> {
    fn default() -> Self {
        Self {
            users: BTreeMap::new(),
            unusable: Vec::new(),
        }
    }
}

impl Parsed<PasswordHash> {
    /// Adds the lines of a file for Basic authentication; returns what is wrong with them.
    pub(crate) fn add_basic(&mut self, text: &[u8]) {
        self.add(text, |rest| hash::recognize(first_field(rest)));
    }
}

impl Parsed<PrivateBytes> {
    /// Adds the lines of a file for digest authentication in `realm`.
    pub(crate) fn add_digest(&mut self, text: &[u8], realm: &str) {
        self.add(text, |rest| {
            let (found, rest) = split(rest).ok_or(Reason::Incomplete)?;
            if found != realm.as_bytes() {
                return Err(Reason::OtherRealm);
            }
            let hash = first_field(rest);
            let is_hash = hash.len() == 32 && hash.iter().all(u8::is_ascii_hexdigit);
            is_hash
                .then(|| PrivateBytes(hash.to_vec()))
                .ok_or(Reason::UnknownHash)
        });
    }
}

impl<T> Parsed<T> {
    fn add(&mut self, text: &[u8], read: impl Fn(&[u8]) -> Result<T, Reason>) {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        for (at, line) in
            lines.filter(|(_, line)| !matches!(line.first(), None | Some(b'#' | b'\r')))
        {
            let result = self.add_line(line, &read);
            self.unusable.extend(result.err().map(|reason| Unusable {
                line: at + 1,
                reason,
            }));
        }
    }

    fn add_line(
        &mut self,
        line: &[u8],
        read: impl Fn(&[u8]) -> Result<T, Reason>,
    ) -> Result<(), Reason> {
        let (name, rest) = split(line).ok_or(Reason::Incomplete)?;
        if self.users.contains_key(name) {
            return Err(Reason::Repeated);
        }
        let read = read(rest)?;
        self.users.insert(name.into(), read);
        Ok(())
    }
}

/// The text before and after the first colon.
fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some((text.get(..colon)?, text.get(colon + 1..)?))
}

/// The text up to a colon or the end of the line.
fn first_field(text: &[u8]) -> &[u8] {
    let mut fields = text.split(|byte| matches!(byte, b':' | b'\r'));
    fields.next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    fn names<T>(parsed: &Parsed<T>) -> Vec<String> {
        let names = parsed.users.keys();
        names
            .map(|name| String::from_utf8(name.to_vec()).unwrap())
            .collect()
    }

    fn unusable<T>(parsed: &Parsed<T>) -> Vec<(usize, Reason)> {
        let pair = |unusable: &Unusable| (unusable.line, unusable.reason);
        parsed.unusable.iter().map(pair).collect()
    }

    #[test]
    fn basic_files_are_read_as_nginx_reads_them() {
        let mut parsed = Parsed::default();
        parsed.add_basic(
            b"# users\n\nalice:{PLAIN}a:comment\r\n\r\nbob\nbob:{PLAIN}b\nalice:{PLAIN}c\ncarol:plain text\n:{PLAIN}\nlast:{PLAIN}x",
        );
        assert_eq!(names(&parsed), ["", "alice", "bob", "last"]);
        assert_eq!(
            unusable(&parsed),
            [
                (5, Reason::Incomplete),
                (7, Reason::Repeated),
                (8, Reason::UnknownHash)
            ]
        );
        assert_eq!(parsed.users[b"alice".as_slice()].stored.0, b"a");
    }

    #[test]
    fn an_unusable_line_does_not_hide_a_later_one() {
        let mut parsed = Parsed::default();
        parsed.add_basic(b"a:?\na:{PLAIN}x\n");
        assert_eq!(names(&parsed), ["a"]);
    }

    #[test]
    fn digest_files_are_of_one_realm() {
        let mut parsed = Parsed::default();
        let hash = "0123456789abcdef0123456789ABCDEF";
        let text = format!("a:r:{hash}\nb:other:{hash}\nc:r:short\nd:{hash}\ne:r:{hash}:x\r\n");
        parsed.add_digest(text.as_bytes(), "r");
        assert_eq!(names(&parsed), ["a", "e"]);
        assert_eq!(
            unusable(&parsed),
            [
                (2, Reason::OtherRealm),
                (3, Reason::UnknownHash),
                (4, Reason::Incomplete)
            ]
        );
        assert_eq!(parsed.users[b"e".as_slice()].0, hash.as_bytes());
    }

    /// Each line gives a user or a reason, and no user has two.
    fn is_a_file(text: &[u8]) {
        let lines = text.split(|byte| *byte == b'\n').count();
        let mut basic = Parsed::default();
        basic.add_basic(text);
        let mut digest = Parsed::default();
        digest.add_digest(text, "r");
        for (users, unusable) in [
            (basic.users.len(), unusable(&basic)),
            (digest.users.len(), unusable(&digest)),
        ] {
            assert!(users + unusable.len() <= lines);
            assert!(unusable.iter().all(|(line, _)| (1..=lines).contains(line)));
        }
        for hash in digest.users.values() {
            assert!(hash.0.len() == 32);
        }
    }

    #[test]
    fn fuzz_users() {
        headgate_fuzz::check("users", is_a_file);
    }
}
