//! Records: the unit of both directions.

use super::Malformed;

/// Bytes of a record before its content.
pub(super) const HEADER: usize = 8;
/// Most bytes of content.
const CONTENT: usize = u16::MAX as usize;
/// Most bytes of content of a record that is sent: a multiple of eight, so that a full one needs no padding.
pub(super) const SENT: usize = 32 << 10;
const VERSION: u8 = 1;
/// The only request of a connection.
const ID: u16 = 1;
/// Asks for a response, not for authorisation or filtering.
const RESPONDER: u16 = 1;

/// Types of records that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sent {
    Begin = 1,
    Params = 4,
    Stdin = 5,
}

/// Types of records of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    End,
    Stdout,
    Stderr,
}

/// The header of a received record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Received,
    /// Bytes of content.
    pub(super) content: usize,
    /// Bytes after it, to be ignored.
    pub(super) padding: usize,
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// If it is not that of a record of a response to the request.
    pub(super) fn parse(bytes: [u8; HEADER]) -> Result<Self, Malformed> {
        let [version, kind, id_high, id_low, high, low, padding, _] = bytes;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let kind = match kind {
            3 => Received::End,
            6 => Received::Stdout,
            7 => Received::Stderr,
            other => return Err(Malformed::Kind(other)),
        };
        if u16::from_be_bytes([id_high, id_low]) != ID {
            return Err(Malformed::Id);
        }
        Ok(Self {
            kind,
            content: usize::from(u16::from_be_bytes([high, low])),
            padding: usize::from(padding),
        })
    }
}

/// Appends the record that begins a request, whose connection is closed after it.
pub(super) fn begin(out: &mut Vec<u8>) {
    let [high, low] = RESPONDER.to_be_bytes();
    record(Sent::Begin, &[high, low, 0, 0, 0, 0, 0, 0], out);
}

/// Appends `content` of a stream as records. No content is no record: see [`end`].
pub(super) fn stream(kind: Sent, content: &[u8], out: &mut Vec<u8>) {
    for piece in content.chunks(SENT) {
        record(kind, piece, out);
    }
}

/// Appends the empty record that ends a stream.
pub(super) fn end(kind: Sent, out: &mut Vec<u8>) {
    record(kind, &[], out);
}

/// `content` is at most [`CONTENT`] long.
fn record(kind: Sent, content: &[u8], out: &mut Vec<u8>) {
    debug_assert!(content.len() <= CONTENT, "a record has at most 65535 bytes");
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let padding = content.len().wrapping_neg() % 8;
    let [id_high, id_low] = ID.to_be_bytes();
    let [high, low] = length.to_be_bytes();
    let pad = u8::try_from(padding).unwrap_or_default();
    out.extend_from_slice(&[VERSION, kind as u8, id_high, id_low, high, low, pad, 0]);
    out.extend_from_slice(content);
    out.extend_from_slice([0; 8].get(..padding).unwrap_or_default());
}

/// Appends a name and a value of a parameter.
pub(super) fn pair(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    length(name.len(), out);
    length(value.len(), out);
    out.extend_from_slice(name);
    out.extend_from_slice(value);
}

/// One byte below 128, else four bytes with the highest bit set.
fn length(length: usize, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short @ ..128) => out.push(short),
        _ => {
            let long = u32::try_from(length).unwrap_or(u32::MAX) | 1 << 31;
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
}
