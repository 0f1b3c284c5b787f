//! User names and passwords, as they are stored.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;

use crate::PrivateBytes;

/// The users of a route and how they prove who they are (behaviour.md 1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Realm of the challenge; may be empty.
    pub realm: Arc<str>,
    /// A digest of the users and the realm. Results of former checks are kept under it, so a changed file forgets them.
    pub identity: PrivateBytes,
    /// Who may log in.
    pub users: Users,
}

/// Users by authentication scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Users {
    /// The client sends the password (RFC 7617).
    Basic(BasicUsers),
    /// The client proves that it knows the password (RFC 7616, MD5).
    Digest(DigestUsers),
}

/// Users with the hashes of their passwords.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct BasicUsers {
    /// `WWW-Authenticate` of a 401 response.
    pub challenge: Option<HeaderValue>,
    /// Hashes by user name.
    pub hashes: BTreeMap<Box<[u8]>, PasswordHash>,
    /// The hash that takes longest to verify. It is verified for unknown users too, so that the time does not tell them
    /// from known ones.
    pub slowest: Option<PasswordHash>,
}

/// Users with MD5(user:realm:password), for the realm of their [`Credentials`].
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DigestUsers {
    /// 32 hexadecimal digits as in the file, by user name.
    pub secrets: BTreeMap<Box<[u8]>, PrivateBytes>,
    /// Key of nonces, the same in every replica; `None`: each process makes its own.
    pub nonce_key: Option<PrivateBytes>,
}

/// The stored form of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    /// Its format.
    pub format: HashFormat,
    /// [`HashFormat`] says what it holds.
    pub stored: PrivateBytes,
}

/// Formats of stored passwords, from the cheapest to verify to the most expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashFormat {
    /// `{PLAIN}`: the password.
    Plain,
    /// `{SHA}` and `{SSHA}`: 20 bytes of SHA-1, then the salt.
    Sha1,
    /// Traditional crypt(3): 13 characters.
    DesCrypt,
    /// `$1$`, the whole text.
    Md5Crypt,
    /// `$apr1$`, the whole text.
    Apr1,
    /// `$5$` and `$6$`, the whole text.
    ShaCrypt {
        /// Rounds.
        rounds: u32,
    },
    /// `$2a$`, `$2b$` and `$2y$`, the whole text.
    Bcrypt {
        /// Binary logarithm of the rounds.
        cost: u32,
    },
}

impl HashFormat {
    /// Whether verifying takes so long that a thread with other requests must not do it.
    pub fn is_slow(self) -> bool {
        self > Self::Sha1
    }

    /// The cost in a rough common unit, to find the slowest.
    fn cost(self) -> u64 {
        match self {
            Self::Plain => 0,
            Self::Sha1 => 1,
            Self::DesCrypt => 100,
            Self::Md5Crypt | Self::Apr1 => 300,
            Self::ShaCrypt { rounds } => u64::from(rounds),
            Self::Bcrypt { cost } => 60 << cost.min(40),
        }
    }
}

impl BasicUsers {
    /// Users with these hashes.
    pub fn new(challenge: HeaderValue, hashes: BTreeMap<Box<[u8]>, PasswordHash>) -> Self {
        let slowest = hashes.values().max_by_key(|hash| hash.format.cost());
        Self {
            challenge: Some(challenge),
            slowest: slowest.cloned(),
            hashes,
        }
    }
}

impl Credentials {
    /// Number of users that can log in.
    pub fn len(&self) -> usize {
        match &self.users {
            Users::Basic(users) => users.hashes.len(),
            Users::Digest(users) => users.secrets.len(),
        }
    }

    /// Whether no user can log in.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// Names and hashes of users appear in no output.

impl fmt::Debug for BasicUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasicUsers({})", self.hashes.len())
    }
}

impl fmt::Debug for DigestUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestUsers({})", self.secrets.len())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({:?})", self.format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(format: HashFormat) -> PasswordHash {
        PasswordHash {
            format,
            stored: PrivateBytes(b"hunter2".to_vec()),
        }
    }

    fn basic(formats: &[HashFormat]) -> BasicUsers {
        let user = |(at, format): (usize, &HashFormat)| {
            let name: Box<[u8]> = format!("alice{at}").into_bytes().into();
            (name, hash(*format))
        };
        let hashes = formats.iter().enumerate().map(user).collect();
        BasicUsers::new(HeaderValue::from_static("Basic realm=\"\""), hashes)
    }

    #[test]
    fn the_slowest_hash_is_found() {
        let rounds = |rounds| HashFormat::ShaCrypt { rounds };
        let bcrypt = |cost| HashFormat::Bcrypt { cost };
        for (formats, slowest) in [
            (
                &[HashFormat::Plain, HashFormat::Apr1][..],
                Some(HashFormat::Apr1),
            ),
            (&[rounds(5000), bcrypt(10), bcrypt(5)], Some(bcrypt(10))),
            (&[rounds(1_000_000), bcrypt(5)], Some(rounds(1_000_000))),
            (&[], None),
        ] {
            let found = basic(formats).slowest.map(|hash| hash.format);
            assert_eq!(found, slowest);
        }
    }

    #[test]
    fn only_formats_without_rounds_are_fast() {
        assert!(!HashFormat::Plain.is_slow() && !HashFormat::Sha1.is_slow());
        assert!(HashFormat::DesCrypt.is_slow() && HashFormat::Bcrypt { cost: 4 }.is_slow());
    }

    #[test]
    fn debug_output_has_no_secret() {
        let mut digest = DigestUsers::default();
        digest.secrets.insert(
            b"alice".as_slice().into(),
            PrivateBytes(b"hunter2".to_vec()),
        );
        let basic = Credentials {
            realm: "r".into(),
            identity: PrivateBytes(b"hunter2".to_vec()),
            users: Users::Basic(basic(&[HashFormat::Plain])),
        };
        let shown = format!("{basic:?} {digest:?} {:?}", hash(HashFormat::Plain));
        assert!(
            !shown.contains("alice") && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}
