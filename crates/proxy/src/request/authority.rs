//! Host names of requests in canonical form.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// Longest host name, bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// `Host` or `:authority` in canonical form, as hosts are looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authority<'t> {
    /// Lower-case, without final dot; an IPv6 address keeps its brackets. Never empty.
    pub(crate) name: Cow<'t, str>,
    /// The host as sent, without port.
    pub(crate) sent: &'t str,
    /// As sent; `None`: no port was sent.
    pub(crate) port: Option<u16>,
}

impl<'t> Authority<'t> {
    /// Parses `host [ ":" port ]` (RFC 3986 section 3.2.2) without userinfo, percent-encoding and commas, which are legal but
    /// differ in meaning from server to server. `None`: not a host. Allocates only to change the spelling.
    pub(crate) fn parse(text: &'t [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (sent, name, port) = if text.starts_with('[') {
            let end = text.find(']')?;
            let (sent, rest) = text.split_at(end.checked_add(1)?);
            (sent, address(sent)?, rest)
        } else {
            let end = memchr::memchr(b':', text.as_bytes()).unwrap_or(text.len());
            let (sent, rest) = text.split_at(end);
            (sent, registered(sent)?, rest)
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some(digits) => Some(number(digits)?),
        };
        Some(Self {
            name: lower(name),
            sent,
            port,
        })
    }
}

/// A port: one to five digits, no sign.
pub(super) fn number(digits: &str) -> Option<u16> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn address(bracketed: &str) -> Option<&str> {
    let inner = bracketed.strip_prefix('[')?.strip_suffix(']')?;
    inner.parse::<Ipv6Addr>().ok().map(|_| bracketed)
}

/// A name or an IPv4 address, which has the syntax of a name.
fn registered(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let legal = !name.is_empty()
        && name.len() <= MAX_NAME
        && name.bytes().all(is_name_byte)
        && !name.ends_with('.')
        && !name.contains("..");
    legal.then_some(name)
}

/// `unreserved` and `sub-delims` of RFC 3986 without the comma, which joins two Host lines.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b';'
                | b'='
        )
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Option<(String, Option<u16>)> {
        Authority::parse(text.as_bytes()).map(|a| (a.name.into_owned(), a.port))
    }

    #[test]
    fn one_spelling() {
        for (text, name, port) in [
            ("shop.example", "shop.example", None),
            ("SHOP.Example.", "shop.example", None),
            ("shop.example:8080", "shop.example", Some(8080)),
            ("shop.example.:80", "shop.example", Some(80)),
            ("10.0.0.1:65535", "10.0.0.1", Some(65535)),
            ("[2001:DB8::1]:443", "[2001:db8::1]", Some(443)),
            ("[::1]", "[::1]", None),
            ("a_b", "a_b", None),
        ] {
            assert_eq!(read(text), Some((name.to_owned(), port)), "{text}");
            let sent = Authority::parse(text.as_bytes()).unwrap().sent;
            let with_port = port.map(|port| format!("{sent}:{port}"));
            assert_eq!(with_port.unwrap_or_else(|| sent.to_owned()), text);
        }
    }

    #[test]
    fn what_is_not_a_host() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "a b",
            "u@a",
            "a/b",
            "a,b",
            "a%2eb",
            "a:b:c",
            "a:",
            "a:x",
            "a:+8",
            "a:123456",
            "a:70000",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%25eth0]",
            "[v1.x]",
            "a?b",
            "a#b",
            "a\\b",
            "a\"b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Authority::parse(b"a\xff"), None);
        assert_eq!(Authority::parse(b"a\0"), None);
        assert_eq!(read(&"a".repeat(256)), None);
    }

    #[test]
    fn canonical_names_are_borrowed() {
        assert!(matches!(
            Authority::parse(b"shop.example:80").unwrap().name,
            Cow::Borrowed(_)
        ));
    }

    /// A canonical name is its own canonical name, and nothing that servers read in different ways.
    fn is_canonical(bytes: &[u8]) {
        let Some(first) = Authority::parse(bytes) else {
            return;
        };
        let second = Authority::parse(first.name.as_bytes()).unwrap();
        assert_eq!((&second.name, second.port), (&first.name, None));
        assert!(!first.name.is_empty() && !first.name.ends_with('.'));
        assert!(!first.name.bytes().any(|b| b.is_ascii_uppercase()));
        assert!(!first.name.contains(['/', '@', '%', ',', ' ']));
    }

    #[test]
    fn fuzz_authority() {
        headgate_fuzz::check("authority", is_canonical);
    }

    proptest! {
        #[test]
        fn names_are_canonical(text in "[a-zA-Z0-9.:\\[\\]%@_~*-]{0,20}") {
            is_canonical(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_canonical_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            is_canonical(&bytes);
        }
    }
}
