//! What is left of a body.

use std::task::{Context, Poll, ready};

use http_body::SizeHint;
use tokio::io::AsyncRead;

use crate::Error;
use crate::chunked::{Chunked, Part};
use crate::input::Input;

/// What is left to read of a body.
#[derive(Debug)]
pub(crate) enum Left {
    /// Bytes.
    Length(u64),
    Chunked(Chunked),
    /// Up to the end of the stream.
    Close,
}

impl Left {
    /// Whether nothing is left, as far as that is known without reading on.
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunked) => chunked.is_end(),
            Self::Close => false,
        }
    }

    /// How much is left, if that is known.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Length(left) => SizeHint::with_exact(*left),
            Self::Chunked(_) | Self::Close => SizeHint::new(),
        }
    }

    /// Reads the next part, never [`Part::More`].
    pub(crate) fn poll_next<S: AsyncRead + Unpin + ?Sized>(
        &mut self,
        input: &mut Input,
        io: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Part, Error>> {
        loop {
            let part = match self {
                Self::Chunked(chunked) => chunked.next(input)?,
                Self::Length(0) => Part::End,
                _ if input.is_empty() => Part::More,
                Self::Length(left) => {
                    let data = input.take(*left);
                    *left -= data.len() as u64;
                    Part::Data(data)
                }
                Self::Close => Part::Data(input.take(u64::MAX)),
            };
            if !matches!(part, Part::More) {
                return Poll::Ready(Ok(part));
            }
            match ready!(input.poll_read(io, cx)) {
                Ok(1..) => {}
                Ok(0) if matches!(self, Self::Close) => return Poll::Ready(Ok(Part::End)),
                Ok(0) => return Poll::Ready(Err(Error::Truncated)),
                Err(error) => return Poll::Ready(Err(Error::Io(error))),
            }
        }
    }
}
