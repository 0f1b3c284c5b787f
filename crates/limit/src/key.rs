//! The key under which a client is counted.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::OnceLock,
};

/// First half of the key of an IPv4 address.
const IPV4: u64 = 1;
/// First half of the key of an IPv6 network.
const IPV6: u64 = 2;

/// The key under which a client is counted: 16 bytes, made from its address or from a text.
///
/// Addresses give the same key in every process. Text is hashed with seeds drawn at random when the process starts, so
/// that a client cannot choose a text that shares another client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    kind: u64,
    value: u64,
}

/// Each IPv4 address is one client, also inside IPv6 (`::ffff:0:0/96`; the NAT64 prefix `64:ff9b::/96` of RFC 6052, else
/// the whole of IPv4 behind a translator would be one client). Any other IPv6 address counts as its /64 network, the least
/// that a subscriber has: counted by address, a subscriber would have 2^64 quotas.
impl From<IpAddr> for Key {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::ipv4(address),
            IpAddr::V6(address) => {
                embedded_ipv4(address).map_or_else(|| Self::network(address), Self::ipv4)
            }
        }
    }
}

impl Key {
    /// The key of a text such as the value of a header field, or `None` for an empty one: such a request is not limited
    /// (behaviour.md 1.3).
    #[must_use]
    pub fn from_text(text: impl AsRef<[u8]>) -> Option<Self> {
        // The standard library's SipHash, and twice: with a weaker or shorter hash a client could search for collisions.
        static SEEDS: OnceLock<[RandomState; 2]> = OnceLock::new();

        let text = text.as_ref();
        if text.is_empty() {
            return None;
        }
        let [kind, value] = SEEDS.get_or_init(Default::default);
        Some(Self {
            kind: kind.hash_one(text),
            value: value.hash_one(text),
        })
    }

    fn ipv4(address: Ipv4Addr) -> Self {
        Self {
            kind: IPV4,
            value: u64::from(address.to_bits()),
        }
    }

    fn network(address: Ipv6Addr) -> Self {
        let [a, b, c, d, ..] = address.segments();
        let value = [a, b, c, d]
            .into_iter()
            .fold(0, |bits, segment| (bits << 16) | u64::from(segment));
        Self { kind: IPV6, value }
    }
}

fn embedded_ipv4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(
            Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

    use super::*;

    fn key(address: &str) -> Key {
        Key::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn each_ipv4_address_is_a_client() {
        assert_eq!(key("192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn ipv6_addresses_count_by_their_network() {
        assert_eq!(
            key("2001:db8:1:2::1"),
            key("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db9:1:2::1"));
    }

    #[test]
    fn ipv4_inside_ipv6_is_ipv4() {
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_eq!(key("64:ff9b::192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("64:ff9b::192.0.2.1"), key("64:ff9b::192.0.2.2"));
        assert_eq!(
            key("64:ff9b:1::192.0.2.1"),
            key("64:ff9b:1::192.0.2.2"),
            "not the well-known prefix"
        );
    }

    #[test]
    fn a_network_is_never_an_ipv4_address() {
        assert_ne!(key("0:0:c000:201::"), key("192.0.2.1"));
    }

    #[test]
    fn texts_count_by_their_bytes() {
        assert_eq!(Key::from_text("alice"), Key::from_text(b"alice"));
        assert_ne!(Key::from_text("alice"), Key::from_text("bob"));
        assert_ne!(Key::from_text("192.0.2.1"), Some(key("192.0.2.1")));
        assert_eq!(Key::from_text(""), None);
    }

    #[test]
    fn keys_are_small() {
        assert_eq!(size_of::<Key>(), 16);
    }
}
