//! A stream that plays the other side, a body, and an oracle.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod requests;
pub(crate) mod scanner;

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use headgate_http1::server::Limits;
use headgate_http1::{Piped, Socket};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Those of the proxy.
pub(crate) const LIMITS: Limits = Limits {
    request_line: 8 << 10,
    field: 8 << 10,
    head: 32 << 10,
    fields: 100,
    buffer: 32 << 10,
};

/// `texts` with a few bytes changed, added, or cut off.
pub(crate) fn damaged(texts: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 0..3);
    (texts, changes).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (index, byte, kind) in changes {
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at.max(1)),
            }
        }
        bytes
    })
}

/// Pieces of data, then trailers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) data: Vec<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Its length is known before.
    pub(crate) known: bool,
}

impl Piped for Pieces {}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.data.is_empty() {
            false => Some(Ok(Frame::data(self.data.remove(0)))),
            true => self
                .trailers
                .take()
                .map(|trailers| Ok(Frame::trailers(trailers))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.known {
            true => SizeHint::with_exact(self.data.iter().map(|data| data.len() as u64).sum()),
            false => SizeHint::new(),
        }
    }
}

/// Sends bytes in pieces as soon as something was written to it, and keeps what was written.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) sends: Vec<u8>,
    pub(crate) sent: usize,
    /// It does not wait until something was written to it.
    pub(crate) speaks_first: bool,
    /// Bytes of a piece; 0: all.
    pub(crate) piece: usize,
    /// Between pieces it is not ready for once.
    pub(crate) pauses: bool,
    pub(crate) paused: bool,
    /// After the last byte, it begins again.
    pub(crate) repeats: bool,
    /// After the last byte, the stream ends.
    pub(crate) ends: bool,
    /// Most bytes of a write; 0: all.
    pub(crate) takes: usize,
    /// Nothing is written after that many bytes.
    pub(crate) breaks: Option<usize>,
    pub(crate) written: Arc<Mutex<Vec<u8>>>,
    pub(crate) reader: Option<Waker>,
}

impl Socket for Script {}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader = Some(cx.waker().clone());
        if !self.speaks_first && self.written.lock().unwrap().is_empty() {
            return Poll::Pending;
        }
        self.paused = self.pauses && !self.paused;
        if self.paused {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.repeats && self.sent == self.sends.len() {
            self.sent = 0;
        }
        let rest = &self.sends[self.sent..];
        if rest.is_empty() && !self.ends {
            return Poll::Pending;
        }
        let most = match self.piece {
            0 => usize::MAX,
            piece => piece,
        };
        let length = rest.len().min(most).min(buf.remaining());
        buf.put_slice(&rest[..length]);
        self.sent += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        let mut written = self.written.lock().unwrap();
        if self.breaks.is_some_and(|most| written.len() >= most) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let length = match self.takes {
            0 => bytes.len(),
            takes => bytes.len().min(takes),
        };
        written.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let most = match self.takes {
            0 => usize::MAX,
            takes => takes,
        };
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let all: Vec<u8> = bytes.take(most).collect();
        self.poll_write(cx, &all)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
