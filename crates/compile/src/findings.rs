//! The findings of a compiled state, by what they came from, and which of them are new or gone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::ObjectRef;
use crate::finding::Finding;

/// What findings came from; compiling it again replaces them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Settings,
    Object(ObjectRef),
    Host(Arc<str>),
    Upstream(Arc<str>),
    Alias(Arc<str>),
    DefaultCertificate,
}

/// All findings, and what changed in the last step.
#[derive(Default)]
pub(crate) struct Findings {
    by_source: HashMap<Source, Vec<Finding>, RandomState>,
    /// How often a finding is told: two upstreams may lack the same Service.
    told: HashMap<Finding, usize, RandomState>,
    /// The findings that the step touched, with how often they were told before it.
    before: HashMap<Finding, usize, RandomState>,
}

impl Findings {
    /// `source` now has these findings.
    pub(crate) fn replace(&mut self, source: Source, findings: Vec<Finding>) {
        for finding in &findings {
            self.count(finding, |told| told.saturating_add(1));
        }
        let old = if findings.is_empty() {
            self.by_source.remove(&source)
        } else {
            self.by_source.insert(source, findings)
        };
        for finding in old.iter().flatten() {
            self.count(finding, |told| told.saturating_sub(1));
        }
    }

    /// All findings, sorted, each once.
    pub(crate) fn all(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.told.keys().cloned().collect();
        all.sort();
        all
    }

    /// Starts a step: nothing appeared or went yet.
    pub(crate) fn begin(&mut self) {
        self.before.clear();
    }

    /// What the step brought and took away; a finding that was only moved or told again is neither.
    pub(crate) fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        let changed = |was_told: bool| {
            let changed = self.before.iter().filter(|(finding, before)| {
                let is_told = self.told.contains_key(*finding);
                (**before > 0) == was_told && is_told != was_told
            });
            let mut changed: Vec<Finding> = changed.map(|(finding, _)| finding.clone()).collect();
            changed.sort();
            changed
        };
        (changed(false), changed(true))
    }

    fn count(&mut self, finding: &Finding, change: impl Fn(usize) -> usize) {
        let told = self.told.get(finding).copied().unwrap_or(0);
        self.before.entry(finding.clone()).or_insert(told);
        match change(told) {
            0 => drop(self.told.remove(finding)),
            times => drop(self.told.insert(finding.clone(), times)),
        }
    }
}
