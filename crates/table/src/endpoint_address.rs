//! Which addresses may be endpoints.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services of large clouds, which serve the credentials of the node and are not link-local.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Whether `address` may be an endpoint: never an unspecified, link-local (clouds serve the credentials of the node
/// there), multicast, broadcast or metadata address; loopback only if `loopback`, because what listens there trusts the
/// machine. An IPv6 address that stands for an IPv4 address may be one only if that one may.
pub fn may_be_endpoint(address: IpAddr, loopback: bool) -> bool {
    let inner = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => translated(v6),
    };
    let may = |address: IpAddr| {
        let never = address.is_unspecified()
            || address.is_multicast()
            || is_of_link(address)
            || METADATA.contains(&address);
        !never && (loopback || !address.is_loopback())
    };
    may(address) && inner.is_none_or(|inner| may(inner.into()))
}

fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// The IPv4 address that packets to `address` may end at: IPv4-mapped and the former IPv4-compatible ones (RFC 4291), NAT64
/// (RFC 6052, RFC 8215), IPv4-translated (RFC 2765) and 6to4 (RFC 3056).
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let ipv4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Neither stands for an IPv4 address.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x64, 0xff9b, 1, _, _, _, high, low]
        | [0x2002, high, low, ..] => Some(ipv4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn may(address: &str, loopback: bool) -> bool {
        may_be_endpoint(address.parse().unwrap(), loopback)
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_with_any_flag() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "fe80::1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fd00:ec2::254",
            "fd20:ce::254",
        ] {
            assert!(!may(refused, true), "{refused}");
        }
    }

    #[test]
    fn loopback_addresses_need_the_flag() {
        for loopback in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(!may(loopback, false), "{loopback}");
            assert!(may(loopback, true), "{loopback}");
        }
        for plain in [
            "10.0.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "fd00::1",
            "2001:db8::1",
        ] {
            assert!(may(plain, false), "{plain}");
        }
    }

    #[test]
    fn an_address_that_stands_for_another_is_refused_with_it() {
        type Spelling = fn(Ipv4Addr) -> String;
        let spellings: [Spelling; 6] = [
            |v4| format!("::ffff:{v4}"),
            |v4| format!("::{v4}"),
            |v4| format!("::ffff:0:{v4}"),
            |v4| format!("64:ff9b::{v4}"),
            |v4| format!("64:ff9b:1::{v4}"),
            |v4| {
                let [a, b, c, d] = v4.octets();
                format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1")
            },
        ];
        for spelling in spellings {
            for never in ["169.254.169.254", "0.0.0.1", "100.100.100.200", "224.0.0.1"] {
                // `::1` is loopback, and no spelling of 0.0.0.1.
                let text = spelling(never.parse().unwrap());
                assert!(text == "::0.0.0.1" || !may(&text, true), "{text}");
            }
            let text = spelling(Ipv4Addr::LOCALHOST);
            assert!(!may(&text, false) && may(&text, true), "{text}");
            let text = spelling(Ipv4Addr::new(10, 0, 0, 1));
            assert!(may(&text, false), "{text}");
        }
    }
}
