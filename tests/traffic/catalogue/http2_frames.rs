//! HTTP/2 frames as bytes (RFC 9113 section 4), and fields without compression (RFC 7541 section 6.2.2).

use std::io::ErrorKind;

use headgate_testkit::Connection;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// `:status: 200` (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;

/// What the proxy does with the requests of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The last response has the status 200.
    Served,
    /// An error response, or a reset of the stream.
    Refused,
    /// GOAWAY with an error, or the end of the connection.
    Ended,
    /// Nothing in time.
    Silent,
}

/// The start of a connection, with empty settings.
pub(super) fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A complete HEADERS frame.
pub(super) fn headers(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect();
    frame(HEADERS, flags | END_HEADERS, stream, &block)
}

/// A field that is not indexed.
pub(super) fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = integer(text.len());
    bytes.extend(text.as_bytes());
    bytes
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(value: usize) -> Vec<u8> {
    let Some(mut rest) = value.checked_sub(127) else {
        return vec![u8::try_from(value).unwrap()];
    };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// Reads frames until one says what happens to `stream`.
pub(super) fn outcome(connection: &mut Connection, stream: u32) -> Outcome {
    loop {
        let header = match connection.try_exactly(9) {
            Ok(header) => header,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Outcome::Silent,
            Err(_) => return Outcome::Ended,
        };
        let length =
            usize::from(header[0]) << 16 | usize::from(header[1]) << 8 | usize::from(header[2]);
        let Ok(payload) = connection.try_exactly(length) else {
            return Outcome::Ended;
        };
        let of_stream = header[5..] == stream.to_be_bytes();
        match header[3] {
            GOAWAY if payload[4..8] != [0; 4] => return Outcome::Ended,
            RST_STREAM if of_stream => return Outcome::Refused,
            HEADERS if of_stream && payload[0] == STATUS_200 => return Outcome::Served,
            HEADERS if of_stream => return Outcome::Refused,
            _ => {}
        }
    }
}
