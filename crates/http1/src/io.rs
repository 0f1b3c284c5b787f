//! The streams of connections. Where both are sockets, the kernel can move a body from one to the other, so that the process
//! does not copy it (splice(2)).

use std::fmt::Debug;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, Interest, ReadBuf};
use tokio::net::TcpStream;

/// What moves bytes from a socket into a pipe, at most so many; returns their number.
pub type Fill<'f> = dyn FnMut(BorrowedFd<'_>, u64) -> io::Result<usize> + 'f;

/// What moves bytes from or to a socket that does not block; returns their number.
pub type Transfer<'t> = dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + 't;

/// A stream of bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Socket + Unpin {}

impl<S: AsyncRead + AsyncWrite + Socket + Unpin> Io for S {}

/// A stream that may be a socket. By default it is none.
pub trait Socket {
    /// Whether its bytes are those of a socket, so that they may be moved past it.
    fn is_socket(&self) -> bool {
        false
    }

    /// Calls `receive` when the socket has bytes, until it does not fail with [`io::ErrorKind::WouldBlock`].
    fn poll_receive(
        &mut self,
        _cx: &mut Context<'_>,
        _receive: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    /// Calls `send` when the socket accepts bytes, until it does not fail with [`io::ErrorKind::WouldBlock`].
    fn poll_send(
        &mut self,
        _cx: &mut Context<'_>,
        _send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

/// Bytes that the kernel holds on their way from one socket to another.
pub trait Pipe: Debug {
    /// How many are left.
    fn length(&self) -> usize;

    /// Moves some of them to a socket; returns their number.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket accepts none now, and those of the socket.
    fn send(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize>;
}

/// The next bytes of a body, at least one. `None` if they cannot be had in a pipe, now or at all: they are in the next frame
/// then.
pub type NextPipe<E> = Option<Result<Box<dyn Pipe>, E>>;

/// A body of which the kernel may hold parts. By default it holds none.
pub trait Piped: Body {
    /// The next bytes.
    fn poll_pipe(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<NextPipe<Self::Error>> {
        Poll::Ready(None)
    }
}

/// Whether the system moves no bytes from there into a pipe, as from sockets in some sandboxes and from files of some file
/// systems. None are lost then.
pub fn refuses_pipes(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported)
}

impl Socket for TcpStream {
    fn is_socket(&self) -> bool {
        true
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            match self.try_io(Interest::READABLE, || receive(self.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(cx))?;
            match self.try_io(Interest::WRITABLE, || send(self.as_fd())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

impl Socket for DuplexStream {}

impl<S: Socket + ?Sized> Socket for Box<S> {
    fn is_socket(&self) -> bool {
        (**self).is_socket()
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        receive: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        (**self).poll_receive(cx, receive)
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: &mut Transfer<'_>,
    ) -> Poll<io::Result<usize>> {
        (**self).poll_send(cx, send)
    }
}

/// A body of which the kernel holds nothing.
#[derive(Debug, Default)]
pub struct Unpiped<B>(pub B);

impl<B: Body + Unpin> Piped for Unpiped<B> {}

impl<B: Body + Unpin> Body for Unpiped<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A stream whose bytes are not those of a socket, such as TLS.
#[derive(Debug)]
pub struct Coded<S>(pub S);

impl<S> Socket for Coded<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Coded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Coded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
