//! A connection, driven by the task of its request.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes};
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Error;
use crate::chunked::Part;
use crate::input::Input;
use crate::io::{Fill, Io, Piped};
use crate::left::Left;
use crate::request::RequestHead;
use crate::response::{self, Asked, ResponseHead, Step};
use crate::sending::Sending;

/// Interim responses and reads of a head before its task gives others a turn, and its own deadline, which an endpoint would
/// otherwise keep from passing by sending interim responses without end.
const STEPS: usize = 32;

/// A connection to an endpoint over `S`, for requests with bodies `B`, one at a time.
///
/// [`Connection::start`] begins a request. [`Connection::poll_head`] sends it and reads the head of its response,
/// [`Connection::poll_frame`] reads the body. Where the response begins before the request is sent, [`Connection::poll_send`]
/// sends the rest, which another task may poll. After a 101 the connection itself is the stream of the other protocol.
///
/// Dropped, it closes without a word: see [`Connection::close`].
#[derive(Debug)]
pub struct Connection<S, B> {
    io: S,
    input: Input,
    sending: Sending<B>,
    reading: Reading,
    /// It may serve another request.
    keep: bool,
    /// Why not all of the request can be written.
    unwritable: Option<io::Error>,
    /// The body of the request failed.
    failed: bool,
    /// Waits for the body of a response while the request is still being sent.
    reader: Option<Waker>,
}

#[derive(Debug)]
enum Reading {
    /// The response was read, or no request was started.
    Idle,
    /// How much of the input was searched for the end of the head.
    Head(Asked, usize),
    Body(Left),
    /// The connection is the stream of another protocol.
    Switched,
    /// What follows has no meaning.
    Lost,
}

impl<S, B> Connection<S, B> {
    /// A connection that has served no request. At most about `read_buffer` bytes are read ahead, and the head of a response must
    /// fit.
    pub fn new(io: S, read_buffer: usize) -> Self {
        Self {
            io,
            input: Input::new(read_buffer),
            sending: Sending::default(),
            reading: Reading::Idle,
            keep: true,
            unwritable: None,
            failed: false,
            reader: None,
        }
    }

    /// Whether the request is sent; true also if no more of it will be.
    pub fn is_sent(&self) -> bool {
        self.sending.is_done()
    }

    /// Whether the response was read to its end.
    pub fn is_end(&self) -> bool {
        matches!(self.reading, Reading::Idle)
    }

    /// How much is left of the body, if the endpoint announced its length.
    pub fn size_hint(&self) -> SizeHint {
        match &self.reading {
            Reading::Body(left) => left.size_hint(),
            Reading::Head(..) => SizeHint::new(),
            Reading::Idle | Reading::Switched | Reading::Lost => SizeHint::with_exact(0),
        }
    }

    /// Whether it may serve another request, by what was sent and read: the last response was read to its end, nothing followed it,
    /// and neither side closes.
    pub fn is_reusable(&self) -> bool {
        self.keep && self.is_end() && self.is_sent() && self.input.is_empty()
    }

    /// Gives up memory, for a connection that waits for its next request.
    pub fn rest(&mut self) {
        self.input.rest();
        self.sending.rest();
    }
}

impl<S, B> Connection<S, B>
where
    S: Io,
    B: Piped<Data = Bytes> + Unpin,
{
    /// Whether it can serve a request now: it is [reusable](Connection::is_reusable), and the endpoint has sent nothing and not
    /// closed it, as far as is known without waiting. No task is woken by the connection afterwards.
    pub fn is_usable(&mut self) -> bool {
        self.poll_usable(&mut Context::from_waker(Waker::noop()))
    }

    /// The same. If it can, the task of `cx` alone is woken when the endpoint sends something or closes.
    pub fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        let mut unexpected = ReadBuf::new(&mut byte);
        self.keep = self.is_reusable()
            && Pin::new(&mut self.io)
                .poll_read(cx, &mut unexpected)
                .is_pending();
        self.keep
    }

    /// Begins a request. The one before must be sent, and its response read.
    ///
    /// # Errors
    /// [`Error::NoFraming`]. Nothing is sent then.
    pub fn start(&mut self, head: &RequestHead<'_>, body: B) -> Result<(), Error> {
        self.sending.start(head, body)?;
        self.reading = Reading::Head(Asked::by(head.method), 0);
        Ok(())
    }

    /// Sends what is left of the request. Ready when there is nothing more to send, also because the endpoint takes no more: then
    /// the response says why.
    ///
    /// # Errors
    /// Those of the body: [`Error::SentBody`] and [`Error::ShortBody`]. What is read afterwards fails likewise.
    pub fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match ready!(self.sending.poll(&mut self.io, cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(Error::Io(error)) => {
                self.sending.stop();
                self.keep = false;
                self.unwritable.get_or_insert(error);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.sending.stop();
                self.lose();
                self.failed = true;
                if let Some(reader) = self.reader.take() {
                    reader.wake();
                }
                Poll::Ready(Err(error))
            }
        }
    }

    /// Sends the request and reads the head of its response. Interim responses are ignored.
    ///
    /// # Errors
    /// Of both. Nothing can be done with the connection after an error.
    pub fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Error>> {
        if let Poll::Ready(Err(error)) = self.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        let head = ready!(self.poll_read_head(cx));
        if head.is_err() {
            self.lose();
        }
        Poll::Ready(head)
    }

    fn poll_read_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, Error>> {
        let Reading::Head(asked, seen) = &mut self.reading else {
            return Poll::Ready(Err(Error::Closed));
        };
        for _ in 0..STEPS {
            match response::parse(self.input.bytes(), seen, *asked)? {
                Step::Final(parsed) => {
                    self.keep &= parsed.keep;
                    self.reading = match parsed.left {
                        _ if parsed.head.status == StatusCode::SWITCHING_PROTOCOLS => {
                            Reading::Switched
                        }
                        Left::Length(0) => Reading::Idle,
                        left => Reading::Body(left),
                    };
                    return Poll::Ready(Ok(parsed.head));
                }
                Step::Interim => continue,
                Step::Incomplete => {}
            }
            if self.input.is_full() {
                return Poll::Ready(Err(Error::HeadTooLarge));
            }
            let read = ready!(self.input.poll_read(&mut self.io, cx));
            // The first failure is the cause of the other.
            if let Some(error) = self.unwritable.take_if(|_| !matches!(read, Ok(1..))) {
                return Poll::Ready(Err(Error::Io(error)));
            }
            if read.map_err(Error::Io)? == 0 {
                return Poll::Ready(Err(Error::Closed));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads a part of the body of the response: data, or trailers at the end. `None` after the end.
    ///
    /// # Errors
    /// If the body is malformed or ends too early, or that of the request failed meanwhile.
    pub fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let part = match self.poll_part(cx) {
            Poll::Ready(part) => part,
            Poll::Pending => return self.poll_later(cx),
        };
        Poll::Ready(match part {
            Ok(Part::Data(data)) => Some(Ok(Frame::data(data))),
            Ok(Part::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(Part::End | Part::More) => None,
            Err(error) => {
                self.lose();
                Some(Err(error))
            }
        })
    }

    /// Has `fill` read a part of the body from the socket; returns how many bytes it has read. `None` if only
    /// [`Connection::poll_frame`] reads it: its length is unknown, some of it has been read ahead, or the stream is no socket.
    ///
    /// # Errors
    /// The same.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Error>>> {
        let Reading::Body(left) = &mut self.reading else {
            return Poll::Ready(None);
        };
        if self.failed {
            return Poll::Ready(None);
        }
        let Poll::Ready(filled) = left.poll_fill(&self.input, &mut self.io, cx, fill) else {
            return self.poll_later(cx);
        };
        if matches!(filled, Some(Err(_))) {
            self.lose();
        } else if left.is_end() {
            self.reading = Reading::Idle;
        }
        Poll::Ready(filled)
    }

    /// Waits for the endpoint, and for a failure of the request.
    fn poll_later<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.is_sent() {
            self.reader = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Part, Error>> {
        if self.failed {
            return Poll::Ready(Err(Error::SentBody));
        }
        let Reading::Body(left) = &mut self.reading else {
            return Poll::Ready(Ok(Part::End));
        };
        let part = ready!(left.poll_next(&mut self.input, &mut self.io, cx))?;
        if left.is_end() || matches!(part, Part::End) {
            self.reading = Reading::Idle;
        }
        Poll::Ready(Ok(part))
    }

    fn lose(&mut self) {
        self.reading = Reading::Lost;
        self.keep = false;
    }

    /// Says that nothing more will be sent, as far as that is possible without waiting: over TLS, an endpoint that hears
    /// nothing takes the end of the connection for an attack.
    pub fn close(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // What cannot be said now is not said.
        let _ = Pin::new(&mut self.io).poll_shutdown(&mut cx);
    }
}

/// The stream of the protocol that the endpoint has switched to. The request must be sent.
impl<S: AsyncRead + Unpin, B: Unpin> AsyncRead for Connection<S, B> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = self.input.bytes();
        if ahead.is_empty() {
            self.input.rest(); // what follows is read past it
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = ahead.len().min(buf.remaining());
        buf.put_slice(&ahead[..length]);
        ahead.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, B: Unpin> AsyncWrite for Connection<S, B> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
