//! What is left of a body.

use std::task::{Context, Poll, ready};

use http_body::SizeHint;
use tokio::io::AsyncRead;

use crate::Error;
use crate::chunked::{Chunked, Part};
use crate::input::Input;
use crate::io::{Fill, Socket, refuses_pipes};

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

    /// Has `fill` read the next bytes from the socket. `None` if only [`Left::poll_next`] reads them.
    pub(crate) fn poll_fill<S: Socket + ?Sized>(
        &mut self,
        input: &Input,
        io: &mut S,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Error>>> {
        let Self::Length(left @ 1..) = self else {
            return Poll::Ready(None);
        };
        if !input.is_empty() || !io.is_socket() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(
            match ready!(io.poll_receive(cx, &mut |socket| fill(socket, *left))) {
                Ok(0) => Err(Error::Truncated),
                Ok(read) => {
                    *left = left.saturating_sub(read as u64);
                    Ok(read)
                }
                Err(error) if refuses_pipes(&error) => return Poll::Ready(None),
                Err(error) => Err(Error::Io(error)),
            },
        ))
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
                    if *left == 0 {
                        input.end_body();
                    }
                    Part::Data(data)
                }
                Self::Close => Part::Data(input.take(u64::MAX)),
            };
            if !matches!(part, Part::More) {
                return Poll::Ready(Ok(part));
            }
            let read = match self {
                Self::Length(left) => input.poll_read_body(*left, io, cx),
                Self::Chunked(_) | Self::Close => input.poll_read(io, cx),
            };
            match ready!(read) {
                Ok(1..) => {}
                Ok(0) if matches!(self, Self::Close) => return Poll::Ready(Ok(Part::End)),
                Ok(0) => return Poll::Ready(Err(Error::Truncated)),
                Err(error) => return Poll::Ready(Err(Error::Io(error))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::Waker;

    use super::*;
    use crate::io::Transfer;

    /// A socket of which a read fails like this.
    struct Failing(io::ErrorKind);

    impl Socket for Failing {
        fn is_socket(&self) -> bool {
            true
        }

        fn poll_receive(
            &mut self,
            _: &mut Context<'_>,
            _: &mut Transfer<'_>,
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    #[test]
    fn where_the_system_refuses_pipes_bodies_are_read() {
        let (input, mut left) = (Input::new(1024), Left::Length(100_000));
        let mut filled = |kind| {
            let mut cx = Context::from_waker(Waker::noop());
            left.poll_fill(&input, &mut Failing(kind), &mut cx, &mut |_, _| Ok(1))
        };
        assert!(matches!(
            filled(io::ErrorKind::InvalidInput),
            Poll::Ready(None)
        ));
        assert!(matches!(
            filled(io::ErrorKind::Unsupported),
            Poll::Ready(None)
        ));
        assert!(matches!(
            filled(io::ErrorKind::ConnectionReset),
            Poll::Ready(Some(Err(Error::Io(_))))
        ));
    }
}
