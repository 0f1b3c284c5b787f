//! The text of an IPv4 address, of which each request needs several: without a division or a branch for each digit.

use std::net::Ipv4Addr;

/// The text of an address.
pub(crate) struct Ipv4Text {
    bytes: [u8; 16],
    length: usize,
}

impl Ipv4Text {
    /// That of `address`.
    pub(crate) fn of(address: Ipv4Addr) -> Self {
        let mut bytes = [0; 16];
        let mut length = 0;
        for octet in address.octets() {
            let (text, taken) = OCTETS[usize::from(octet)];
            if let Some(room) = bytes.get_mut(length..length + text.len()) {
                room.copy_from_slice(&text);
            }
            length += taken;
        }
        // Without the last dot.
        length -= 1;
        Self { bytes, length }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The text of each octet with a dot behind it, and its length.
static OCTETS: [([u8; 4], usize); 256] = octets();

const fn octets() -> [([u8; 4], usize); 256] {
    let mut octets = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < octets.len() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let mut skipped = match octet {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let mut text = [0; 4];
        let mut length = 0;
        while skipped < digits.len() {
            text[length] = b'0' + digits[skipped] as u8;
            length += 1;
            skipped += 1;
        }
        text[length] = b'.';
        octets[octet] = (text, length + 1);
        octet += 1;
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_octet_at_every_place() {
        for octet in 0..=255 {
            for octets in [
                [octet, 0, 255, 9],
                [255, octet, 10, 99],
                [100, 1, octet, 255],
                [255, 255, 255, octet],
            ] {
                let address = Ipv4Addr::from(octets);
                let text = Ipv4Text::of(address);
                assert_eq!(text.as_bytes(), address.to_string().as_bytes());
            }
        }
    }
}
