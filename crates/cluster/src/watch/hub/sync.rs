//! Objects that are referenced: watches begun for them, and requests for single objects.

use headgate_compile::ObjectRef;

use super::{Followed, Hub, State, Task};
use crate::watch::decode::Decoded;
use crate::watch::message::Id;
use crate::watch::references::ReferenceChange;
use crate::watch::selection::Selection;

impl Hub {
    /// Gets what is referenced from now on, and drops what is no longer.
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
            // A list that begins later has it.
            Some(id) if self.state(id) == Some(State::Waiting) => {}
            // One that is watched alone comes anyway.
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

    /// Begins to list Secrets and ConfigMaps once all that refers to them was listed, so that no others have to be kept.
    pub(super) fn start_named(&mut self) {
        let mut referring = self
            .selections
            .iter()
            .flatten()
            .filter(|followed| followed.selection.kind.refers() || self.has_settings(followed));
        if referring.all(|followed| matches!(followed.state, State::Complete | State::Denied)) {
            // The references of the last list count already.
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

    /// A response that is still under way may be older than the list that is complete now; another request gets a newer one.
    pub(super) fn fetch_again(&mut self, id: Id) {
        let asked: Vec<ObjectRef> = self.fetching.keys().cloned().collect();
        for object in asked {
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

    /// The response to a request by name, unless an event came since.
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
            // The list that is being read may have an older version of it, or none.
            list.found(object.name.clone());
        }
        match found {
            Some(Decoded::Read(arrived)) => self.put(arrived.object),
            Some(Decoded::Unreadable(_, why)) => self.unreadable.insert(object, &why),
            Some(Decoded::Unwanted) | None => self.remove(&object),
        }
    }
}
