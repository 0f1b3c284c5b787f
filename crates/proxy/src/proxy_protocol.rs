//! The PROXY header, versions 1 and 2, in which a load balancer reports the client's address.

use std::net::{IpAddr, SocketAddr};

use ppp::{v1, v2};

use crate::values::Proxied;

/// Longest header of version 1 with its line end, by its specification.
const V1_MAX: usize = 107;
/// Most bytes after the fixed part of version 2: the largest addresses (216) and room for the extensions that balancers
/// send. The format allows 64 KiB.
const V2_REST_MAX: usize = 2048;
/// Bytes of version 2 up to and with its length.
const V2_FIXED: usize = 16;

/// Longest header.
pub(crate) const MAX: usize = V2_FIXED + V2_REST_MAX;

/// The connection does not begin with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

/// A header and its length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Its bytes; what follows is sent by the client.
    pub(crate) length: usize,
    /// Its addresses; `None` for checks of the balancer itself (`LOCAL`) and unknown families, where those of the TCP
    /// connection apply.
    pub(crate) proxied: Option<Proxied>,
}

/// Parses the header at the start of `bytes`; `None` while it is incomplete.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Header>, Invalid> {
    let Some(length) = length(bytes)? else {
        return Ok(None);
    };
    let Some(header) = bytes.get(..length) else {
        return Ok(None);
    };
    let proxied = if header.starts_with(b"PROXY") {
        parse_version1(header)?
    } else {
        parse_version2(header)?
    };
    Ok(Some(Header { length, proxied }))
}

/// The header of version 1 for a connection from `source` to `destination`.
pub(crate) fn version1(source: SocketAddr, destination: SocketAddr) -> String {
    let (source_port, port) = (source.port(), destination.port());
    match (source.ip().to_canonical(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            format!("PROXY TCP4 {source} {destination} {source_port} {port}\r\n")
        }
        (source, destination) => {
            // Both addresses of a header are of one family.
            let v6 = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                IpAddr::V6(v6) => v6,
            };
            let (source, destination) = (v6(source), v6(destination));
            format!("PROXY TCP6 {source} {destination} {source_port} {port}\r\n")
        }
    }
}

/// Length of the whole header, once enough has arrived.
fn length(bytes: &[u8]) -> Result<Option<usize>, Invalid> {
    let signature = v2::PROTOCOL_PREFIX;
    if bytes.starts_with(signature) {
        let Some(&[high, low]) = bytes.get(14..16) else {
            return Ok(None);
        };
        let rest = usize::from(u16::from_be_bytes([high, low]));
        return if rest > V2_REST_MAX {
            Err(Invalid)
        } else {
            Ok(Some(V2_FIXED + rest))
        };
    }
    if bytes.starts_with(b"PROXY ") {
        let line = bytes.get(..V1_MAX).unwrap_or(bytes);
        return match memchr::memmem::find(line, b"\r\n") {
            Some(end) => Ok(Some(end + 2)),
            None if line.len() == V1_MAX => Err(Invalid),
            None => Ok(None),
        };
    }
    if signature.starts_with(bytes) || b"PROXY ".starts_with(bytes) {
        Ok(None)
    } else {
        Err(Invalid)
    }
}

fn parse_version1(header: &[u8]) -> Result<Option<Proxied>, Invalid> {
    let header = v1::Header::try_from(header).map_err(|_| Invalid)?;
    Ok(match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ip) => Some(proxied(
            (ip.source_address.into(), ip.source_port),
            (ip.destination_address.into(), ip.destination_port),
        )),
        v1::Addresses::Tcp6(ip) => Some(proxied(
            (ip.source_address.into(), ip.source_port),
            (ip.destination_address.into(), ip.destination_port),
        )),
    })
}

fn parse_version2(header: &[u8]) -> Result<Option<Proxied>, Invalid> {
    let header = v2::Header::try_from(header).map_err(|_| Invalid)?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Local, _) => None,
        (v2::Command::Proxy, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Some(proxied(
            (ip.source_address.into(), ip.source_port),
            (ip.destination_address.into(), ip.destination_port),
        )),
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Some(proxied(
            (ip.source_address.into(), ip.source_port),
            (ip.destination_address.into(), ip.destination_port),
        )),
    })
}

fn proxied(source: (IpAddr, u16), destination: (IpAddr, u16)) -> Proxied {
    let socket = |(ip, port): (IpAddr, u16)| SocketAddr::new(ip.to_canonical(), port);
    Proxied {
        source: socket(source),
        destination: socket(destination),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    fn v2_header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = v2::PROTOCOL_PREFIX.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    /// The length and the addresses as text; checks that every shorter prefix is incomplete.
    fn read(bytes: &[u8]) -> (usize, String) {
        let header = parse(bytes).unwrap().unwrap();
        for n in 0..header.length {
            assert!(parse(&bytes[..n]).unwrap().is_none(), "{n} bytes");
        }
        let text = header
            .proxied
            .map_or_else(String::new, |p| format!("{} {}", p.source, p.destination));
        (header.length, text)
    }

    #[test]
    fn version_1() {
        let four = b"PROXY TCP4 203.0.113.9 192.0.2.1 5000 443\r\nGET / ";
        assert_eq!(read(four), (43, "203.0.113.9:5000 192.0.2.1:443".into()));
        let six = b"PROXY TCP6 2001:db8::9 2001:db8::1 5000 443\r\n";
        assert_eq!(read(six).1, "[2001:db8::9]:5000 [2001:db8::1]:443");
        assert_eq!(read(b"PROXY UNKNOWN\r\n\x16\x03"), (15, String::new()));
        assert_eq!(read(b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n").1, "");
    }

    #[test]
    fn what_is_sent_can_be_read() {
        for (source, destination, expected) in [
            (
                "203.0.113.9:5000",
                "192.0.2.1:443",
                "TCP4 203.0.113.9 192.0.2.1 5000 443",
            ),
            (
                "[2001:db8::9]:5000",
                "[2001:db8::1]:443",
                "TCP6 2001:db8::9 2001:db8::1 5000 443",
            ),
            (
                "[::ffff:203.0.113.9]:5000",
                "192.0.2.1:443",
                "TCP4 203.0.113.9 192.0.2.1 5000 443",
            ),
            (
                "[2001:db8::9]:5000",
                "192.0.2.1:443",
                "TCP6 2001:db8::9 ::ffff:192.0.2.1 5000 443",
            ),
        ] {
            let header = version1(source.parse().unwrap(), destination.parse().unwrap());
            assert_eq!(header, format!("PROXY {expected}\r\n"));
            assert_eq!(read(header.as_bytes()).0, header.len());
        }
    }

    #[test]
    fn version_2() {
        let four = [203, 0, 113, 9, 192, 0, 2, 1, 0x13, 0x88, 1, 0xbb];
        let header = v2_header(0x21, 0x11, &four);
        assert_eq!(read(&header), (28, "203.0.113.9:5000 192.0.2.1:443".into()));
        let with_extension = v2_header(0x21, 0x11, &[&four[..], &[4, 0, 1, 0]].concat());
        assert_eq!(
            read(&with_extension),
            (32, "203.0.113.9:5000 192.0.2.1:443".into())
        );
        let mapped: Vec<u8> = ["::ffff:203.0.113.9", "2001:db8::1"]
            .iter()
            .flat_map(|ip| ip.parse::<std::net::Ipv6Addr>().unwrap().octets())
            .chain([0x13, 0x88, 1, 0xbb])
            .collect();
        assert_eq!(
            read(&v2_header(0x21, 0x21, &mapped)).1,
            "203.0.113.9:5000 [2001:db8::1]:443"
        );
        assert_eq!(read(&v2_header(0x20, 0x11, &four)).1, "", "LOCAL");
        assert_eq!(read(&v2_header(0x21, 0x00, &[])).1, "", "no family");
    }

    #[test]
    fn refused() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        let cases: &[&[u8]] = &[
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 70000\r\n",
            b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"\r\n\r\n\0\r\nQUIX\n",
            &long,
            &v2_header(0x21, 0x11, &[1, 2, 3]),
            &v2_header(0x31, 0x11, &[0; 12]),
            &v2_header(0x21, 0x11, &[0; 2049]),
        ];
        for case in cases {
            assert_eq!(parse(case).unwrap_err(), Invalid, "{case:?}");
        }
    }

    /// A header is read when all of it has arrived and not before, whatever follows; its addresses can be sent again.
    fn is_one_header(bytes: &[u8]) {
        let Ok(Some(header)) = parse(bytes) else {
            return;
        };
        assert!(header.length <= MAX && header.length <= bytes.len());
        for n in 0..header.length {
            assert!(parse(&bytes[..n]).unwrap().is_none(), "{n} bytes");
        }
        let alone = parse(&bytes[..header.length]).unwrap().unwrap();
        let addresses = |header: &Header| {
            let proxied = header.proxied.as_ref()?;
            Some((proxied.source, proxied.destination))
        };
        assert_eq!(addresses(&alone), addresses(&header));
        if let Some((source, destination)) = addresses(&header) {
            let sent = version1(source, destination);
            let again = parse(sent.as_bytes()).unwrap().unwrap();
            assert_eq!(addresses(&again), Some((source, destination)), "{sent}");
        }
    }

    #[test]
    fn fuzz_proxy_protocol() {
        headgate_fuzz::check("proxy-protocol", is_one_header);
    }
}
