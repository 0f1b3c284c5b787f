//! The client and its connection, also behind load balancers (behaviour.md 3.2 and 3.3).

use std::net::{IpAddr, SocketAddr};

use headgate_table::{ForwardedTrust, IpSet, PublicPorts};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::authority::{Authority, number};
use crate::downstream::Downstream;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// `http` or `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// As written in URLs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that URLs omit.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The connection of a request, independent of header fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The TCP peer, or the source address of a PROXY header.
    pub(crate) peer: SocketAddr,
    /// The destination port of a PROXY header.
    pub(crate) proxied_port: Option<u16>,
    /// Scheme of the listener.
    pub(crate) scheme: Scheme,
    /// Port of the listener.
    pub(crate) port: u16,
    /// Port of the https listener.
    pub(crate) https_port: u16,
}

/// The client of a request, from its connection and trusted forwarded headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientInfo {
    /// IPv4-mapped IPv6 addresses are IPv4.
    pub(crate) address: IpAddr,
    /// The scheme that the client used.
    pub(crate) scheme: Scheme,
    /// The port that the client connected to, as upstreams get it: 443 for a custom https port.
    pub(crate) port: u16,
    /// The same unchanged, for redirects.
    pub(crate) connected_port: u16,
    /// The host that the client requested, with port as sent. `None`: none was sent.
    pub(crate) host: Option<HeaderValue>,
}

impl ConnectionInfo {
    pub(crate) fn of(downstream: &Downstream, ports: PublicPorts) -> Self {
        Self {
            peer: downstream.peer(),
            proxied_port: downstream.proxied.map(|proxied| proxied.destination.port()),
            scheme: if downstream.tls.is_some() {
                Scheme::Https
            } else {
                Scheme::Http
            },
            port: downstream.local.port(),
            https_port: ports.https,
        }
    }

    /// The client of a request with these `headers`, as far as `trust` goes; `host` is that of the request.
    pub(crate) fn client(
        self,
        trust: &ForwardedTrust,
        headers: &HeaderMap,
        host: Option<&HeaderValue>,
    ) -> ClientInfo {
        let (mut scheme, mut port) = (self.scheme, self.proxied_port.unwrap_or(self.port));
        let mut forwarded_host = None;
        if trust.use_forwarded_headers {
            scheme = first(headers, &X_FORWARDED_PROTO)
                .and_then(named_scheme)
                .unwrap_or(scheme);
            port = first(headers, &X_FORWARDED_PORT)
                .and_then(number)
                .filter(|port| *port != 0)
                .unwrap_or(port);
            forwarded_host = first(headers, &X_FORWARDED_HOST)
                .filter(|host| Authority::parse(host.as_bytes()).is_some())
                .and_then(|host| HeaderValue::from_str(host).ok());
        }
        if self.proxied_port == Some(Scheme::Https.default_port()) {
            scheme = Scheme::Https;
        }
        ClientInfo {
            address: self.client_address(trust, headers),
            scheme,
            port: self.reported(port),
            connected_port: port,
            host: forwarded_host.or_else(|| host.cloned()),
        }
    }

    /// A custom https port is internal to the proxy and the load balancer: upstreams get 443.
    fn reported(self, port: u16) -> u16 {
        let own_https_port = self.scheme == Scheme::Https && port == self.port;
        if own_https_port || (port == self.https_port && port != 0) {
            Scheme::Https.default_port()
        } else {
            port
        }
    }

    fn client_address(self, trust: &ForwardedTrust, headers: &HeaderMap) -> IpAddr {
        let peer = self.peer.ip().to_canonical();
        // With the PROXY protocol the client is known; only use-forwarded-headers overrides it.
        let use_header = trust.use_forwarded_headers || (trust.real_ip && !trust.proxy_protocol);
        if use_header {
            rightmost_untrusted(peer, &trust.trusted, headers, &trust.for_header)
        } else {
            peer
        }
    }
}

/// All elements of the list in the field `name` as one value; `None` if it is empty.
pub(crate) fn listed(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(name).iter().filter(|line| !line.is_empty());
    let first = lines.next()?;
    let Some(second) = lines.next() else {
        return Some(first.clone());
    };
    let mut joined = first.as_bytes().to_vec();
    for line in std::iter::once(second).chain(lines) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(joined)).ok()
}

/// The last entry that a trusted hop has written for an untrusted one, from the end of the list, the nearest hop. Text
/// that is not an address ends the search.
fn rightmost_untrusted(
    peer: IpAddr,
    trusted: &IpSet,
    headers: &HeaderMap,
    name: &HeaderName,
) -> IpAddr {
    let mut client = peer;
    for line in headers.get_all(name).iter().rev() {
        for entry in line.as_bytes().rsplit(|byte| *byte == b',') {
            let entry = entry.trim_ascii();
            if entry.is_empty() {
                continue;
            }
            if !trusted.contains(client) {
                return client;
            }
            match address(entry) {
                Some(address) => client = address,
                None => return client,
            }
        }
    }
    client
}

/// An address with or without port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap_or(text);
    let address = bare
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

/// The first element of a list.
fn first<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let text = headers.get(name)?.to_str().ok()?;
    let entry = text.split(',').next()?.trim();
    (!entry.is_empty()).then_some(entry)
}

fn named_scheme(name: &str) -> Option<Scheme> {
    if name.eq_ignore_ascii_case("https") {
        Some(Scheme::Https)
    } else if name.eq_ignore_ascii_case("http") {
        Some(Scheme::Http)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    const HTTP: ConnectionInfo = ConnectionInfo {
        peer: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 5000),
        proxied_port: None,
        scheme: Scheme::Http,
        port: 80,
        https_port: 443,
    };

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn show(client: &ClientInfo) -> String {
        let host = client
            .host
            .as_ref()
            .map_or("-", |host| host.to_str().unwrap());
        format!(
            "{} {}://{}:{}",
            client.address,
            client.scheme.as_str(),
            host,
            client.port
        )
    }

    fn trust(nets: &[&str]) -> ForwardedTrust {
        let trusted = nets
            .iter()
            .map(|net| net.parse::<ipnet::IpNet>().unwrap())
            .collect();
        ForwardedTrust {
            trusted,
            ..ForwardedTrust::default()
        }
    }

    #[test]
    fn nothing_is_trusted_by_default() {
        let spoofed = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-port", "444"),
            ("x-forwarded-host", "evil.test"),
        ]);
        let host = HeaderValue::from_static("a.test:80");
        let client = HTTP.client(&ForwardedTrust::default(), &spoofed, Some(&host));
        assert_eq!(show(&client), "10.0.0.1 http://a.test:80:80");
    }

    #[test]
    fn forwarded_headers_when_used() {
        let trust = ForwardedTrust {
            use_forwarded_headers: true,
            ..ForwardedTrust::default()
        };
        let host = HeaderValue::from_static("a.test");
        for (lines, expected) in [
            (
                &[
                    ("x-forwarded-for", "6.6.6.6"),
                    ("x-forwarded-proto", "HTTPS, http"),
                    ("x-forwarded-port", "444"),
                    ("x-forwarded-host", "b.test:1, c.test"),
                ][..],
                "6.6.6.6 https://b.test:1:444",
            ),
            (
                &[
                    ("x-forwarded-proto", "gopher"),
                    ("x-forwarded-port", "x"),
                    ("x-forwarded-host", "a/b"),
                ],
                "10.0.0.1 http://a.test:80",
            ),
            (&[("x-forwarded-port", "443")], "10.0.0.1 http://a.test:443"),
        ] {
            assert_eq!(
                show(&HTTP.client(&trust, &headers(lines), Some(&host))),
                expected
            );
        }
    }

    #[test]
    fn real_ip_changes_the_address_alone() {
        let trust = ForwardedTrust {
            real_ip: true,
            ..ForwardedTrust::default()
        };
        let lines = headers(&[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "b"),
        ]);
        assert_eq!(
            show(&HTTP.client(&trust, &lines, None)),
            "6.6.6.6 http://-:80"
        );
    }

    #[test]
    fn ports_and_schemes() {
        let none = ForwardedTrust::default();
        let https = ConnectionInfo {
            scheme: Scheme::Https,
            port: 8443,
            https_port: 8443,
            ..HTTP
        };
        let any_port = ConnectionInfo {
            scheme: Scheme::Https,
            port: 34567,
            https_port: 0,
            ..HTTP
        };
        let custom_http = ConnectionInfo { port: 8080, ..HTTP };
        let proxied_tls = ConnectionInfo {
            proxied_port: Some(443),
            ..HTTP
        };
        let proxied_plain = ConnectionInfo {
            proxied_port: Some(1234),
            ..HTTP
        };
        for (connection, expected) in [
            (https, "10.0.0.1 https://-:443"),
            (any_port, "10.0.0.1 https://-:443"),
            (custom_http, "10.0.0.1 http://-:8080"),
            (proxied_tls, "10.0.0.1 https://-:443"),
            (proxied_plain, "10.0.0.1 http://-:1234"),
        ] {
            assert_eq!(
                show(&connection.client(&none, &HeaderMap::new(), None)),
                expected
            );
        }
        let trust = ForwardedTrust {
            use_forwarded_headers: true,
            ..ForwardedTrust::default()
        };
        let plain = headers(&[("x-forwarded-proto", "http")]);
        assert_eq!(
            proxied_tls.client(&trust, &plain, None).scheme,
            Scheme::Https,
            "port 443 of a PROXY header overrides the scheme"
        );
    }

    #[test]
    fn the_client_is_the_rightmost_untrusted() {
        let inside = trust(&["10.0.0.0/8"]);
        let all = trust(&["0.0.0.0/0"]);
        let none = trust(&["192.168.0.0/16"]);
        let cases: &[(&ForwardedTrust, &[&'static str], &str)] = &[
            (&inside, &[], "10.0.0.1"),
            (&inside, &["6.6.6.6"], "6.6.6.6"),
            (&inside, &["1.1.1.1, 6.6.6.6, 10.2.2.2"], "6.6.6.6"),
            (&inside, &["1.1.1.1", "6.6.6.6, 10.2.2.2"], "6.6.6.6"),
            (&inside, &["10.3.3.3, 10.2.2.2"], "10.3.3.3"),
            (&all, &["1.1.1.1, 6.6.6.6, 10.2.2.2"], "1.1.1.1"),
            (&none, &["6.6.6.6"], "10.0.0.1"),
            (&inside, &["1.1.1.1, unknown, 10.2.2.2"], "10.2.2.2"),
            (&inside, &["6.6.6.6:1234"], "6.6.6.6"),
            (&inside, &["[2001:db8::1]:443"], "2001:db8::1"),
            (&inside, &["[2001:db8::1]"], "2001:db8::1"),
            (&inside, &["2001:db8::1"], "2001:db8::1"),
            (&inside, &["::ffff:6.6.6.6"], "6.6.6.6"),
            (&inside, &["6.6.6.6,"], "6.6.6.6"),
        ];
        for (trust, lines, expected) in cases {
            let mut map = HeaderMap::new();
            for line in *lines {
                map.append("x-forwarded-for", HeaderValue::from_static(line));
            }
            let trust = ForwardedTrust {
                real_ip: true,
                ..(*trust).clone()
            };
            assert_eq!(
                HTTP.client(&trust, &map, None).address.to_string(),
                *expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn after_a_proxy_header_only_use_forwarded_headers_overrides_the_client() {
        let lines = headers(&[("x-forwarded-for", "6.6.6.6")]);
        let base = ForwardedTrust {
            proxy_protocol: true,
            real_ip: true,
            ..ForwardedTrust::default()
        };
        assert_eq!(
            HTTP.client(&base, &lines, None).address.to_string(),
            "10.0.0.1"
        );
        let both = ForwardedTrust {
            use_forwarded_headers: true,
            ..base
        };
        assert_eq!(
            HTTP.client(&both, &lines, None).address.to_string(),
            "6.6.6.6"
        );
    }

    #[test]
    fn a_mapped_peer_is_ipv4() {
        let connection = ConnectionInfo {
            peer: "[::ffff:10.0.0.9]:1".parse().unwrap(),
            ..HTTP
        };
        assert_eq!(
            connection
                .client(&ForwardedTrust::default(), &HeaderMap::new(), None)
                .address
                .to_string(),
            "10.0.0.9"
        );
    }

    #[test]
    fn lists_over_several_lines_are_one() {
        let name = HeaderName::from_static("x-forwarded-for");
        let mut map = HeaderMap::new();
        assert_eq!(listed(&map, &name), None);
        map.append(&name, HeaderValue::from_static("a, b"));
        assert_eq!(listed(&map, &name).unwrap(), "a, b");
        map.append(&name, HeaderValue::from_static("c"));
        assert_eq!(listed(&map, &name).unwrap(), "a, b, c");
    }
}
