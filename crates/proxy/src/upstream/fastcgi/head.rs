//! The head of a response: CGI fields, as nginx reads them, written as HTTP/1.

use std::io::Write as _;

use http::{HeaderName, StatusCode, header};

use super::Malformed;

/// Where the head at the start of `bytes` ends, with the empty line; `None` while it is incomplete. `seen` bytes were searched
/// before.
pub(super) fn end(bytes: &[u8], seen: usize) -> Option<usize> {
    // An empty line may begin two bytes before what is new, and there may be no line before it.
    let mut from = seen.saturating_sub(2);
    if bytes.first() == Some(&b'\n') {
        return Some(1);
    }
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    while let Some(at) = memchr::memchr(b'\n', bytes.get(from..)?) {
        let line = from + at + 1;
        match bytes.get(line..)? {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => from = line,
        }
    }
    None
}

/// The head as HTTP/1: `Status` makes the status line, without it a `Location` means 302. Lines that are no fields, and fields
/// that frame a message or are for one connection, are left out: the records frame the body.
///
/// # Errors
/// A `Status` that is not one of a final response, and a space or control character in the name of a field: what such a line
/// means must not be lost.
pub(super) fn translate(head: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut fields = Vec::with_capacity(head.len() + 32);
    let mut status = None;
    let mut location = false;
    for line in head.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let colon = memchr::memchr(b':', line);
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        // Some applications begin with a status line of HTTP.
        if line.starts_with(b"HTTP/") {
            continue;
        }
        if name.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return Err(Malformed::Field);
        }
        let Some(colon) = colon else {
            continue;
        };
        let Ok(name) = HeaderName::from_bytes(name) else {
            continue;
        };
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name == "status" {
            status = status.or(Some(value));
            continue;
        }
        if is_of_connection(&name) {
            continue;
        }
        location |= name == header::LOCATION && !value.is_empty();
        fields.extend_from_slice(line.get(..colon).unwrap_or_default());
        fields.extend_from_slice(b": ");
        fields.extend_from_slice(value);
        fields.extend_from_slice(b"\r\n");
    }
    let mut out = Vec::with_capacity(fields.len() + 32);
    status_line(status, location, &mut out)?;
    out.extend_from_slice(&fields);
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

fn is_of_connection(name: &HeaderName) -> bool {
    [
        header::TRANSFER_ENCODING,
        header::CONNECTION,
        header::UPGRADE,
    ]
    .contains(name)
        || name == "keep-alive"
}

fn status_line(status: Option<&[u8]>, location: bool, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (code, reason) = match status {
        None if location => (StatusCode::FOUND, &b"Moved Temporarily"[..]),
        None => (StatusCode::OK, &b"OK"[..]),
        Some(text) => {
            let (code, reason) = text.split_at_checked(3).ok_or(Malformed::Status)?;
            let code = StatusCode::from_bytes(code).map_err(|_| Malformed::Status)?;
            let is_apart = reason.first().is_none_or(|byte| *byte == b' ');
            if code.is_informational() || !is_apart {
                return Err(Malformed::Status);
            }
            (code, reason.trim_ascii())
        }
    };
    // Writing to memory does not fail.
    let _ = write!(out, "HTTP/1.1 {} ", code.as_u16());
    let printable = |byte: &&u8| byte.is_ascii_graphic() || **byte == b' ';
    out.extend(reason.iter().filter(printable));
    out.extend_from_slice(b"\r\n");
    Ok(())
}
