//! The head of a request.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig};
use memchr::memchr;

use super::framing::{Framed, Framing};
use super::limits::{Fault, Limits};
use crate::input::Input;

/// Fields that are parsed without an allocation.
const INLINE: usize = 100;
/// Longest target, bytes: a bound of its type.
const TARGET: usize = u16::MAX as usize - 1;
/// What a client of HTTP/2 begins with (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Why there is no request. Nothing more can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The head, complete or not, is HTTP/1, but has this fault.
    Fault(Fault),
    /// It is not HTTP/1. The response has this status, and no body.
    Invalid(StatusCode),
    /// The client speaks HTTP/2, and understands no response.
    Http2,
}

const BAD_REQUEST: Refusal = Refusal::Invalid(StatusCode::BAD_REQUEST);

/// The head of a request, and what follows from it for the connection.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) target: Uri,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Result<Framed, Fault>,
    /// The client would send another request.
    pub(super) keep: bool,
    /// It waits for 100 (Continue) before it sends the body.
    pub(super) expects: bool,
    /// It requests another protocol.
    pub(super) upgrade: bool,
    /// It takes trailers of the response.
    pub(super) trailers: bool,
}

/// The search for the end of a head, in bytes that arrive in pieces.
#[derive(Debug, Default)]
pub(super) struct Arriving {
    /// Bytes that were searched.
    searched: usize,
    /// Where the line begins that has not ended.
    line: usize,
    /// Lines that have ended, without empty ones before the request line.
    lines: usize,
    /// Where the first line begins that framing does not know.
    noted: usize,
    framing: Framing,
    fault: Option<Fault>,
}

impl Arriving {
    /// Takes a head from `input`; `None` if it is not complete. Empty lines before it are ignored (RFC 9112 section 2.2). `room` is
    /// for its fields.
    ///
    /// # Errors
    /// As soon as it is known that there is no request.
    pub(super) fn parse(
        &mut self,
        input: &mut Input,
        limits: &Limits,
        room: &mut HeaderMap,
    ) -> Result<Option<Head>, Refusal> {
        let bytes = input.bytes();
        let is_first = self.searched == 0;
        if let Some(end) = self.search(bytes, limits) {
            let Self { fault, .. } = std::mem::take(self);
            let is_http2 = bytes.trim_ascii_start().starts_with(PREFACE);
            let head = input.take_head(end);
            return match parse(&head, limits, (room, fault)) {
                Err(BAD_REQUEST) if is_http2 => Err(Refusal::Http2),
                parsed => parsed.map(Some),
            };
        }
        if is_first {
            // What cannot become a head is refused at once, such as TLS.
            let parsed = with_fields(limits, |fields| {
                read(&mut httparse::Request::new(&mut []), bytes, fields)
            });
            parsed.or_else(|refusal| match refusal {
                // Their number is that of the search.
                Refusal::Fault(_) => Ok(()),
                invalid => Err(invalid),
            })?;
        }
        self.note(bytes);
        self.fault
            .map_or(Ok(None), |fault| Err(Refusal::Fault(fault)))
    }

    /// Whether a part of a head has arrived.
    pub(super) fn has_begun(&self, bytes: &[u8]) -> bool {
        self.lines > 0 || bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// Where the head ends, as far as `bytes` show it. The first bound that it exceeds is its fault.
    fn search(&mut self, bytes: &[u8], limits: &Limits) -> Option<usize> {
        while let Some(length) = memchr(b'\n', bytes.get(self.searched..)?) {
            let end = self.searched + length + 1;
            let line = line(bytes, self.line, end);
            self.admit(line.len(), end, limits);
            (self.line, self.searched) = (end, end);
            match (line.is_empty(), self.lines) {
                (true, 0) => {}
                (true, _) => return Some(end),
                (false, lines) => {
                    if lines > limits.fields {
                        self.fault.get_or_insert(Fault::HeadTooLarge);
                    }
                    self.lines += 1;
                }
            }
        }
        self.searched = bytes.len();
        // The last byte may be a carriage return, which does not count.
        let line = (bytes.len() - self.line).saturating_sub(1);
        self.admit(line, bytes.len(), limits);
        None
    }

    /// Compares the length of a line, and of the head up to it, with their bounds.
    fn admit(&mut self, line: usize, head: usize, limits: &Limits) {
        let (most, fault) = match self.lines {
            0 => (limits.request_line, Fault::LineTooLong),
            _ => (limits.field, Fault::HeadTooLarge),
        };
        if line > most {
            self.fault.get_or_insert(fault);
        } else if head > limits.head {
            self.fault.get_or_insert(Fault::HeadTooLarge);
        }
    }

    /// Reads the fields that have arrived of a head that is not complete: some faults are certain before its end.
    fn note(&mut self, bytes: &[u8]) {
        let mut rest = bytes.get(self.noted..self.line).unwrap_or_default();
        while let Some(length) = memchr(b'\n', rest) {
            let line = line(rest, 0, length + 1);
            // A request line that looks like such a field is none.
            if let Err(fault) = self.framing.note_line(line) {
                self.fault.get_or_insert(fault);
            }
            rest = rest.get(length + 1..).unwrap_or_default();
        }
        self.noted = self.line;
    }
}

/// The line in `bytes` that ends before `end`, without its end.
fn line(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    let line = bytes.get(start..end - 1).unwrap_or_default();
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The head that `bytes` is, which exceeds no bound but that of `fault`.
fn parse(
    bytes: &Bytes,
    limits: &Limits,
    (room, fault): (&mut HeaderMap, Option<Fault>),
) -> Result<Head, Refusal> {
    with_fields(limits, |fields| {
        let mut request = httparse::Request::new(&mut []);
        read(&mut request, bytes, fields)?;
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Err(BAD_REQUEST);
        };
        if target.len() > TARGET {
            return Err(Refusal::Invalid(StatusCode::URI_TOO_LONG));
        }
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| BAD_REQUEST)?;
        let target = Uri::from_maybe_shared(bytes.slice_ref(target.as_bytes()));
        let target = target.map_err(|_| BAD_REQUEST)?;
        let version = match request.version {
            Some(1) => Version::HTTP_11,
            _ => Version::HTTP_10,
        };
        let mut facts = Facts::default();
        let mut headers = std::mem::take(room);
        let reserved = headers.try_reserve(request.headers.len());
        reserved.map_err(|_| Refusal::Fault(Fault::HeadTooLarge))?;
        for field in request.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BAD_REQUEST)?;
            let value = HeaderValue::from_maybe_shared(bytes.slice_ref(field.value));
            let value = value.map_err(|_| BAD_REQUEST)?;
            facts.note(&name, &value)?;
            let appended = headers.try_append(name, value);
            appended.map_err(|_| Refusal::Fault(Fault::HeadTooLarge))?;
        }
        let is_old = version == Version::HTTP_10;
        let body = facts.framing.body(is_old).map_err(Refusal::Invalid)?;
        Ok(Head {
            upgrade: !is_old && (facts.upgrade || method == Method::CONNECT),
            method,
            target,
            version,
            headers,
            body: fault.map_or(body, Err),
            keep: !facts.closes && (!is_old || facts.keeps),
            expects: !is_old && facts.expects,
            trailers: facts.trailers,
        })
    })
}

/// Calls `with` with room for as many fields as `limits` allow.
fn with_fields<'b, T>(
    limits: &Limits,
    with: impl FnOnce(&mut [MaybeUninit<Header<'b>>]) -> T,
) -> T {
    let mut inline = [const { MaybeUninit::uninit() }; INLINE];
    match inline.get_mut(..limits.fields) {
        Some(fields) => with(fields),
        None => with(&mut vec![MaybeUninit::uninit(); limits.fields]),
    }
}

/// Reads `bytes`, as far as they are a head.
fn read<'h, 'b>(
    request: &mut httparse::Request<'h, 'b>,
    bytes: &'b [u8],
    fields: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<(), Refusal> {
    let parser = ParserConfig::default();
    match parser.parse_request_with_uninit_headers(request, bytes, fields) {
        Ok(_) => Ok(()),
        Err(httparse::Error::TooManyHeaders) => Err(Refusal::Fault(Fault::HeadTooLarge)),
        Err(_) => Err(BAD_REQUEST),
    }
}

/// What the fields say.
#[derive(Debug, Default)]
struct Facts {
    framing: Framing,
    closes: bool,
    keeps: bool,
    expects: bool,
    upgrade: bool,
    trailers: bool,
}

impl Facts {
    fn note(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<(), Refusal> {
        match *name {
            HOST => self.framing.host(),
            CONTENT_LENGTH => {
                let length = self.framing.length(value.as_bytes());
                length.map_err(Refusal::Invalid)?;
            }
            TRANSFER_ENCODING => self.framing.coding(value.as_bytes()),
            CONNECTION => {
                self.closes |= has_token(value, "close");
                self.keeps |= has_token(value, "keep-alive");
            }
            EXPECT => self.expects = value.as_bytes().eq_ignore_ascii_case(b"100-continue"),
            UPGRADE => self.upgrade = true,
            TE => self.trailers |= has_token(value, "trailers"),
            _ => {}
        }
        Ok(())
    }
}

/// Whether the list `value`, which is of ASCII, contains `token`.
pub(super) fn has_token(value: &HeaderValue, token: &str) -> bool {
    let mut tokens = value.to_str().unwrap_or_default().split(',');
    tokens.any(|element| element.trim_ascii().eq_ignore_ascii_case(token))
}
