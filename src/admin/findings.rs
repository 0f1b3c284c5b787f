//! The findings in service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headgate_compile::{Finding, Severity};

/// All findings, and how many there are of each severity. A change costs what it changes, not what there is; a copy is cheap.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    all: Arc<BTreeSet<Finding>>,
    counts: BTreeMap<Severity, u64>,
}

impl Findings {
    /// Removes those that are gone, and adds those that appeared. A copy that is still read keeps what it has.
    pub(crate) fn change(&mut self, appeared: &[Finding], gone: &[Finding]) {
        let all = Arc::make_mut(&mut self.all);
        for finding in gone {
            if all.remove(finding) {
                let count = self.counts.entry(finding.severity).or_default();
                *count = count.saturating_sub(1);
            }
        }
        for finding in appeared {
            if all.insert(finding.clone()) {
                *self.counts.entry(finding.severity).or_default() += 1;
            }
        }
    }

    /// All, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.all.iter()
    }

    /// How many there are of a severity.
    pub(crate) fn count(&self, severity: Severity) -> u64 {
        self.counts.get(&severity).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use headgate_compile::Subject;

    use super::*;

    fn finding(severity: Severity, message: &str) -> Finding {
        Finding {
            severity,
            subject: Subject::Document {
                file: "a.yaml".into(),
                document: 1,
                line: 1,
            },
            field: "".into(),
            message: message.into(),
        }
    }

    #[test]
    fn counts_follow_changes_and_a_copy_keeps_what_it_has() {
        let (error, warning) = (
            finding(Severity::Error, "no Secret"),
            finding(Severity::Warning, "no endpoint"),
        );
        let mut findings = Findings::default();
        findings.change(&[warning.clone(), error.clone(), error.clone()], &[]);
        let copy = findings.clone();
        assert!(copy.iter().eq([&error, &warning]));
        findings.change(&[], &[error.clone(), error]);
        assert!(findings.iter().eq([&warning]));
        let counts = |of: &Findings| [Severity::Error, Severity::Warning].map(|one| of.count(one));
        assert_eq!((counts(&findings), counts(&copy)), ([0, 1], [1, 1]));
    }
}
