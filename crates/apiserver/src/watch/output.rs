//! The output of one watch, subject to disturbances. The events are from this server, or from a real cluster behind it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};

use super::super::encode;
use super::super::failure::Failure;
use super::super::faults::Disturbance;

/// Maximum of events that are kept for replays.
const MAX_REPLAYED: usize = 64;

/// The connection must be aborted.
#[derive(Debug)]
pub(crate) struct Aborted;

/// The mode of a watch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Running,
    Silent,
    Ending,
    Aborting,
}

/// Lines to send, the last events, and those held back or sent twice.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pending: VecDeque<Bytes>,
    mode: Mode,
    last: VecDeque<Bytes>,
    duplicate: usize,
    reorder: usize,
    held: Vec<Bytes>,
}

impl Output {
    /// Whether it is neither silent nor ending.
    pub(crate) fn is_running(&self) -> bool {
        self.mode == Mode::Running
    }

    /// Ends it after the lines to send.
    pub(crate) fn end(&mut self) {
        self.mode = Mode::Ending;
    }

    /// Aborts it after the lines to send.
    pub(crate) fn abort(&mut self) {
        self.mode = Mode::Aborting;
    }

    /// Sends a line that is not a change, without disturbance.
    pub(crate) fn send(&mut self, line: Bytes) {
        self.pending.push_back(line);
    }

    /// Sends an ERROR event and ends.
    pub(crate) fn refuse(&mut self, failure: &Failure) {
        let mut line = BytesMut::new();
        encode::error_event(&mut line, failure);
        self.send(line.freeze());
        self.end();
    }

    /// Sends a change, subject to disturbances.
    pub(crate) fn change(&mut self, event: Bytes) {
        if self.last.len() == MAX_REPLAYED {
            self.last.pop_front();
        }
        self.last.push_back(event.clone());
        if self.reorder > 0 {
            self.held.push(event);
            if self.held.len() == self.reorder {
                self.reorder = 0;
                self.pending.extend(self.held.drain(..).rev());
            }
            return;
        }
        if self.duplicate > 0 {
            self.duplicate -= 1;
            self.send(event.clone());
        }
        self.send(event);
    }

    /// Applies a disturbance. Bookmarks are up to the source of the events.
    pub(crate) fn apply(&mut self, disturbance: &Disturbance) {
        match disturbance {
            Disturbance::Close => self.end(),
            Disturbance::Abort => {
                self.send(Bytes::from_static(b"{\"type\":\"MODIFIED\",\"obj"));
                self.abort();
            }
            Disturbance::Silence => self.mode = Mode::Silent,
            Disturbance::Garbage => {
                self.send(Bytes::from_static(b"\x00\xffgarbage}{\n"));
                self.end();
            }
            Disturbance::Error(410) => self.refuse(&Failure::expired("too old resource version")),
            Disturbance::Error(code) => self.refuse(&Failure::injected(*code, None)),
            Disturbance::Bookmark => {}
            Disturbance::Duplicate(count) => self.duplicate = *count,
            Disturbance::Replay(count) => {
                let skip = self.last.len().saturating_sub(*count);
                self.pending.extend(self.last.iter().skip(skip).cloned());
            }
            Disturbance::Reorder(count) => self.reorder = *count,
        }
    }

    /// The next piece of the stream, or its end; continues when there is nothing to send. Never returns for a silent watch.
    pub(crate) async fn next(&mut self) -> ControlFlow<Option<Result<Bytes, Aborted>>> {
        if self.mode == Mode::Silent {
            std::future::pending::<()>().await;
        }
        if !self.pending.is_empty() {
            return ControlFlow::Break(Some(Ok(gather(&mut self.pending))));
        }
        match self.mode {
            Mode::Running | Mode::Silent => ControlFlow::Continue(()),
            Mode::Ending => ControlFlow::Break(None),
            Mode::Aborting => {
                // Earlier pieces are flushed when nothing follows at once.
                tokio::task::yield_now().await;
                ControlFlow::Break(Some(Err(Aborted)))
            }
        }
    }
}

fn gather(pieces: &mut VecDeque<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.pop_front().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces.drain(..) {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}
