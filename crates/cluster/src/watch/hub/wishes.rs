//! Names that are wanted: watches begun for them, and requests for single objects.

use headgate_compile::ObjectRef;

use super::{Followed, Hub, State, Task};
use crate::watch::decode::Decoded;
use crate::watch::demand::Wish;
use crate::watch::message::Id;
use crate::watch::selection::Selection;

impl Hub {
    /// Sees to it that what is named from now on comes, and that what is not goes.
    pub(super) fn grant_wishes(&mut self) {
        loop {
            let wishes = self.store.take_wishes();
            if wishes.is_empty() {
                return;
            }
            for wish in wishes {
                match wish {
                    Wish::Added(object) => self.want(object),
                    Wish::Dropped(object) => self.unwant(object),
                }
            }
        }
    }

    fn want(&mut self, object: ObjectRef) {
        self.tasks.push(Task::Want(object.clone(), true));
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

    fn unwant(&mut self, object: ObjectRef) {
        self.fetching.remove(&object);
        self.store.remove(&object);
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
        self.tasks.push(Task::Want(object, false));
    }

    /// Begins with Secrets and ConfigMaps as soon as it is known which are named, so that the others need not be kept.
    pub(super) fn start_named(&mut self) {
        let mut naming = self
            .selections
            .iter()
            .flatten()
            .filter(|followed| followed.selection.kind.refers() || self.has_settings(followed));
        if naming.all(|followed| matches!(followed.state, State::Complete | State::Denied)) {
            // What the last list names counts already.
            self.grant_wishes();
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

    /// Whether a list or an answer that is still on its way is the younger one, nobody can tell: a new answer is.
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

    /// The answer to a request by name, unless an event came since.
    pub(super) fn fetched(&mut self, object: ObjectRef, request: u64, found: Option<Decoded>) {
        if self.fetching.get(&object) != Some(&request) {
            return;
        }
        self.fetching.remove(&object);
        if !self.store.is_kept(&object) {
            return;
        }
        let owner = self.owner(object.kind, None, &object.name);
        let followed = owner.and_then(|id| self.followed_mut(id));
        let list = followed.map_or(0, |followed| {
            // The list that is being read may have it older.
            followed.staged.remove(&object.name);
            followed.list
        });
        match found {
            Some(Decoded::Read(arrived)) => self.store.put(arrived.name, arrived.object, list),
            Some(Decoded::Unreadable(_, why)) => self.store.unreadable(object, &why, list),
            Some(Decoded::Unwanted) | None => drop(self.store.remove(&object)),
        }
    }
}
