//! Findings about objects whose last version cannot be read.

use std::collections::BTreeMap;

use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};

/// A finding for each such object.
#[derive(Default)]
pub(super) struct Unreadable {
    findings: BTreeMap<ObjectRef, Finding>,
    /// Since the findings were given out.
    has_changed: bool,
}

impl Unreadable {
    /// The object is there in a version that cannot be read.
    pub(super) fn insert(&mut self, object: ObjectRef, why: &str) {
        let message = format!("cannot be read: {why}; the version before stays if there was one");
        let finding = Finding {
            severity: Severity::Error,
            subject: Subject::Object(object.clone()),
            field: "".into(),
            message: message.into(),
        };
        let before = self.findings.insert(object.clone(), finding);
        self.has_changed |= before.as_ref() != self.findings.get(&object);
    }

    /// The object can be read, or is gone.
    pub(super) fn remove(&mut self, object: &ObjectRef) {
        self.has_changed |= self.findings.remove(object).is_some();
    }

    /// Of the objects of a kind only these can still be unreadable.
    pub(super) fn retain(&mut self, kind: Kind, is_left: impl Fn(&Name) -> bool) {
        let count = self.findings.len();
        self.findings
            .retain(|object, _| object.kind != kind || is_left(&object.name));
        self.has_changed |= self.findings.len() != count;
    }

    /// Whether the findings are others than those that were given out last.
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// All findings, to give them out.
    pub(super) fn take(&mut self) -> Vec<Finding> {
        self.has_changed = false;
        self.findings.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_a_finding_until_it_can_be_read_or_is_gone() {
        let name = Name::new("shop", "web");
        let web = ObjectRef {
            kind: Kind::Ingress,
            name: name.clone(),
        };
        let mut unreadable = Unreadable::default();
        unreadable.insert(web.clone(), "no");
        assert!(unreadable.has_changed());
        assert_eq!(unreadable.take().len(), 1);
        unreadable.insert(web.clone(), "no");
        assert!(!unreadable.has_changed(), "known already");
        unreadable.insert(web.clone(), "never");
        assert!(unreadable.has_changed());
        unreadable.take();
        unreadable.retain(Kind::Service, |_| false);
        unreadable.retain(Kind::Ingress, |known| *known == name);
        assert!(!unreadable.has_changed());
        unreadable.retain(Kind::Ingress, |_| false);
        assert!(unreadable.has_changed() && unreadable.take().is_empty());
        unreadable.insert(web.clone(), "no");
        unreadable.take();
        unreadable.remove(&web);
        assert!(unreadable.has_changed() && unreadable.take().is_empty());
    }
}
