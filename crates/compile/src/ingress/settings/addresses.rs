//! The addresses to listen on and to connect to.

use std::net::{IpAddr, SocketAddr};

use super::read::Source;
use super::registry::{Setting, inert, setting};
use crate::build::HttpListeners;
use crate::ingress::registry::{keys, types};

keys! { Setting {
    BIND_ADDRESS: Vec<String> =
        setting("bind-address", types::LIST, "",
            "Addresses to listen on for HTTP and HTTPS, instead of the flag's; a family of which none is listed keeps those.");
    BIND_ADDRESS_IPV4: String = inert("bind-address-ipv4", "", "Computed from bind-address inside ingress-nginx.");
    BIND_ADDRESS_IPV6: String = inert("bind-address-ipv6", "", "Computed from bind-address inside ingress-nginx.");
    DISABLE_IPV6: bool = setting("disable-ipv6", types::BOOL, "false", "Listens on IPv4 addresses only.");
    DISABLE_IPV6_DNS: bool =
        setting("disable-ipv6-dns", types::BOOL, "false", "Queries DNS for IPv4 addresses only.");
} }

/// The addresses to listen on, as far as settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ListenAddresses {
    listed: Vec<IpAddr>,
    no_ipv6: bool,
}

impl ListenAddresses {
    /// An address that is none is left out, with a warning.
    pub(super) fn read(source: &mut Source<'_>) -> Self {
        let parse = |text: &str| {
            text.parse::<IpAddr>()
                .map_err(|_| format!("\"{}\" is not an IP address", text.escape_debug()))
        };
        Self {
            listed: source.each(&BIND_ADDRESS, parse).unwrap_or_default(),
            no_ipv6: source.get(&DISABLE_IPV6),
        }
    }

    /// The listeners, where the flags say `flags`. Without any address that settings allow, those of the flags stay.
    pub(crate) fn apply(&self, flags: &HttpListeners) -> HttpListeners {
        HttpListeners {
            http: self.of_port(&flags.http),
            https: self.of_port(&flags.https),
        }
    }

    fn of_port(&self, flags: &[SocketAddr]) -> Vec<SocketAddr> {
        let Some(port) = flags.first().map(SocketAddr::port) else {
            return Vec::new();
        };
        let mut addresses = Vec::new();
        for ipv6 in [false, true] {
            if ipv6 && self.no_ipv6 {
                continue;
            }
            let mut listed = self
                .listed
                .iter()
                .filter(|ip| ip.is_ipv6() == ipv6)
                .peekable();
            if listed.peek().is_some() {
                addresses.extend(listed.map(|ip| SocketAddr::new(*ip, port)));
            } else {
                addresses.extend(flags.iter().filter(|address| address.is_ipv6() == ipv6));
            }
        }
        addresses.dedup();
        if addresses.is_empty() {
            return flags.to_vec();
        }
        addresses
    }
}

/// Whether names resolve to IPv4 addresses only.
pub(super) fn ipv4_only_names(source: &Source<'_>) -> bool {
    source.get(&DISABLE_IPV6_DNS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;

    fn listen(listed: &[&str], no_ipv6: bool, flags: &[&str]) -> Vec<String> {
        let addresses = ListenAddresses {
            listed: listed.iter().map(|text| text.parse().unwrap()).collect(),
            no_ipv6,
        };
        let flags: Vec<SocketAddr> = flags.iter().map(|text| text.parse().unwrap()).collect();
        let listeners = addresses.apply(&HttpListeners {
            http: flags,
            https: Vec::new(),
        });
        assert!(listeners.https.is_empty());
        listeners.http.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_family_has_its_own_addresses() {
        let all = ["0.0.0.0:80", "[::]:80"];
        assert_eq!(listen(&[], false, &all), all);
        assert_eq!(listen(&[], true, &all), ["0.0.0.0:80"]);
        let listed = ["192.0.2.1", "192.0.2.2"];
        let expected = ["192.0.2.1:80", "192.0.2.2:80", "[::]:80"];
        assert_eq!(listen(&listed, false, &all), expected);
        assert_eq!(listen(&listed, true, &all), expected[..2]);
        let expected = ["0.0.0.0:80", "[2001:db8::1]:80"];
        assert_eq!(listen(&["2001:db8::1"], false, &all), expected);
        assert_eq!(listen(&["2001:db8::1"], true, &all), ["0.0.0.0:80"]);
    }

    #[test]
    fn there_is_always_a_listener() {
        assert_eq!(listen(&[], true, &["[::1]:80"]), ["[::1]:80"]);
    }
}
