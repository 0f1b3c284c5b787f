//! The head of a response, and what follows it.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use httparse::{Header, ParserConfig, Response, Status};
use memchr::memchr;

use crate::Error;
use crate::chunked::Chunked;
use crate::left::Left;

/// The head of a response that is not an interim one.
#[derive(Debug)]
pub struct ResponseHead {
    /// HTTP/1.0 or 1.1.
    pub version: Version,
    /// 101, or at least 200.
    pub status: StatusCode,
    /// The reason phrase, unless it is the usual one of the status.
    pub reason: Option<Bytes>,
    /// All fields.
    pub headers: HeaderMap,
    /// Its bytes on the wire.
    pub size: usize,
}

impl ResponseHead {
    /// Most fields of a head.
    pub const FIELDS: usize = 100;
}

/// What matters of a request for its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Head,
    Connect,
    Other,
}

impl Asked {
    pub(crate) fn by(method: &Method) -> Self {
        match *method {
            Method::HEAD => Self::Head,
            Method::CONNECT => Self::Connect,
            _ => Self::Other,
        }
    }
}

/// A head, and what follows it.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) head: ResponseHead,
    pub(crate) left: Left,
    /// Another response may follow.
    pub(crate) keep: bool,
}

/// What the input begins with.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once, and a box would be an allocation for each response"
)]
pub(crate) enum Step {
    /// A part of a head.
    Incomplete,
    /// An interim response, which is taken from it.
    Interim,
    /// The final response, whose head is taken from it.
    Final(Parsed),
}

/// Takes a head from `bytes`, of which `seen` ones were searched before.
pub(crate) fn parse(bytes: &mut BytesMut, seen: &mut usize, asked: Asked) -> Result<Step, Error> {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let Some(start) = start else {
        reject_garbage(bytes)?;
        return Ok(Step::Incomplete);
    };
    let Some(end) = end_of_head(bytes, (*seen).saturating_sub(LINE_END).max(start)) else {
        if *seen == 0 {
            reject_garbage(bytes)?;
        }
        *seen = bytes.len();
        return Ok(Step::Incomplete);
    };
    *seen = 0;
    // With the empty lines before it: a CR alone is none.
    let head = take(bytes, end);
    Ok(parse_whole(&head, asked)?.map_or(Step::Interim, Step::Final))
}

/// Memory of a read buffer that fields may keep, bytes.
const KEPT: usize = 2 << 10;

/// Takes the first `length` bytes. From a large buffer they are copied: a field may be kept for long, as in the compression table of
/// a client's HTTP/2 connection, which would keep a buffer for each of its entries.
fn take(bytes: &mut BytesMut, length: usize) -> Bytes {
    if bytes.capacity() <= KEPT {
        return bytes.split_to(length).freeze();
    }
    let taken = Bytes::copy_from_slice(bytes.get(..length).unwrap_or_default());
    bytes.advance(length);
    taken
}

/// Bytes of the longest end of a head less one: of LF CR LF.
const LINE_END: usize = 2;

/// Where the head ends: after the first empty line from `from` on.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let line = at + memchr(b'\n', bytes.get(at..)?)? + 1;
        match bytes.get(line..)? {
            [b'\n', ..] => return Some(line + 1),
            [b'\r', b'\n', ..] => return Some(line + 2),
            _ => at = line,
        }
    }
}

/// Refuses what cannot become a head any more.
fn reject_garbage(bytes: &[u8]) -> Result<(), Error> {
    let mut fields = [const { MaybeUninit::uninit() }; ResponseHead::FIELDS];
    read(&mut Response::new(&mut []), bytes, &mut fields).map(drop)
}

/// Reads `bytes`, as far as they are a head. Returns how long it is, if they are all of it.
fn read<'h, 'b>(
    response: &mut Response<'h, 'b>,
    bytes: &'b [u8],
    fields: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<Status<usize>, Error> {
    let parser = ParserConfig::default();
    let read = parser.parse_response_with_uninit_headers(response, bytes, fields);
    read.map_err(invalid)
}

fn invalid(error: httparse::Error) -> Error {
    Error::InvalidHead(match error {
        httparse::Error::TooManyHeaders => return Error::HeadTooLarge,
        httparse::Error::HeaderName => "the name of a field",
        httparse::Error::HeaderValue => "the value of a field",
        httparse::Error::NewLine => "the end of a line",
        httparse::Error::Status => "the status",
        httparse::Error::Token => "the status line",
        httparse::Error::Version => "the version",
    })
}

/// The head that `bytes` is; `None` for an interim one.
fn parse_whole(bytes: &Bytes, asked: Asked) -> Result<Option<Parsed>, Error> {
    let mut fields = [const { MaybeUninit::uninit() }; ResponseHead::FIELDS];
    let mut response = Response::new(&mut []);
    if read(&mut response, bytes, &mut fields)? != Status::Complete(bytes.len()) {
        return Err(Error::InvalidHead("the end of a line"));
    }
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Error::InvalidHead("the status"))?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(None);
    }
    let version = match response.version {
        Some(1) => Version::HTTP_11,
        _ => Version::HTTP_10,
    };
    let mut facts = Facts::default();
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes())
            .map_err(|_| Error::InvalidHead("the name of a field"))?;
        let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value))
            .map_err(|_| Error::InvalidHead("the value of a field"))?;
        facts.note(&name, &value)?;
        headers
            .try_append(name, value)
            .map_err(|_| Error::HeadTooLarge)?;
    }
    let (left, follows) = facts.body((status, version), asked)?;
    let reason = response.reason.unwrap_or_default();
    let is_usual = Some(reason) == status.canonical_reason();
    Ok(Some(Parsed {
        head: ResponseHead {
            version,
            status,
            reason: (!is_usual).then(|| Bytes::copy_from_slice(reason.as_bytes())),
            headers,
            size: bytes.len(),
        },
        left,
        keep: follows && version == Version::HTTP_11 && !facts.closes,
    }))
}

/// What the fields say of framing and of the connection.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    chunked: bool,
    closes: bool,
}

impl Facts {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Error> {
        let problem = if name == CONTENT_LENGTH {
            match self.length.replace(decimal(value.as_bytes())?) {
                Some(_) => "several Content-Length fields",
                None => return Ok(()),
            }
        } else if name == TRANSFER_ENCODING {
            let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
            match std::mem::replace(&mut self.chunked, true) {
                true => "several Transfer-Encoding fields",
                false if !is_chunked => "a Transfer-Encoding other than chunked",
                false => return Ok(()),
            }
        } else {
            if name == CONNECTION {
                let mut tokens = value.as_bytes().split(|byte| *byte == b',');
                self.closes |=
                    tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"));
            }
            return Ok(());
        };
        Err(Error::InvalidHead(problem))
    }

    /// The body (RFC 9112 section 6.3), and whether another response may follow it.
    fn body(
        &self,
        (status, version): (StatusCode, Version),
        asked: Asked,
    ) -> Result<(Left, bool), Error> {
        const BODILESS: Left = Left::Length(0);
        match (self.chunked, self.length) {
            (true, Some(_)) => {
                return Err(Error::InvalidHead("Content-Length and Transfer-Encoding"));
            }
            (true, None) if version == Version::HTTP_10 => {
                return Err(Error::InvalidHead("Transfer-Encoding in HTTP/1.0"));
            }
            _ => {}
        }
        Ok(match (status, asked) {
            (StatusCode::SWITCHING_PROTOCOLS, _) => (BODILESS, false),
            (_, Asked::Connect) if status.is_success() => (BODILESS, false),
            (StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED, _) | (_, Asked::Head) => {
                (BODILESS, true)
            }
            _ if self.chunked => (Left::Chunked(Chunked::default()), true),
            _ => match self.length {
                Some(length) => (Left::Length(length), true),
                None => (Left::Close, false),
            },
        })
    }
}

/// A number that is no larger than nginx takes.
fn decimal(text: &[u8]) -> Result<u64, Error> {
    const INVALID: Error = Error::InvalidHead("a Content-Length that is no number");
    const LONGEST: u64 = i64::MAX.unsigned_abs();
    if text.is_empty() {
        return Err(INVALID);
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        let number = digit.and_then(|digit| number.checked_mul(10)?.checked_add(digit));
        number.filter(|number| *number <= LONGEST).ok_or(INVALID)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_keep_a_large_read_buffer() {
        let text = b"\r\nHTTP/1.1 200 Fine\r\nX-A: value\r\nContent-Length: 4\r\n\r\nbody";
        let mut bytes = BytesMut::with_capacity(8 << 10);
        bytes.extend_from_slice(text);
        let buffer = bytes.as_ptr_range();
        let Ok(Step::Final(parsed)) = parse(&mut bytes, &mut 0, Asked::Other) else {
            panic!("{bytes:?}");
        };
        let head = parsed.head;
        assert_eq!(
            (&head.headers["x-a"], &bytes[..]),
            (&HeaderValue::from_static("value"), &b"body"[..])
        );
        assert_eq!(head.reason.as_deref(), Some(&b"Fine"[..]));
        for kept in [
            head.headers["x-a"].as_bytes(),
            &head.reason.unwrap_or_default(),
        ] {
            assert!(!buffer.contains(&kept.as_ptr()));
        }
    }
}
