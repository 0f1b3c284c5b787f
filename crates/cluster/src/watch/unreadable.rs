//! Findings about objects whose last version cannot be decoded.

use std::collections::BTreeMap;

use headgate_compile::{Finding, Kind, Name, ObjectRef, Severity, Subject};

/// A finding for each such object.
#[derive(Default)]
pub(super) struct Unreadable {
    findings: BTreeMap<ObjectRef, Finding>,
    /// Since [`Self::take`].
    has_changed: bool,
}

impl Unreadable {
    /// The last version of the object cannot be decoded.
    pub(super) fn insert(&mut self, object: ObjectRef, why: &str) {
        let message =
            format!("cannot decode the object: {why}; its previous version, if any, stays in use");
        let finding = Finding {
            severity: Severity::Error,
            subject: Subject::Object(object.clone()),
            field: "".into(),
            message: message.into(),
        };
        let before = self.findings.insert(object.clone(), finding);
        self.has_changed |= before.as_ref() != self.findings.get(&object);
    }

    /// The object was decoded, or is gone.
    pub(super) fn remove(&mut self, object: &ObjectRef) {
        self.has_changed |= self.findings.remove(object).is_some();
    }

    /// Drops the findings of a kind about other objects than these.
    pub(super) fn retain(&mut self, kind: Kind, is_left: impl Fn(&Name) -> bool) {
        let count = self.findings.len();
        self.findings
            .retain(|object, _| object.kind != kind || is_left(&object.name));
        self.has_changed |= self.findings.len() != count;
    }

    /// Whether the findings changed since [`Self::take`].
    pub(super) fn has_changed(&self) -> bool {
        self.has_changed
    }

    pub(super) fn take(&mut self) -> Vec<Finding> {
        self.has_changed = false;
        self.findings.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_a_finding_until_it_is_decoded_or_gone() {
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
