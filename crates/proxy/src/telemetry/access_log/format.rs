//! The default log format of ingress-nginx (behaviour.md 10).
//!
//! Text of clients and endpoints is escaped, so that it cannot end a field or a line, and truncated, so that a line stays
//! below [`super::LONGEST_LINE`].

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::Version;

use crate::ipv4_text::Ipv4Text;
use crate::telemetry::observation::{Observation, response_length};
use crate::upstream::Attempt;
use crate::values::{basic_user, protocol};

/// Longest fields, bytes after escaping.
const LONGEST_METHOD: usize = 64;
const LONGEST_TARGET: usize = 4 << 10;
const LONGEST_HEADER: usize = 1 << 10;
const LONGEST_ID: usize = 256;
const LONGEST_NAME: usize = 256;
/// Most attempts in a line.
const MOST_ATTEMPTS: usize = 8;
/// The end of a truncated field.
const CUT: &[u8] = b"...";

/// Appends the line of a request that ended at `time`.
pub(super) fn line(out: &mut Vec<u8>, seen: &Observation<'_>, time: &str) {
    address(out, seen.client.to_canonical());
    out.extend_from_slice(b" - ");
    let user = seen.authorization.and_then(basic_user);
    value(out, user.as_deref(), LONGEST_NAME);
    out.extend_from_slice(b" [");
    out.extend_from_slice(time.as_bytes());
    out.extend_from_slice(b"] \"");
    request(out, seen);
    out.extend_from_slice(b"\" ");
    number(out, u64::from(seen.status));
    out.push(b' ');
    number(out, seen.body_bytes_sent);
    out.extend_from_slice(b" \"");
    value(out, seen.referer, LONGEST_HEADER);
    out.extend_from_slice(b"\" \"");
    value(out, seen.user_agent, LONGEST_HEADER);
    out.extend_from_slice(b"\" ");
    number(out, seen.request_length);
    out.push(b' ');
    seconds(out, seen.duration);
    out.extend_from_slice(b" [");
    value(out, Some(upstream_name(seen).as_bytes()), LONGEST_NAME);
    out.extend_from_slice(b"] [");
    escaped(
        out,
        seen.alternative.map_or(b"", |name| name.as_bytes()),
        LONGEST_NAME,
    );
    out.extend_from_slice(b"] ");
    upstream(out, seen);
    out.push(b' ');
    value(out, seen.request_id, LONGEST_ID);
    out.push(b'\n');
}

/// The request line, as HTTP/1 would write it for HTTP/2.
pub(super) fn request(out: &mut Vec<u8>, seen: &Observation<'_>) {
    escaped(out, seen.method.as_str().as_bytes(), LONGEST_METHOD);
    out.push(b' ');
    target(out, seen);
    out.push(b' ');
    out.extend_from_slice(protocol(seen.version).as_bytes());
}

/// The request target. In HTTP/2, scheme and authority are separate pseudo-header fields.
fn target(out: &mut Vec<u8>, seen: &Observation<'_>) {
    let uri = seen.target;
    let path = uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    let mut room = Room {
        left: LONGEST_TARGET,
        cut: false,
    };
    let authority = uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let pieces: [&[u8]; 4] = match (uri.scheme_str(), authority, path) {
        (Some(scheme), Some(authority), Some(path)) if seen.version <= Version::HTTP_11 => {
            [scheme.as_bytes(), b"://", authority, path.as_bytes()]
        }
        (_, Some(authority), None | Some("")) => [authority, b"", b"", b""],
        (_, _, path) => [path.unwrap_or("-").as_bytes(), b"", b"", b""],
    };
    for piece in pieces {
        room.escape(out, piece);
    }
}

/// Address, length, time and status of every attempt: lists of equal length.
fn upstream(out: &mut Vec<u8>, seen: &Observation<'_>) {
    list(out, seen, |out, _, attempt| socket(out, attempt.endpoint));
    out.push(b' ');
    list(out, seen, |out, _, attempt| {
        number(out, response_length(attempt))
    });
    out.push(b' ');
    list(out, seen, |out, index, _| match seen.response_time(index) {
        Some(time) => seconds(out, time),
        None => out.push(b'-'),
    });
    out.push(b' ');
    list(out, seen, |out, _, attempt| match attempt.status {
        Some(status) => number(out, u64::from(status.as_u16())),
        None => out.push(b'-'),
    });
}

pub(super) fn list(
    out: &mut Vec<u8>,
    seen: &Observation<'_>,
    item: impl Fn(&mut Vec<u8>, usize, &Attempt),
) {
    if seen.attempts.is_empty() {
        out.push(b'-');
    }
    for (index, attempt) in seen.attempts.iter().take(MOST_ATTEMPTS).enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        item(out, index, attempt);
    }
}

pub(super) fn upstream_name<'r>(seen: &Observation<'r>) -> &'r str {
    let none = if seen.default_backend {
        "upstream-default-backend"
    } else {
        "-"
    };
    seen.upstream.unwrap_or(none)
}

/// A value, or `-` for none.
fn value(out: &mut Vec<u8>, value: Option<&[u8]>, longest: usize) {
    match value {
        Some(value) if !value.is_empty() => escaped(out, value, longest),
        _ => out.push(b'-'),
    }
}

pub(super) fn escaped(out: &mut Vec<u8>, text: &[u8], longest: usize) {
    Room {
        left: longest,
        cut: false,
    }
    .escape(out, text);
}

/// The remaining length of a field.
struct Room {
    left: usize,
    cut: bool,
}

impl Room {
    /// Appends `text`, with `"`, `\` and all but printable ASCII as `\xHH`, up to the remaining length.
    fn escape(&mut self, out: &mut Vec<u8>, text: &[u8]) {
        let mut rest = text;
        while !rest.is_empty() && !self.cut {
            let (run, after) = rest.split_at(plain(rest));
            self.append(out, run);
            let Some((byte, after)) = after.split_first() else {
                return;
            };
            if self.left >= 4 {
                self.append(
                    out,
                    &[b'\\', b'x', hex_digit(byte >> 4), hex_digit(byte & 15)],
                );
            } else {
                self.end(out);
            }
            rest = after;
        }
    }

    fn append(&mut self, out: &mut Vec<u8>, bytes: &[u8]) {
        if self.cut {
            return;
        }
        let fitting = bytes.get(..self.left).unwrap_or(bytes);
        out.extend_from_slice(fitting);
        self.left = self.left.saturating_sub(fitting.len());
        if fitting.len() < bytes.len() {
            self.end(out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.cut {
            out.extend_from_slice(CUT);
            self.cut = true;
        }
    }
}

/// How many bytes `text` begins with that need no escape.
fn plain(text: &[u8]) -> usize {
    const BLOCK: usize = 16;
    // Without a branch for each byte, a block is a few instructions of the processor.
    let is_plain = |block: &&[u8; BLOCK]| {
        !block
            .iter()
            .fold(false, |any, byte| any | needs_escape(*byte))
    };
    let (blocks, _) = text.as_chunks();
    let whole = BLOCK * blocks.iter().take_while(is_plain).count();
    let rest = text.get(whole..).unwrap_or_default();
    let escape = rest.iter().position(|byte| needs_escape(*byte));
    whole + escape.unwrap_or(rest.len())
}

fn needs_escape(byte: u8) -> bool {
    !(b' '..=b'~').contains(&byte) || byte == b'"' || byte == b'\\'
}

fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'A' - 10 + nibble
    }
}

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Seconds with three decimals.
pub(super) fn seconds(out: &mut Vec<u8>, time: Duration) {
    number(out, time.as_secs());
    let millis = time.subsec_millis();
    out.push(b'.');
    for digit in [millis / 100, millis / 10 % 10, millis % 10] {
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => out.extend_from_slice(Ipv4Text::of(v4).as_bytes()),
        IpAddr::V6(v6) => {
            // Writing to a vector cannot fail.
            let _ = write!(out, "{v6}");
        }
    }
}

pub(super) fn socket(out: &mut Vec<u8>, socket: SocketAddr) {
    let v6 = socket.is_ipv6();
    if v6 {
        out.push(b'[');
    }
    address(out, socket.ip());
    out.extend_from_slice(if v6 { b"]:" } else { b":" });
    number(out, u64::from(socket.port()));
}

#[cfg(test)]
mod tests;
