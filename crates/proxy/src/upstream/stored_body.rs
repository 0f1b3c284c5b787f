//! Request bodies that were received into a file, while they are sent.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use headgate_http1::{NextPipe, Pipe as _, refuses_pipes};
use http_body::Frame;
use tokio::task::JoinHandle;

use super::request_body::RequestBodyError;
use super::spool::Spool;
use crate::pipes::{Pipe, PipeGuard, Pipes};

/// A body in a file.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) spool: Spool,
    /// Bytes.
    pub(super) length: u64,
    /// What the kernel may move it through.
    pub(super) pipes: Rc<Pipes>,
}

/// A body in a file, while it is sent.
pub(super) struct StoredBody {
    stored: Stored,
    offset: u64,
    next: Next,
    /// The system moves no bytes of the file into pipes.
    is_copied: bool,
}

/// The next bytes. A slow disk must not delay the other connections of a worker, so that other threads read them.
enum Next {
    Unread,
    Frame(JoinHandle<io::Result<Bytes>>),
    Pipe(PipeGuard, JoinHandle<io::Result<Pipe>>),
}

impl StoredBody {
    /// From its start.
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            stored,
            offset: 0,
            next: Next::Unread,
            is_copied: false,
        }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> u64 {
        self.stored.length - self.offset
    }

    /// The next bytes; `None` at the end.
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let left = self.left();
        if left == 0 {
            return Poll::Ready(None);
        }
        let bytes = loop {
            match &mut self.next {
                Next::Frame(read) => break ready!(Pin::new(read).poll(cx)),
                // Bytes that nobody takes from the pipe are read again.
                Next::Unread | Next::Pipe(..) => {
                    self.next = Next::Frame(self.stored.spool.read_at(self.offset, left));
                }
            }
        };
        self.next = Next::Unread;
        let Ok(Ok(bytes)) = bytes else {
            return Poll::Ready(Some(Err(RequestBodyError::Spool)));
        };
        self.offset += bytes.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    /// See [`headgate_http1::Piped`].
    pub(super) fn poll_pipe(&mut self, cx: &mut Context<'_>) -> Poll<NextPipe<RequestBodyError>> {
        let next = std::mem::replace(&mut self.next, Next::Unread);
        let begun = match next {
            Next::Pipe(guard, filling) => Some((guard, filling)),
            Next::Unread if !self.is_copied => self.fill(),
            next => {
                self.next = next;
                None
            }
        };
        let Some((mut guard, mut filling)) = begun else {
            return Poll::Ready(None);
        };
        let Poll::Ready(filled) = Pin::new(&mut filling).poll(cx) else {
            self.next = Next::Pipe(guard, filling);
            return Poll::Pending;
        };
        match filled {
            Ok(Ok(pipe)) => {
                guard.put(pipe);
                self.offset += guard.length() as u64;
                Poll::Ready(Some(Ok(Box::new(guard))))
            }
            Ok(Err(error)) if refuses_pipes(&error) => {
                self.is_copied = true;
                Poll::Ready(None)
            }
            _ => Poll::Ready(Some(Err(RequestBodyError::Spool))),
        }
    }

    /// Has a pipe filled with the next bytes, if there is one.
    fn fill(&self) -> Option<(PipeGuard, JoinHandle<io::Result<Pipe>>)> {
        let mut guard = self.stored.pipes.lend()?;
        let pipe = guard.take()?;
        let filling = self.stored.spool.fill(pipe, self.offset, self.left());
        Some((guard, filling))
    }
}
