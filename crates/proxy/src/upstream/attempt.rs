//! The attempts of a call, as logs and metrics show them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::Deref;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::StatusCode;
use smallvec::SmallVec;

use super::Fault;
use crate::trace::AttemptSpan;

/// The attempts of one call, in order.
///
/// The caller owns them and passes them in: so it has them also when it drops the call, because its client went away.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts {
    list: SmallVec<[Attempt; 1]>,
    /// There was no further attempt because of the retry budget.
    pub(crate) over_budget: bool,
}

/// One attempt to have a request served by an endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) endpoint: SocketAddr,
    pub(crate) start: Instant,
    /// Time to a connection; zero on a pooled one; `None` when connecting failed.
    pub(crate) connect: Option<Duration>,
    /// Time to the head of the response.
    pub(crate) header: Option<Duration>,
    /// Status of the response, or 502 or 504 for a failure of the endpoint.
    pub(crate) status: Option<StatusCode>,
    /// Why it failed, if it did.
    pub(crate) fault: Option<Box<Fault>>,
    /// Its span, if that of the request is exported.
    pub(crate) span: Option<Box<AttemptSpan>>,
    /// Shared with the body of the response, which outlives the call.
    pub(crate) progress: Rc<Progress>,
}

/// How much of the body of a response was received.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Time from the start of the attempt to the end of the body; `None` until then.
    pub(crate) response: Cell<Option<Duration>>,
    /// Bytes received.
    pub(crate) bytes: Cell<u64>,
}

impl Attempts {
    /// Adds an attempt at `endpoint`.
    pub(super) fn begin(&mut self, endpoint: SocketAddr, start: Instant) {
        self.list.push(Attempt {
            endpoint,
            start,
            connect: None,
            header: None,
            status: None,
            fault: None,
            span: None,
            progress: Rc::new(Progress::default()),
        });
    }

    /// Changes the last attempt.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Attempt)) {
        if let Some(attempt) = self.list.last_mut() {
            change(attempt);
        }
    }

    #[cfg(test)]
    pub(super) fn append(&mut self, other: Self) {
        self.list.extend(other.list);
    }

    /// Progress of the last attempt.
    pub(super) fn progress(&self) -> Rc<Progress> {
        self.last()
            .map(|attempt| attempt.progress.clone())
            .unwrap_or_default()
    }
}

impl Deref for Attempts {
    type Target = [Attempt];

    fn deref(&self) -> &[Attempt] {
        &self.list
    }
}
