//! PROXY protocol headers, as load balancers send them before a connection.

use std::net::SocketAddr;

/// The signature of version 2.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header of version 1, one line of text.
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
    .into_bytes()
}

/// The header of version 2, command PROXY.
///
/// # Panics
/// When the two addresses are of different families.
pub fn v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let mut addresses = Vec::new();
    let family = match (source, destination) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            addresses.extend(from.ip().octets());
            addresses.extend(to.ip().octets());
            0x11
        }
        (SocketAddr::V6(from), SocketAddr::V6(to)) => {
            addresses.extend(from.ip().octets());
            addresses.extend(to.ip().octets());
            0x21
        }
        _ => panic!("source and destination are of different families"),
    };
    addresses.extend(source.port().to_be_bytes());
    addresses.extend(destination.port().to_be_bytes());
    header(0x21, family, &addresses)
}

/// The header of version 2, command LOCAL: a health check by the load balancer itself.
pub fn v2_local() -> Vec<u8> {
    header(0x20, 0, &[])
}

fn header(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([command, family]);
    let length = u16::try_from(addresses.len()).expect("addresses are 36 bytes at most");
    bytes.extend(length.to_be_bytes());
    bytes.extend(addresses);
    bytes
}
