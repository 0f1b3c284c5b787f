//! The queue of notices: bounded; when it is full, the oldest is dropped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use headgate_compile::Finding;
use tokio::sync::Notify;

use super::notice::is_for_events;
use super::{EventMetrics, Notice};

pub(super) const CAPACITY: usize = 10_000;

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

#[derive(Default)]
struct State {
    waiting: VecDeque<Notice>,
    /// The present findings, for a replica that becomes leader later.
    current: HashMap<Finding, Option<Arc<str>>, RandomState>,
    reports_findings: bool,
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
            notice => self.enqueue(&mut self.state(), notice),
        }
    }

    /// Adds findings, each with the `metadata.uid` of its object, and removes those that are gone. Findings of severity
    /// `Info` and findings about documents of files make no Events.
    pub fn findings(
        &self,
        appeared: impl IntoIterator<Item = (Finding, Option<Arc<str>>)>,
        gone: &[Finding],
    ) {
        let mut state = self.state();
        for finding in gone {
            state.current.remove(finding);
        }
        for (finding, uid) in appeared {
            if !is_for_events(&finding) {
                continue;
            }
            state.current.insert(finding.clone(), uid.clone());
            if state.reports_findings {
                self.enqueue(&mut state, Notice::Finding(finding, uid));
            }
        }
    }

    /// Switches Events of findings on or off for this replica. Switched on, it writes the present findings.
    pub(super) fn report_findings(&self, reports: bool) {
        let mut state = self.state();
        let reported = std::mem::replace(&mut state.reports_findings, reports);
        if reported && !reports {
            let is_finding = |notice: &Notice| matches!(notice, Notice::Finding(..));
            state.waiting.retain(|notice| !is_finding(notice));
        }
        if reports && !reported {
            let current = state.current.iter();
            let mut current: Vec<_> = current.map(|(f, uid)| (f.clone(), uid.clone())).collect();
            current.sort();
            for (finding, uid) in current {
                self.enqueue(&mut state, Notice::Finding(finding, uid));
            }
        }
    }

    /// The next notice that is still current. Cancelling it loses nothing.
    pub(super) async fn next(&self) -> Notice {
        loop {
            let notice = self.state().waiting.pop_front();
            match notice {
                Some(notice) if self.is_current(&notice) => return notice,
                Some(_) => {}
                None => self.shared.added.notified().await,
            }
        }
    }

    /// False for a finding that is gone, or when another replica writes findings.
    pub(super) fn is_current(&self, notice: &Notice) -> bool {
        let Notice::Finding(finding, _) = notice else {
            return true;
        };
        let state = self.state();
        state.reports_findings && state.current.contains_key(finding)
    }

    fn enqueue(&self, state: &mut State, notice: Notice) {
        if state.waiting.len() >= CAPACITY {
            state.waiting.pop_front();
            self.shared.metrics.dropped("queue");
        }
        state.waiting.push_back(notice);
        self.shared.added.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}
