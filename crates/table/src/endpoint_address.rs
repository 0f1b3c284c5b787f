//! Which addresses may be endpoints.

use std::net::{IpAddr, Ipv6Addr};

/// Whether `address` may be an endpoint: never an unspecified, link-local (clouds serve the credentials of the node
/// there), multicast or broadcast address; loopback only if `loopback`, because what listens there trusts the machine.
pub fn may_be_endpoint(address: IpAddr, loopback: bool) -> bool {
    let address = address.to_canonical();
    let never = address.is_unspecified() || address.is_multicast() || is_of_link(address);
    !never && (loopback || !address.is_loopback())
}

fn is_of_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        // The last one is the metadata address of a large cloud, which is not link-local.
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn link_local_and_loopback_addresses_are_refused() {
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
        ] {
            assert!(
                !may_be_endpoint(refused.parse().unwrap(), true),
                "{refused}"
            );
        }
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(
                !may_be_endpoint(loopback.parse().unwrap(), false),
                "{loopback}"
            );
            assert!(
                may_be_endpoint(loopback.parse().unwrap(), true),
                "{loopback}"
            );
        }
        for plain in ["10.0.0.1", "192.168.0.1", "fd00::1", "2001:db8::1"] {
            assert!(may_be_endpoint(plain.parse().unwrap(), false), "{plain}");
        }
    }
}
