//! The body of a client's request, as it arrives.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use headgate_http1::Fill;
use headgate_http1::server::{self, Upgrade};
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The body of a request of either protocol.
#[derive(Debug)]
pub(crate) enum Incoming {
    Http1(server::Incoming),
    Http2(hyper::body::Incoming),
}

/// Why a body does not arrive whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The client broke the framing.
    Malformed,
    /// The client went away.
    Gone,
}

impl Incoming {
    /// The client's side of an upgrade, once, if the client requests one.
    pub(crate) fn take_upgrade(&mut self) -> Option<Upgrade> {
        match self {
            Self::Http1(body) => body.take_upgrade(),
            Self::Http2(_) => None,
        }
    }

    /// See [`server::Incoming::poll_fill`].
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        fill: &mut Fill<'_>,
    ) -> Poll<Option<Result<usize, Broken>>> {
        match self {
            Self::Http1(body) => body.poll_fill(cx, fill).map_err(|error| of_http1(&error)),
            Self::Http2(_) => Poll::Ready(None),
        }
    }
}

impl From<server::Incoming> for Incoming {
    fn from(body: server::Incoming) -> Self {
        Self::Http1(body)
    }
}

impl From<hyper::body::Incoming> for Incoming {
    fn from(body: hyper::body::Incoming) -> Self {
        Self::Http2(body)
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        Poll::Ready(match &mut *self {
            Self::Http1(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                frame.map(|frame| frame.map_err(|error| of_http1(&error)))
            }
            Self::Http2(body) => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                frame.map(|frame| frame.map_err(|error| of_causes(&error)))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

fn of_http1(error: &headgate_http1::Error) -> Broken {
    match error {
        headgate_http1::Error::InvalidChunks(_) => Broken::Malformed,
        error => of_causes(error),
    }
}

/// Distinguishes broken bytes from a closed connection: for the former, `InvalidInput` or `InvalidData` is somewhere in the chain
/// of causes.
fn of_causes(error: &(dyn StdError + 'static)) -> Broken {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
            )
        {
            return Broken::Malformed;
        }
        cause = error.source();
    }
    Broken::Gone
}
