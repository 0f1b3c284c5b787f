//! The findings of a compiled state by source, and which of them are new or resolved.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::ObjectRef;
use crate::finding::Finding;
use crate::objects::Protocol;

/// The part of the state that produced findings; compiling it again replaces them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Settings,
    Object(ObjectRef),
    /// The status of an object.
    Status(ObjectRef),
    Host(Arc<str>),
    Upstream(Arc<str>),
    Alias(Arc<str>),
    DefaultCertificate,
    /// Hosts of Ingresses that routes of the Gateway API serve too.
    SharedHosts,
    /// The ConfigMap of TCP or UDP services.
    Ports(Protocol),
}

/// All findings, and what changed in the last step.
#[derive(Default)]
pub(crate) struct Findings {
    by_source: HashMap<Source, Vec<Finding>, RandomState>,
    /// How many sources have each finding: two upstreams can lack the same Service.
    counts: HashMap<Finding, usize, RandomState>,
    /// The findings that the step touched, with their counts before it.
    before: HashMap<Finding, usize, RandomState>,
}

impl Findings {
    /// Replaces the findings of `source`.
    pub(crate) fn replace(&mut self, source: Source, findings: Vec<Finding>) {
        for finding in &findings {
            self.count(finding, |count| count.saturating_add(1));
        }
        let old = if findings.is_empty() {
            self.by_source.remove(&source)
        } else {
            self.by_source.insert(source, findings)
        };
        for finding in old.iter().flatten() {
            self.count(finding, |count| count.saturating_sub(1));
        }
    }

    /// The findings of `source`.
    pub(crate) fn of(&self, source: &Source) -> &[Finding] {
        self.by_source.get(source).map_or(&[], Vec::as_slice)
    }

    /// All findings, sorted, each once.
    pub(crate) fn all(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.counts.keys().cloned().collect();
        all.sort();
        all
    }

    /// Starts a step, without new or resolved findings.
    pub(crate) fn begin(&mut self) {
        self.before.clear();
    }

    /// New and resolved findings of the step; a finding that only changed its source is neither.
    pub(crate) fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        let changed = |was_there: bool| {
            let changed = self.before.iter().filter(|(finding, before)| {
                let is_there = self.counts.contains_key(*finding);
                (**before > 0) == was_there && is_there != was_there
            });
            let mut changed: Vec<Finding> = changed.map(|(finding, _)| finding.clone()).collect();
            changed.sort();
            changed
        };
        (changed(false), changed(true))
    }

    fn count(&mut self, finding: &Finding, change: impl Fn(usize) -> usize) {
        let count = self.counts.get(finding).copied().unwrap_or(0);
        self.before.entry(finding.clone()).or_insert(count);
        match change(count) {
            0 => drop(self.counts.remove(finding)),
            times => drop(self.counts.insert(finding.clone(), times)),
        }
    }
}
