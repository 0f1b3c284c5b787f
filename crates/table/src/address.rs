//! Sets of client addresses.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// A set of addresses made of networks. Lookups take logarithmic time.
///
/// IPv4 networks match IPv4 addresses and IPv4-mapped IPv6 addresses alike; an IPv6 network never matches IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpSet {
    v4: Ranges,
    v6: Ranges,
    nets: Vec<IpNet>,
}

/// Sorted, disjoint, inclusive ranges of addresses as numbers.
type Ranges = Vec<(u128, u128)>;

impl IpSet {
    /// The set of all addresses in `nets`.
    pub fn new(nets: impl IntoIterator<Item = IpNet>) -> Self {
        let nets: Vec<IpNet> = nets.into_iter().collect();
        let (mut v4, mut v6) = (Ranges::new(), Ranges::new());
        for net in &nets {
            let range = (number(net.network()), number(net.broadcast()));
            if net.network().is_ipv4() {
                v4.push(range)
            } else {
                v6.push(range)
            }
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
            nets,
        }
    }

    /// Whether `address` is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let ranges = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let n = number(address);
        let after = ranges.partition_point(|(start, _)| *start <= n);
        after
            .checked_sub(1)
            .and_then(|i| ranges.get(i))
            .is_some_and(|(_, end)| n <= *end)
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// The networks as passed to [`IpSet::new`].
    pub fn nets(&self) -> &[IpNet] {
        &self.nets
    }
}

impl FromIterator<IpNet> for IpSet {
    fn from_iter<T: IntoIterator<Item = IpNet>>(nets: T) -> Self {
        Self::new(nets)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(Ipv6Addr::from(v6.octets())),
    }
}

fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    let mut out: Ranges = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match out.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn set(nets: &[&str]) -> IpSet {
        nets.iter().map(|n| n.parse::<IpNet>().unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn nested_and_overlapping_networks() {
        let s = set(&["10.0.0.0/8", "10.1.0.0/16", "192.168.1.7/32", "fd00::/8"]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "192.168.1.7",
            "fdff::1",
            "::ffff:10.2.3.4",
        ] {
            assert!(s.contains(ip(inside)), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.168.1.8",
            "fe80::1",
            "::a00:1",
        ] {
            assert!(!s.contains(ip(outside)), "{outside}");
        }
    }

    #[test]
    fn all_of_ipv4_is_not_ipv6() {
        assert!(set(&["0.0.0.0/0"]).contains(ip("1.2.3.4")));
        assert!(!set(&["0.0.0.0/0"]).contains(ip("2001:db8::1")));
    }
}
