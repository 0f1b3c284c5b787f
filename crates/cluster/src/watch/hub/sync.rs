//! Referenced objects: their watches, and requests for single objects.

use headgate_compile::ObjectRef;

use super::{Followed, Hub, State, Task};
use crate::watch::decode::Decoded;
use crate::watch::message::Id;
use crate::watch::references::ReferenceChange;
use crate::watch::selection::Selection;

impl Hub {
    /// Fetches newly referenced objects, and drops those that are no longer referenced.
    pub(super) fn sync_references(&mut self) {
        loop {
            let changes = self.references.take_changes();
            if changes.is_empty() {
                return;
            }
            for change in changes {
                match change {
                    ReferenceChange::Added(object) => self.reference_added(object),
                    ReferenceChange::Dropped(object) => self.reference_dropped(object),
                }
            }
        }
    }

    fn reference_added(&mut self, object: ObjectRef) {
        self.tasks.push(Task::Keep(object.clone()));
        match self.owner(object.kind, None, &object.name) {
            None => {
                let id = self.follow(Selection::named(&object));
                self.start(id);
            }
            // Its list has not started and will have the object.
            Some(id) if self.state(id) == Some(State::Waiting) => {}
            // It has a watch of its own.
            Some(id) if self.followed(id).is_some_and(|one| one.name().is_some()) => {}
            Some(_) => self.fetch(object),
        }
    }

    fn reference_dropped(&mut self, object: ObjectRef) {
        self.fetching.remove(&object);
        self.remove(&object);
        let owner = self.owner(object.kind, None, &object.name);
        if let Some(id) = owner
            && let Some(followed) = self.followed(id)
            && followed.name() == Some(&object.name)
            && !self.has_settings(followed)
        {
            self.selections[id.0] = None;
            self.conditions.set(id, None);
            self.tasks.push(Task::Stop(id));
        }
        self.tasks.push(Task::Drop(object));
    }

    /// Starts to list Secrets and ConfigMaps once all objects that refer to them were listed, so that no others are kept.
    pub(super) fn start_named(&mut self) {
        let mut referring = self
            .selections
            .iter()
            .flatten()
            .filter(|followed| followed.selection.kind.refers() || self.has_settings(followed));
        if self.custom.is_known()
            && referring.all(|followed| matches!(followed.state, State::Complete | State::Denied))
        {
            // Includes the references of the list that completed last.
            self.sync_references();
            self.start_all(|_| true);
        }
    }

    pub(super) fn start_all(&mut self, which: impl Fn(&Followed) -> bool) {
        for (index, followed) in self.selections.iter_mut().enumerate() {
            let Some(followed) = followed else {
                continue;
            };
            if followed.state == State::Waiting && which(followed) {
                followed.state = State::Started;
                let task = Task::Start(Id(index), followed.selection.clone());
                self.tasks.push(task);
            }
        }
    }

    fn start(&mut self, id: Id) {
        if let Some(followed) = self.followed_mut(id) {
            followed.state = State::Started;
            let task = Task::Start(id, followed.selection.clone());
            self.tasks.push(task);
        }
    }

    /// Repeats pending requests after a list: their responses may be older than the list.
    pub(super) fn fetch_again(&mut self, id: Id) {
        let pending: Vec<ObjectRef> = self.fetching.keys().cloned().collect();
        for object in pending {
            if self.owner(object.kind, None, &object.name) == Some(id) {
                self.fetch(object);
            }
        }
    }

    pub(super) fn fetch(&mut self, object: ObjectRef) {
        self.requests += 1;
        self.fetching.insert(object.clone(), self.requests);
        self.tasks.push(Task::Fetch(object, self.requests));
    }

    /// Handles the response to a request by name, unless an event arrived since.
    pub(super) fn fetched(&mut self, object: ObjectRef, request: u64, found: Option<Decoded>) {
        if self.fetching.get(&object) != Some(&request) {
            return;
        }
        self.fetching.remove(&object);
        if !self.is_kept(&object) {
            return;
        }
        let owner = self.owner(object.kind, None, &object.name);
        if let Some(list) = owner.and_then(|id| self.list_mut(id)) {
            // The list that is being read may have an older version, or lack the object.
            list.found(object.name.clone());
        }
        match found {
            Some(Decoded::Object(decoded)) => self.put(decoded.object),
            Some(Decoded::Unreadable(_, why)) => self.unreadable.insert(object, &why),
            Some(Decoded::Unreferenced) | None => self.remove(&object),
        }
    }
}
