//! The queue of notices: bounded; when it is full, the oldest is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use headgate_compile::Finding;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::notice::is_for_events;
use super::{EventMetrics, Notice};

pub(super) const CAPACITY: usize = 10_000;
/// How long a finding that is usual while an application starts must last before it is reported.
pub(super) const STARTING: Duration = Duration::from_secs(10);

/// The queue of notices. Adding one never blocks.
#[derive(Clone)]
pub struct Notices {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    added: Notify,
    sync: bool,
    metrics: EventMetrics,
}

/// Which replica writes the Events that all replicas could write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Writer {
    /// No leader is known.
    #[default]
    Unknown,
    This,
    Other,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Notice>,
    /// The present findings, for a replica that becomes leader later.
    current: HashMap<Finding, Present, RandomState>,
    /// Findings that are reported at the time given if they are present by then, in this order.
    starting: VecDeque<(Instant, Finding)>,
    /// Other shared notices from before a leader is known.
    held: VecDeque<Notice>,
    writer: Writer,
}

/// A present finding.
struct Present {
    uid: Option<Arc<str>>,
    /// When it is reported at the earliest.
    due: Instant,
}

impl Notices {
    pub(super) fn new(sync: bool, metrics: EventMetrics) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                added: Notify::new(),
                sync,
                metrics,
            }),
        }
    }

    /// Adds one notice.
    pub fn push(&self, notice: Notice) {
        match notice {
            Notice::Finding(finding, uid) => self.findings([(finding, uid)], &[]),
            Notice::Sync { .. } if !self.shared.sync => {}
            notice => {
                let mut state = self.state();
                match state.writer {
                    Writer::Other if notice.is_shared() => {}
                    Writer::Unknown if notice.is_shared() => {
                        self.shared.add(&mut state.held, notice);
                    }
                    Writer::This | Writer::Other | Writer::Unknown => {
                        self.enqueue(&mut state, notice);
                    }
                }
            }
        }
    }

    /// Adds findings, each with the `metadata.uid` of its object, and removes those that are gone. Findings of severity
    /// `Info` and findings about documents of files make no Events; findings about backends that may be starting make one
    /// when they lasted for 10 s.
    pub fn findings(
        &self,
        appeared: impl IntoIterator<Item = (Finding, Option<Arc<str>>)>,
        gone: &[Finding],
    ) {
        let mut state = self.state();
        for finding in gone {
            state.current.remove(finding);
        }
        let now = Instant::now();
        for (finding, uid) in appeared {
            if !is_for_events(&finding) {
                continue;
            }
            let may_be_starting = finding.lacks_endpoints() || finding.lacks_service();
            let due = if may_be_starting { now + STARTING } else { now };
            let present = Present {
                uid: uid.clone(),
                due,
            };
            state.current.insert(finding.clone(), present);
            if may_be_starting {
                state.starting.push_back((due, finding));
                self.shared.added.notify_one();
            } else if state.writer == Writer::This {
                self.enqueue(&mut state, Notice::Finding(finding, uid));
            }
        }
    }

    /// Sets which replica writes shared Events. A new writer begins with the present findings.
    pub(super) fn set_writer(&self, writer: Writer) {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.writer, writer);
        if before == writer {
            return;
        }
        match writer {
            Writer::This => {
                for notice in std::mem::take(&mut state.held) {
                    self.enqueue(&mut state, notice);
                }
                // Last, as the oldest are dropped if they are too many.
                let now = Instant::now();
                let current = state.current.iter();
                let current = current.filter(|(_, present)| present.due <= now);
                let mut current: Vec<_> = current
                    .map(|(finding, present)| (finding.clone(), present.uid.clone()))
                    .collect();
                current.sort();
                for (finding, uid) in current {
                    self.enqueue(&mut state, Notice::Finding(finding, uid));
                }
            }
            Writer::Other => {
                state.waiting.retain(|notice| !notice.is_shared());
                state.held.clear();
            }
            Writer::Unknown => state.waiting.retain(|notice| !notice.is_shared()),
        }
    }

    /// Whether this replica writes shared Events.
    pub(super) fn writes_shared(&self) -> bool {
        self.state().writer == Writer::This
    }

    /// The next notice that is still current. Cancelling it loses nothing.
    pub(super) async fn next(&self) -> Notice {
        loop {
            let (notice, due) = {
                let mut state = self.state();
                self.start_due(&mut state);
                let due = state.starting.front().map(|(due, _)| *due);
                (state.waiting.pop_front(), due)
            };
            match (notice, due) {
                (Some(notice), _) if self.is_current(&notice) => return notice,
                (Some(_), _) => {}
                (None, Some(due)) => {
                    // What came, or that nothing did, is seen in the next pass.
                    let _ = timeout_at(due, self.shared.added.notified()).await;
                }
                (None, None) => self.shared.added.notified().await,
            }
        }
    }

    /// False for a finding that is gone, or when another replica writes shared Events.
    pub(super) fn is_current(&self, notice: &Notice) -> bool {
        let state = self.state();
        match notice {
            Notice::Finding(finding, _) => {
                state.writer == Writer::This && state.current.contains_key(finding)
            }
            notice => state.writer == Writer::This || !notice.is_shared(),
        }
    }

    /// Enqueues the findings that lasted long enough.
    fn start_due(&self, state: &mut State) {
        let now = Instant::now();
        while let Some((due, _)) = state.starting.front()
            && *due <= now
        {
            let Some((due, finding)) = state.starting.pop_front() else {
                return;
            };
            // One that went and came back has another entry.
            let uid = match state.current.get(&finding) {
                Some(present) if present.due == due => present.uid.clone(),
                Some(_) | None => continue,
            };
            if state.writer == Writer::This {
                self.enqueue(state, Notice::Finding(finding, uid));
            }
        }
    }

    fn enqueue(&self, state: &mut State, notice: Notice) {
        self.shared.add(&mut state.waiting, notice);
        self.shared.added.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn add(&self, queue: &mut VecDeque<Notice>, notice: Notice) {
        if queue.len() >= CAPACITY {
            queue.pop_front();
            self.metrics.dropped("queue");
        }
        queue.push_back(notice);
    }
}
