//! The findings of a compiled state, by what they came from, and which of them are new or gone.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::Name;
use crate::finding::Finding;

/// What findings came from; compiling it again replaces them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Settings,
    Ingress(Name),
    Host(Arc<str>),
    Upstream(Arc<str>),
    Alias(Arc<str>),
    DefaultCertificate,
}

/// All findings, and what changed in the last step.
#[derive(Default)]
pub(crate) struct Findings {
    by_source: HashMap<Source, Vec<Finding>, RandomState>,
    appeared: Vec<Finding>,
    gone: Vec<Finding>,
}

impl Findings {
    /// `source` now has these findings.
    pub(crate) fn replace(&mut self, source: Source, findings: Vec<Finding>) {
        let old = if findings.is_empty() {
            self.by_source.remove(&source)
        } else {
            self.appeared.extend(findings.iter().cloned());
            self.by_source.insert(source, findings)
        };
        self.gone.extend(old.into_iter().flatten());
    }

    /// All findings, sorted, each once.
    pub(crate) fn all(&self) -> Vec<Finding> {
        let mut all: Vec<Finding> = self.by_source.values().flatten().cloned().collect();
        all.sort();
        all.dedup();
        all
    }

    /// Starts a step: nothing appeared or went yet.
    pub(crate) fn begin(&mut self) {
        self.appeared.clear();
        self.gone.clear();
    }

    /// What the step brought and took away; a finding that was only moved or told again is neither.
    pub(crate) fn difference(&self) -> (Vec<Finding>, Vec<Finding>) {
        let only = |these: &[Finding], those: &[Finding]| {
            let those: std::collections::HashSet<&Finding> = those.iter().collect();
            let mut left: Vec<Finding> = these
                .iter()
                .filter(|finding| !those.contains(finding))
                .cloned()
                .collect();
            left.sort();
            left.dedup();
            left
        };
        (
            only(&self.appeared, &self.gone),
            only(&self.gone, &self.appeared),
        )
    }
}
