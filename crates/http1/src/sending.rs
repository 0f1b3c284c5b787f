//! A request on its way to the endpoint, or a response on its way to the client.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    HOST, MAX_FORWARDS, SET_COOKIE, TE, TRAILER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName};
use http_body::{Body, Frame};
use tokio::io::AsyncWrite;

use crate::Error;
use crate::io::{Pipe, Piped, Socket};
use crate::output::Output;
use crate::request::{Framing, RequestHead, write_field};

/// Bytes of a body that are worth a pipe.
const PIPED: u64 = 32 << 10;

/// A message of which something may be left to send.
#[derive(Debug)]
pub(crate) struct Sending<B> {
    output: Output,
    framing: Framing,
    /// What is left of the body.
    body: Option<B>,
    /// What comes after the output.
    pipe: Option<Box<dyn Pipe>>,
}

impl<B> Default for Sending<B> {
    fn default() -> Self {
        Self {
            output: Output::default(),
            framing: Framing::Length(0),
            body: None,
            pipe: None,
        }
    }
}

impl<B> Sending<B> {
    /// Nothing is sent. Once about so many bytes wait to be written, the body waits, too.
    pub(crate) fn new(buffer: usize) -> Self {
        Self {
            output: Output::new(buffer),
            ..Self::default()
        }
    }

    /// Where the head of a message is written, when the former one is done.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.output.buffer()
    }

    /// Sends no more of the body.
    pub(crate) fn cut(&mut self) {
        self.body = None;
    }

    /// Whether all is sent, or given up.
    pub(crate) fn is_done(&self) -> bool {
        self.body.is_none() && self.output.is_empty() && self.pipe.is_none()
    }

    /// Sends nothing more.
    pub(crate) fn stop(&mut self) {
        self.body = None;
        self.pipe = None;
        self.output.clear();
    }

    /// Gives up memory.
    pub(crate) fn rest(&mut self) {
        self.output.rest();
    }
}

impl<B: Piped<Data = Bytes> + Unpin> Sending<B> {
    /// Sends `body` after the head that was written.
    pub(crate) fn begin(&mut self, framing: Framing, body: Option<B>) {
        self.body = body.filter(|_| framing != Framing::Length(0));
        self.framing = framing;
    }

    /// Begins a request. The former one must be done.
    pub(crate) fn start(&mut self, head: &RequestHead<'_>, body: B) -> Result<(), Error> {
        let length = body.size_hint().exact();
        let body = Some(body).filter(|body| !body.is_end_stream());
        let framing = head.write((body.is_some(), length), self.output.buffer())?;
        self.begin(framing, body);
        Ok(())
    }

    /// Sends the rest of the message as far as there is some, and its receiver takes it. A long body of known length goes through
    /// pipes as far as it can, if the receiver is a socket.
    pub(crate) fn poll<S: AsyncWrite + Socket + Unpin>(
        &mut self,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        loop {
            let filled = self.poll_fill(io, cx);
            if let Poll::Ready(Err(error)) = filled {
                return Poll::Ready(Err(error));
            }
            ready!(self.output.poll_write(io, cx)).map_err(Error::Io)?;
            ready!(self.poll_empty(io, cx)).map_err(Error::Io)?;
            if self.body.is_none() {
                return Poll::Ready(Ok(()));
            }
            ready!(filled)?;
        }
    }

    /// Takes pieces of the body until it ends, has none, the output is full, or the last is in a pipe.
    fn poll_fill(&mut self, to: &impl Socket, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.pipe.is_none() && !self.output.is_full() {
            let Some(body) = &mut self.body else {
                break;
            };
            if let Framing::Length(left @ PIPED..) = &mut self.framing
                && to.is_socket()
                && let Some(pipe) = ready!(Pin::new(&mut *body).poll_pipe(cx))
            {
                let pipe = pipe.map_err(|_| Error::SentBody)?;
                // More than was announced cannot be sent.
                let after = left.checked_sub(pipe.length() as u64);
                *left = after.ok_or(Error::SentBody)?;
                if *left == 0 {
                    self.body = None;
                }
                self.pipe = Some(pipe);
                break;
            }
            let frame = ready!(Pin::new(&mut *body).poll_frame(cx)).transpose();
            let frame = frame.map_err(|_| Error::SentBody)?;
            let is_last = frame.is_none() || body.is_end_stream();
            self.frame(frame, is_last)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Sends what is in the pipe.
    fn poll_empty(&mut self, io: &mut impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(pipe) = &mut self.pipe {
            if ready!(io.poll_send(cx, &mut |socket| pipe.send(socket)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pipe.take_if(|pipe| pipe.length() == 0);
        }
        Poll::Ready(Ok(()))
    }

    fn frame(&mut self, frame: Option<Frame<Bytes>>, is_last: bool) -> Result<(), Error> {
        let data = match frame.map(Frame::into_data) {
            None => Bytes::new(),
            Some(Ok(data)) => data,
            Some(Err(frame)) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return self.end(Some(&trailers));
                }
                return Ok(());
            }
        };
        if data.is_empty() {
            return match is_last {
                true => self.end(None),
                false => Ok(()),
            };
        }
        match &mut self.framing {
            Framing::Length(left) => {
                let length = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= length as u64;
                let ended = *left == 0;
                self.output.push(data.slice(..length), b"");
                if ended {
                    self.body = None;
                } else if is_last {
                    return Err(Error::ShortBody);
                }
            }
            Framing::Chunked(_) => {
                // Writing to memory does not fail.
                let _ = write!(self.output.buffer(), "{:X}\r\n", data.len());
                let tail: &[u8] = match is_last {
                    true => b"\r\n0\r\n\r\n",
                    false => b"\r\n",
                };
                self.output.push(data, tail);
                if is_last {
                    self.body = None;
                }
            }
            Framing::Close => {
                self.output.push(data, b"");
                if is_last {
                    self.body = None;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> Result<(), Error> {
        self.body = None;
        let Framing::Chunked(announced) = &self.framing else {
            return match self.framing {
                Framing::Length(1..) => Err(Error::ShortBody),
                _ => Ok(()),
            };
        };
        let out = self.output.buffer();
        out.extend_from_slice(b"0\r\n");
        for (name, value) in trailers.into_iter().flatten() {
            if announced.contains(name) && !NO_TRAILERS.contains(name) {
                write_field(name, value, out);
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// Fields that are never trailers.
static NO_TRAILERS: [HeaderName; 12] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    CONTENT_TYPE,
    HOST,
    MAX_FORWARDS,
    SET_COOKIE,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
];
