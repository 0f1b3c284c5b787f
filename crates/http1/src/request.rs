//! The head of a request, and how its body is framed.

use std::io::Write;

use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use crate::Error;

/// Memory to reserve for a field, bytes.
const FIELD: usize = 48;

/// The head of a request. Its fields are written in their order, with names in title case.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'h> {
    /// Any method. After CONNECT, and a successful response, the connection is not used any more.
    pub method: &'h Method,
    /// The target, written as it is.
    pub target: &'h Uri,
    /// HTTP/1.0 or, for every other version, 1.1.
    pub version: Version,
    /// All fields. `Transfer-Encoding`, or else `Content-Length`, frames the body; without both, a field is added for it. The
    /// former is left out if there is no body.
    pub headers: &'h HeaderMap,
}

/// How a body is framed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Bytes that are left.
    Length(u64),
    Chunked(Trailers),
    /// Up to the end of the stream; only that of a response.
    Close,
}

/// Names of `Trailer`, which alone may be trailers.
pub(crate) type Trailers = Vec<HeaderName>;

impl RequestHead<'_> {
    /// Appends the head to `out` and returns how its body is framed. `length` is that of the body, if it is known; without a
    /// `body`, there is none.
    pub(crate) fn write(
        &self,
        (body, length): (bool, Option<u64>),
        out: &mut Vec<u8>,
    ) -> Result<Framing, Error> {
        let framing = match body {
            true => self.framing(length)?,
            false => Framing::Length(0),
        };
        out.reserve(2 * FIELD + self.headers.len() * FIELD);
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        self.write_target(out);
        out.extend_from_slice(match self.version {
            Version::HTTP_10 => b" HTTP/1.0\r\n",
            _ => b" HTTP/1.1\r\n",
        });
        let mut framed = !body;
        for (name, value) in self.headers {
            if name == TRANSFER_ENCODING {
                if !matches!(framing, Framing::Chunked(_)) {
                    continue;
                }
                framed = true;
            } else if name == CONTENT_LENGTH {
                if matches!(framing, Framing::Chunked(_)) {
                    continue;
                }
                framed = true;
            }
            write_field(name, value, out);
        }
        if !framed {
            match framing {
                Framing::Chunked(_) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
                Framing::Length(length) => write_length(length, out),
                Framing::Close => {}
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(framing)
    }

    fn framing(&self, length: Option<u64>) -> Result<Framing, Error> {
        let is_old = self.version == Version::HTTP_10;
        let chunked = !is_old && self.headers.contains_key(TRANSFER_ENCODING);
        let announced = self.headers.get(CONTENT_LENGTH);
        let announced = announced.and_then(|value| value.to_str().ok()?.parse().ok());
        match announced.or(length) {
            Some(length) if !chunked => Ok(Framing::Length(length)),
            _ if is_old => Err(Error::NoFraming),
            _ => Ok(Framing::Chunked(trailer_names(self.headers))),
        }
    }

    fn write_target(&self, out: &mut Vec<u8>) {
        let target = self.target;
        match target.path_and_query() {
            Some(origin) if target.authority().is_none() && target.scheme().is_none() => {
                out.extend_from_slice(origin.as_str().as_bytes());
            }
            // Writing to memory does not fail.
            _ => {
                let _ = write!(out, "{target}");
            }
        }
    }
}

/// The names in `Trailer`.
pub(crate) fn trailer_names(headers: &HeaderMap) -> Trailers {
    let lines = headers.get_all(TRAILER).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// Appends a field, its name in title case.
pub(crate) fn write_field(name: &HeaderName, value: &HeaderValue, out: &mut Vec<u8>) {
    write_name(name, out);
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the name of a field in title case, and what separates it from the value.
pub(crate) fn write_name(name: &HeaderName, out: &mut Vec<u8>) {
    title_case(name.as_str().as_bytes(), out);
    out.extend_from_slice(b": ");
}

/// Appends `Content-Length`.
pub(crate) fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends `name` with a capital at its start and after each hyphen.
fn title_case(name: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(name);
    let mut begins_word = true;
    for byte in out.get_mut(start..).unwrap_or_default() {
        if begins_word {
            byte.make_ascii_uppercase();
        }
        begins_word = *byte == b'-';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_with_capitals() {
        for (name, cased) in [
            ("host", "Host"),
            ("x-forwarded-for", "X-Forwarded-For"),
            ("-x--y-", "-X--Y-"),
            ("x_y1-2z", "X_y1-2z"),
        ] {
            let mut out = Vec::new();
            title_case(name.as_bytes(), &mut out);
            assert_eq!(String::from_utf8_lossy(&out), cased);
        }
    }
}
