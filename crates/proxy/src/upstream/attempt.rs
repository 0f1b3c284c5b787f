//! The tries of a call, as logs and metrics show them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::StatusCode;
use smallvec::SmallVec;

/// The tries of one call, in order.
///
/// They belong to the caller, who passes them in: a call that is dropped halfway, because its client went away, has left
/// its tries there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(SmallVec<[Attempt; 1]>);

/// One try at an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) endpoint: SocketAddr,
    pub(crate) start: Instant,
    /// Time to a connection; zero on a pooled one; `None` when connecting failed.
    pub(crate) connect: Option<Duration>,
    /// Time to the head of the response.
    pub(crate) header: Option<Duration>,
    /// Status of the response, or the one that the failure stands for (502, 504).
    pub(crate) status: Option<StatusCode>,
    /// Shared with the body of the response, which goes on when the call is over.
    pub(crate) progress: Rc<Progress>,
}

/// How far the body of a response has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Time from the start of the try to the end of the body; `None` until then.
    pub(crate) response: Cell<Option<Duration>>,
    /// Bytes received.
    pub(crate) bytes: Cell<u64>,
}

impl Attempts {
    /// A try at `endpoint` begins.
    pub(super) fn begin(&mut self, endpoint: SocketAddr, start: Instant) {
        self.0.push(Attempt {
            endpoint,
            start,
            connect: None,
            header: None,
            status: None,
            progress: Rc::new(Progress::default()),
        });
    }

    /// Changes the current try.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.0.last_mut() {
            change(attempt);
        }
    }

    #[cfg(test)]
    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Progress of the current try.
    pub(super) fn progress(&self) -> Rc<Progress> {
        self.last()
            .map(|attempt| attempt.progress.clone())
            .unwrap_or_default()
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        &self.0
    }
}
