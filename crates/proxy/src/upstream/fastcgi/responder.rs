//! A connection to a FastCGI application, as an HTTP/1 connection.
//!
//! The HTTP/1 client above writes a request of which only the body is used: its head is replaced by the parameters. What it
//! reads is the response as HTTP/1 whose body ends with the connection, and an error instead of that end if the application
//! did not end its output.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::record::{self, HEADER, Header, Received, SENT, Sent};
use super::{Malformed, Request, head};

/// The next write waits while this much is not sent, bytes.
const UNSENT: usize = 64 << 10;
/// Bytes per read.
const READ: usize = 16 << 10;
/// Longest text of the error stream in one line of the log, bytes, as in nginx.
const ERROR_TEXT: usize = 2048;
/// Most such lines of a request.
const ERROR_LINES: u32 = 100;

/// Translates between HTTP/1 and records on `io`.
pub(in crate::upstream) struct Responder<S> {
    io: S,
    endpoint: SocketAddr,
    sending: Sending,
    receiving: Receiving,
}

/// The request on its way.
struct Sending {
    /// Records that are not sent yet.
    unsent: BytesMut,
    /// How much of the empty line that ends the head of the HTTP/1 request was written.
    matched: usize,
    /// Bytes of the body that are still to come.
    left: u64,
}

/// The response on its way.
struct Receiving {
    /// Bytes of records.
    input: BytesMut,
    at: At,
    /// The head as far as it was received; `None` once it was translated.
    head: Option<Vec<u8>>,
    head_limit: usize,
    bodiless: bool,
    /// What can be read: HTTP/1.
    ready: Bytes,
    errors: ErrorStream,
}

/// A position in the records.
#[derive(Clone, Copy)]
enum At {
    Header,
    Content(Header),
    Padding(usize),
    /// The output ended.
    End,
}

impl<S> Responder<S> {
    /// A connection that serves `request`.
    pub(in crate::upstream) fn new(io: S, endpoint: SocketAddr, request: Request) -> Self {
        Self {
            io,
            endpoint,
            sending: Sending {
                unsent: BytesMut::from(request.records),
                matched: 0,
                left: request.length,
            },
            receiving: Receiving {
                input: BytesMut::new(),
                at: At::Header,
                head: Some(Vec::new()),
                head_limit: request.head_limit,
                bodiless: request.bodiless,
                ready: Bytes::new(),
                errors: ErrorStream::default(),
            },
        }
    }
}

// === request ===

impl Sending {
    /// Takes bytes of the HTTP/1 request and returns how many.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while self.matched < EMPTY_LINE.len() {
            let Some(byte) = bytes.get(taken) else {
                return taken;
            };
            taken += 1;
            self.matched = match EMPTY_LINE.get(self.matched) == Some(byte) {
                true => self.matched + 1,
                false => usize::from(*byte == b'\r'),
            };
            if self.matched == EMPTY_LINE.len() && self.left == 0 {
                self.end();
            }
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(SENT);
        let body = rest.get(..most).unwrap_or(rest);
        if !body.is_empty() {
            let mut records = Vec::with_capacity(body.len() + 2 * HEADER);
            record::stream(Sent::Stdin, body, &mut records);
            self.unsent.extend_from_slice(&records);
            self.left -= body.len() as u64;
            if self.left == 0 {
                self.end();
            }
        }
        taken + body.len()
    }

    fn end(&mut self) {
        let mut records = Vec::with_capacity(HEADER);
        record::end(Sent::Stdin, &mut records);
        self.unsent.extend_from_slice(&records);
    }
}

/// The end of the head of an HTTP/1 request.
const EMPTY_LINE: &[u8] = b"\r\n\r\n";

impl<S: AsyncWrite + Unpin> Responder<S> {
    /// Ready once at most `most` bytes are not sent.
    fn poll_send(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let unsent = &mut self.sending.unsent;
        while unsent.len() > most {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, unsent))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            unsent.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Responder<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_send(UNSENT, cx))?;
        match self.sending.take(bytes) {
            // More than the announced body would be another request.
            0 if !bytes.is_empty() => Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            taken => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(0, cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(0, cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

// === response ===

impl<S: AsyncRead + Unpin> AsyncRead for Responder<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let receiving = &mut this.receiving;
        loop {
            if !receiving.ready.is_empty() {
                let length = receiving.ready.len().min(out.remaining());
                out.put_slice(&receiving.ready.split_to(length));
                return Poll::Ready(Ok(()));
            }
            if matches!(receiving.at, At::End) {
                return Poll::Ready(Ok(()));
            }
            if receiving.step(this.endpoint)? {
                continue;
            }
            let mut read = [const { MaybeUninit::uninit() }; READ];
            let mut read = ReadBuf::uninit(&mut read);
            ready!(Pin::new(&mut this.io).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(receiving.closed());
            }
            receiving.input.extend_from_slice(read.filled());
        }
    }
}

impl Receiving {
    /// Uses the next part of the input; false if more is needed.
    fn step(&mut self, endpoint: SocketAddr) -> Result<bool, Malformed> {
        match self.at {
            At::Header => {
                let Some(bytes) = self.input.first_chunk::<HEADER>() else {
                    return Ok(false);
                };
                let header = Header::parse(*bytes)?;
                if header.kind == Received::End && header.content != END {
                    return Err(Malformed::End(header.content));
                }
                self.input.advance(HEADER);
                self.at = At::Content(header);
                if header.content == 0 {
                    self.content(header, Bytes::new(), endpoint)?;
                }
            }
            At::Content(header) => {
                let whole = header.kind == Received::End;
                if self.input.is_empty() || whole && self.input.len() < header.content {
                    return Ok(false);
                }
                let length = self.input.len().min(header.content);
                let content = self.input.split_to(length).freeze();
                let rest = Header {
                    content: header.content - length,
                    ..header
                };
                self.content(rest, content, endpoint)?;
            }
            At::Padding(length) => {
                let skipped = self.input.len().min(length);
                self.input.advance(skipped);
                if skipped < length {
                    self.at = At::Padding(length - skipped);
                    return Ok(false);
                }
                self.at = At::Header;
            }
            At::End => {}
        }
        Ok(true)
    }

    /// Takes content of the record, of which `header.content` bytes are still to come.
    fn content(
        &mut self,
        header: Header,
        content: Bytes,
        endpoint: SocketAddr,
    ) -> Result<(), Malformed> {
        let is_last = header.content == 0;
        self.at = match is_last {
            true => At::Padding(header.padding),
            false => At::Content(header),
        };
        match header.kind {
            Received::Stderr => self.errors.add(&content, is_last, endpoint),
            Received::Stdout if content.is_empty() => self.end(None)?,
            Received::Stdout => self.output(content)?,
            Received::End => self.end(content.get(4).copied())?,
        }
        Ok(())
    }

    fn output(&mut self, content: Bytes) -> Result<(), Malformed> {
        let Some(head) = &mut self.head else {
            self.ready = content;
            return Ok(());
        };
        let seen = head.len();
        let most = self.head_limit.saturating_sub(seen).min(content.len());
        head.extend_from_slice(content.get(..most).unwrap_or_default());
        let Some(end) = head::end(head, seen) else {
            return match most < content.len() {
                true => Err(Malformed::HeadTooLarge(self.head_limit)),
                false => Ok(()),
            };
        };
        let mut translated = head::translate(head.get(..end).unwrap_or_default())?;
        self.head = None;
        if self.bodiless {
            self.at = At::End;
        } else {
            translated
                .extend_from_slice(content.get(end.saturating_sub(seen)..).unwrap_or_default());
        }
        self.ready = translated.into();
        Ok(())
    }

    /// The application has ended its output, with this status of the protocol if it has ended the request.
    fn end(&mut self, status: Option<u8>) -> Result<(), Malformed> {
        self.at = At::End;
        match (&self.head, status) {
            (None, _) => Ok(()),
            (Some(_), None | Some(0)) => Err(Malformed::NoHead),
            (Some(_), Some(2)) => Err(Malformed::Overloaded),
            (Some(_), Some(_)) => Err(Malformed::Refused),
        }
    }

    /// The endpoint closed the connection before it ended its output.
    fn closed(&mut self) -> io::Result<()> {
        self.at = At::End;
        match self.head {
            // As of an HTTP endpoint that closes without a response.
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Bytes of content of a record that ends a request.
const END: usize = 8;

/// What the application writes to its error stream: lines of the log.
#[derive(Default)]
struct ErrorStream {
    text: Vec<u8>,
    lines: u32,
}

impl ErrorStream {
    /// Adds content of a record. With its last part a line is written, without what exceeds the bound.
    fn add(&mut self, content: &[u8], is_last: bool, endpoint: SocketAddr) {
        let most = ERROR_TEXT - self.text.len();
        self.text
            .extend_from_slice(content.get(..most).unwrap_or(content));
        if !is_last {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let text = text.trim_ascii_end();
        if text.is_empty() || self.lines > ERROR_LINES {
            return;
        }
        self.lines += 1;
        if self.lines > ERROR_LINES {
            tracing::error!(%endpoint, "more of what FastCGI sent in stderr for the request is left out");
            return;
        }
        let text = String::from_utf8_lossy(text);
        tracing::error!(%endpoint, text = %text.escape_debug(), "FastCGI sent in stderr");
    }
}
