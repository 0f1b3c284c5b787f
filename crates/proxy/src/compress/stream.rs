//! A body that is coded as it is streamed.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use headgate_table::Coder;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};

use super::encoder::Encoder;
use crate::upstream::BodyError;

/// Bytes that are coded in one go, and about the size of an outgoing frame.
const PART: usize = 16 << 10;
/// Bytes coded before other tasks of the worker may run, however fast the source is: below a millisecond for gzip level 1.
const TURN: usize = 64 << 10;

/// The coded form of `B`. When the source has nothing more for now, what was coded goes to the client, so that events are
/// not held back.
pub(crate) struct Compressed<B> {
    source: B,
    encoder: Encoder,
    /// Received and not coded.
    input: Bytes,
    trailers: Option<HeaderMap>,
    /// Something was coded since the last flush.
    unflushed: bool,
    /// Bytes coded in this turn.
    turn: usize,
    ended: bool,
}

impl<B: HttpBody<Data = Bytes, Error = BodyError> + Unpin> Compressed<B> {
    /// The form of `source` that `coder` makes.
    ///
    /// # Errors
    /// If there is no memory for an encoder.
    pub(crate) fn new(source: B, coder: &Coder) -> io::Result<Self> {
        Ok(Self {
            source,
            encoder: Encoder::new(coder)?,
            input: Bytes::new(),
            trailers: None,
            unflushed: false,
            turn: 0,
            ended: false,
        })
    }

    /// Whether everything, the trailers too, was taken.
    pub(crate) fn is_end(&self) -> bool {
        self.ended && self.encoder.waiting() == 0 && self.trailers.is_none()
    }

    /// The next frame of the coded body.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            if self.ended {
                return Poll::Ready(self.rest().map(Ok));
            }
            let step = if self.encoder.waiting() >= PART {
                return Poll::Ready(Some(Ok(Frame::data(self.encoder.take()))));
            } else if self.turn >= TURN {
                self.turn = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            } else if self.input.is_empty() {
                match Pin::new(&mut self.source).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => self.receive(frame),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(None) => self.finish(),
                    Poll::Pending => return self.poll_output(),
                }
            } else {
                self.code()
            };
            if let Err(error) = step {
                return Poll::Ready(Some(Err(BodyError::Compression(error))));
            }
        }
    }

    /// While the source has nothing: everything that was coded.
    fn poll_output(&mut self) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.turn = 0;
        if std::mem::take(&mut self.unflushed)
            && let Err(error) = self.encoder.flush()
        {
            return Poll::Ready(Some(Err(BodyError::Compression(error))));
        }
        if self.encoder.waiting() == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(self.encoder.take()))))
    }

    fn receive(&mut self, frame: Frame<Bytes>) -> io::Result<()> {
        match frame.into_data() {
            Ok(data) => {
                self.input = data;
                Ok(())
            }
            Err(frame) => {
                // What is no data is trailers; a frame of an unknown kind has nothing to send.
                self.trailers = frame.into_trailers().ok();
                self.finish()
            }
        }
    }

    fn code(&mut self) -> io::Result<()> {
        let part = self.input.split_to(self.input.len().min(PART));
        self.turn += part.len();
        self.unflushed = true;
        self.encoder.write(&part)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.ended = true;
        self.encoder.finish()
    }

    /// What is left after the end: output, then trailers.
    fn rest(&mut self) -> Option<Frame<Bytes>> {
        if self.encoder.waiting() > 0 {
            return Some(Frame::data(self.encoder.take()));
        }
        self.trailers.take().map(Frame::trailers)
    }
}
