//! What goes out on one watch, and what disturbances make of it, whoever makes the events: this server or a cluster
//! behind it.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};

use super::super::answer;
use super::super::failure::Failure;
use super::super::faults::Disturbance;

/// Events that are remembered for replays.
const REMEMBERED: usize = 64;

/// The connection is to be broken.
#[derive(Debug)]
pub(crate) struct Broken;

/// How a watch goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Going {
    #[default]
    On,
    Silent,
    Ending,
    Breaking,
}

/// Lines that wait to be sent, the last events, and those held back or told twice.
#[derive(Debug, Default)]
pub(crate) struct Outlet {
    waiting: VecDeque<Bytes>,
    going: Going,
    last: VecDeque<Bytes>,
    duplicate: usize,
    reorder: usize,
    held: Vec<Bytes>,
}

impl Outlet {
    /// Whether it is undisturbed.
    pub(crate) fn is_on(&self) -> bool {
        self.going == Going::On
    }

    /// Ends it after what waits.
    pub(crate) fn end(&mut self) {
        self.going = Going::Ending;
    }

    /// Breaks it after what waits.
    pub(crate) fn break_off(&mut self) {
        self.going = Going::Breaking;
    }

    /// Sends a line as it is: it is no change.
    pub(crate) fn send(&mut self, line: Bytes) {
        self.waiting.push_back(line);
    }

    /// Sends an ERROR event and ends.
    pub(crate) fn refuse(&mut self, failure: &Failure) {
        let mut line = BytesMut::new();
        answer::error_event(&mut line, failure);
        self.send(line.freeze());
        self.end();
    }

    /// Sends a change, as disturbances will have it.
    pub(crate) fn change(&mut self, event: Bytes) {
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(event.clone());
        if self.reorder > 0 {
            self.held.push(event);
            if self.held.len() == self.reorder {
                self.reorder = 0;
                self.waiting.extend(self.held.drain(..).rev());
            }
            return;
        }
        if self.duplicate > 0 {
            self.duplicate -= 1;
            self.send(event.clone());
        }
        self.send(event);
    }

    /// Meets a disturbance. A bookmark is up to who makes the events.
    pub(crate) fn meet(&mut self, what: &Disturbance) {
        match what {
            Disturbance::Close => self.end(),
            Disturbance::Abort => {
                self.send(Bytes::from_static(b"{\"type\":\"MODIFIED\",\"obj"));
                self.break_off();
            }
            Disturbance::Silence => self.going = Going::Silent,
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
                self.waiting.extend(self.last.iter().skip(skip).cloned());
            }
            Disturbance::Reorder(count) => self.reorder = *count,
        }
    }

    /// What the stream of the watch has next, its end included, unless it has to wait for more. A silent watch never says.
    pub(crate) async fn next(&mut self) -> ControlFlow<Option<Result<Bytes, Broken>>> {
        if self.going == Going::Silent {
            std::future::pending::<()>().await;
        }
        if !self.waiting.is_empty() {
            return ControlFlow::Break(Some(Ok(gather(&mut self.waiting))));
        }
        match self.going {
            Going::On | Going::Silent => ControlFlow::Continue(()),
            Going::Ending => ControlFlow::Break(None),
            Going::Breaking => {
                // What was sent before is flushed when nothing follows at once.
                tokio::task::yield_now().await;
                ControlFlow::Break(Some(Err(Broken)))
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
