//! An oracle: scans the raw bytes of a connection and finds the heads and faults of requests, by lines alone.
//!
//! It is beside hyper, whose requests do not show everything that makes them ambiguous: it drops a `Content-Length` beside
//! `Transfer-Encoding`. It follows bodies by their framing and leaves to hyper what hyper refuses itself, with one exception: where
//! the framing of a body breaks, or a line of it ends in a bare LF, hyper reads no further and fails that body.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use headgate_http1::server::{Fault, Limits};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Script;

/// Longest line of chunk framing, bytes; hyper bounds extensions and trailers itself.
const CHUNK_LINE: usize = 32 << 10;

/// State of the scan of one connection.
#[derive(Debug)]
pub(crate) struct Scanner {
    limits: Limits,
    position: Position,
    /// A line whose end has not arrived. Empty, without memory, while heads arrive in one piece.
    partial: Vec<u8>,
    head: Head,
    heads: u64,
    fault: Option<Fault>,
}

/// The part of the stream that the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    /// After a fault, or where the body's framing is broken.
    Lost,
}

/// What is known of the head that is being read.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    lines: usize,
    http10: bool,
    hosts: u32,
    content_length: Option<u64>,
    coding: Option<Coding>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Chunked,
    /// `chunked` more than once.
    Repeated,
    Unknown,
}

impl Scanner {
    /// A scanner at the start of a connection.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            position: Position::Head,
            partial: Vec::new(),
            head: Head::default(),
            heads: 0,
            fault: None,
        }
    }

    /// Scans the next bytes of the stream. Returns how many of them hyper may read: all, or those before the line at which
    /// the framing of a body breaks.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> usize {
        let mut left = bytes;
        while !left.is_empty() {
            let rest = match self.position {
                Position::Head | Position::ChunkSize | Position::ChunkEnd | Position::Trailers => {
                    self.line_of(left)
                }
                Position::Body(more) => {
                    let (more, rest) = skip(more, left);
                    self.position = if more == 0 {
                        Position::Head
                    } else {
                        Position::Body(more)
                    };
                    rest
                }
                Position::ChunkData(more) => {
                    let (more, rest) = skip(more, left);
                    self.position = if more == 0 {
                        Position::ChunkEnd
                    } else {
                        Position::ChunkData(more)
                    };
                    rest
                }
                Position::Lost => break,
            };
            if self.broken() {
                return bytes.len() - left.len();
            }
            left = rest;
        }
        bytes.len()
    }

    /// The framing of a body is broken: what follows cannot be distinguished from the body.
    pub(crate) fn broken(&self) -> bool {
        self.position == Position::Lost && self.fault.is_none()
    }

    /// Number of complete heads without fault.
    pub(crate) fn heads(&self) -> u64 {
        self.heads
    }

    /// The fault of the head after those, complete or not. Nothing after it is scanned.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Scans up to one line of `bytes`; returns the rest.
    fn line_of<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (piece, rest) = match memchr(b'\n', bytes) {
            Some(end) => (&bytes[..end], Some(&bytes[end + 1..])),
            None => (bytes, None),
        };
        let taken = piece.len() + usize::from(rest.is_some());
        let length = self.partial.len() + piece.len();
        if let Err(fault) = self.admit(taken, length) {
            self.fail(fault);
            return &[];
        }
        let Some(rest) = rest else {
            self.partial.extend_from_slice(piece);
            return &[];
        };
        if self.partial.is_empty() {
            self.line(piece);
        } else {
            let mut line = std::mem::take(&mut self.partial);
            line.extend_from_slice(piece);
            self.line(&line);
            line.clear();
            self.partial = line;
        }
        rest
    }

    /// Counts `taken` bytes of a line that is `length` long so far against the bounds.
    fn admit(&mut self, taken: usize, length: usize) -> Result<(), Option<Fault>> {
        if self.position != Position::Head {
            return if length > CHUNK_LINE {
                Err(None)
            } else {
                Ok(())
            };
        }
        // One byte for the CR, which is not part of the line.
        let (bound, fault) = match self.head.lines {
            0 => (self.limits.request_line + 1, Fault::LineTooLong),
            _ => (self.limits.field + 1, Fault::HeadTooLarge),
        };
        self.head.bytes += taken;
        if length > bound {
            Err(Some(fault))
        } else if self.head.bytes > self.limits.head {
            Err(Some(Fault::HeadTooLarge))
        } else {
            Ok(())
        }
    }

    fn fail(&mut self, fault: Option<Fault>) {
        self.fault = fault;
        self.position = Position::Lost;
        self.partial = Vec::new();
    }

    /// Scans a whole line, without its LF.
    fn line(&mut self, line: &[u8]) {
        let (line, ended) = match line.strip_suffix(b"\r") {
            Some(line) => (line, true),
            None => (line, false),
        };
        if self.position != Position::Head && !ended {
            // Servers disagree on where such a line ends (CVE-2025-55315); in heads RFC 9112 section 2.2 allows it.
            return self.fail(None);
        }
        match self.position {
            Position::Head => {
                if let Err(fault) = self.head_line(line) {
                    self.fail(Some(fault));
                }
            }
            Position::ChunkSize => match chunk_size(line) {
                Some(0) => self.position = Position::Trailers,
                Some(size) => self.position = Position::ChunkData(size),
                None => self.fail(None),
            },
            Position::ChunkEnd if line.is_empty() => self.position = Position::ChunkSize,
            Position::ChunkEnd => self.fail(None),
            Position::Trailers if line.is_empty() => self.position = Position::Head,
            Position::Trailers | Position::Body(_) | Position::ChunkData(_) | Position::Lost => {}
        }
    }

    fn head_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        match (line.is_empty(), self.head.lines) {
            (true, 0) => return Ok(()),
            (true, _) => return self.head_end(),
            (false, 0) => {
                self.head.http10 = line.ends_with(b" HTTP/1.0");
                if line.len() > self.limits.request_line {
                    return Err(Fault::LineTooLong);
                }
            }
            (false, fields) => {
                if fields > self.limits.fields || line.len() > self.limits.field {
                    return Err(Fault::HeadTooLarge);
                }
                self.head.field(line)?;
            }
        }
        self.head.lines += 1;
        Ok(())
    }

    fn head_end(&mut self) -> Result<(), Fault> {
        self.position = self.head.body()?;
        self.head = Head::default();
        self.heads += 1;
        Ok(())
    }
}

impl Head {
    fn field(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(colon) = memchr(b':', line) else {
            return Ok(()); // hyper refuses it
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value.trim_ascii()).ok_or(Fault::Malformed)?;
            if self.content_length.replace(length).is_some() {
                return Err(Fault::Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let coding = coding(value);
            self.coding = Some(match self.coding {
                Some(Coding::Unknown) => Coding::Unknown,
                Some(_) if coding != Coding::Unknown => Coding::Repeated,
                Some(_) | None => coding,
            });
        }
        Ok(())
    }

    /// Checks the whole head (RFC 9112 sections 3.2, 6.1 and 6.3), strictly wherever there is a choice. Returns what follows.
    fn body(&self) -> Result<Position, Fault> {
        let hosts = if self.http10 {
            self.hosts <= 1
        } else {
            self.hosts == 1
        };
        if !hosts {
            return Err(Fault::Malformed);
        }
        match (self.coding, self.content_length) {
            (None, None) => Ok(Position::Head),
            (None, Some(0)) => Ok(Position::Head),
            (None, Some(length)) => Ok(Position::Body(length)),
            (Some(Coding::Unknown), None) if !self.http10 => Err(Fault::UnknownCoding),
            (Some(Coding::Chunked), None) if !self.http10 => Ok(Position::ChunkSize),
            (Some(_), _) => Err(Fault::Malformed),
        }
    }
}

fn skip(left: u64, bytes: &[u8]) -> (u64, &[u8]) {
    let n = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    (left - n as u64, &bytes[n..])
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

fn coding(value: &[u8]) -> Coding {
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (Some(only), None) if chunked(only) => Coding::Chunked,
        (Some(first), Some(second))
            if chunked(first) && chunked(second) && codings.all(chunked) =>
        {
            Coding::Repeated
        }
        _ => Coding::Unknown,
    }
}

/// The size at the start of a chunk-size line. Blanks and extensions after it are ignored: hyper checks them.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let text = std::str::from_utf8(&line[..digits]).ok()?;
    u64::from_str_radix(text, 16).ok()
}

/// The stream of an oracle: hyper reads no further where the framing of a body breaks.
pub(crate) struct Scanned {
    pub(crate) script: Script,
    pub(crate) scanner: Rc<RefCell<Scanner>>,
}

impl AsyncRead for Scanned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let invalid = || Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        if self.scanner.borrow().broken() {
            return invalid();
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.script).poll_read(cx, buf))?;
        let mut scanner = self.scanner.borrow_mut();
        let sound = scanner.feed(&buf.filled()[before..]);
        if sound == 0 && scanner.broken() {
            return invalid();
        }
        buf.set_filled(before + sound);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Scanned {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.script).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
