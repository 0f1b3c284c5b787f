//! The statuses of all objects that are served, and which of them the last compilation changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::status::Status;
use crate::{Kind, ObjectRef};

/// Statuses by their objects.
#[derive(Default)]
pub(crate) struct Statuses {
    current: BTreeMap<ObjectRef, Arc<Status>>,
    /// The statuses before the compilation of those objects that it touched.
    former: BTreeMap<ObjectRef, Option<Arc<Status>>>,
}

impl Statuses {
    /// A compilation begins.
    pub(super) fn begin(&mut self) {
        self.former.clear();
    }

    /// Sets the status of an object.
    pub(super) fn insert(&mut self, object: ObjectRef, status: Status) {
        let status = Arc::new(status);
        let before = self.current.insert(object.clone(), status);
        self.former.entry(object).or_insert(before);
    }

    /// The object has no status of this controller any more.
    pub(super) fn remove(&mut self, object: &ObjectRef) {
        if let Some(before) = self.current.remove(object) {
            self.former.entry(object.clone()).or_insert(Some(before));
        }
    }

    /// Removes those of a kind.
    pub(super) fn remove_kind(&mut self, kind: Kind) {
        let of_kind = self.current.keys().filter(|object| object.kind == kind);
        let of_kind: Vec<ObjectRef> = of_kind.cloned().collect();
        of_kind.iter().for_each(|object| self.remove(object));
    }

    /// All of them.
    pub(crate) fn all(&self) -> &BTreeMap<ObjectRef, Arc<Status>> {
        &self.current
    }

    /// The objects whose statuses the compilation has made or removed so far, whether or not they changed.
    pub(super) fn touched(&self) -> impl Iterator<Item = &ObjectRef> {
        self.former.keys()
    }

    /// Those that the last compilation changed; `None`: removed.
    pub(crate) fn changes(&self) -> impl Iterator<Item = (&ObjectRef, Option<&Arc<Status>>)> {
        let touched = self.former.iter();
        touched.filter_map(|(object, before)| {
            let now = self.current.get(object);
            (now != before.as_ref()).then_some((object, now))
        })
    }
}
