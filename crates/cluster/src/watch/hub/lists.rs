//! What reflectors tell about objects: lists swapped in whole, events, failures.

use headgate_compile::{Kind, Name, Object, ObjectRef};

use super::{Hub, State, owner};
use crate::watch::decode::{Arrived, Decoded};
use crate::watch::health::Condition;
use crate::watch::message::{Event, Id, Problem, Progress, Sort};
use crate::watch::store::Generation;

impl Hub {
    pub(super) fn progress(&mut self, id: Id, progress: Progress) {
        if self.followed(id).is_none() {
            return;
        }
        match progress {
            Progress::Begin => self.begin(id),
            Progress::Listed(objects) => {
                for decoded in objects {
                    self.listed(id, decoded);
                }
            }
            Progress::Complete => self.complete(id),
            Progress::Events(events) => {
                for event in events {
                    self.event(id, event);
                }
            }
            Progress::Failed(problem) => self.failed(id, problem),
            Progress::Well => self.conditions.set(id, None),
        }
    }

    fn begin(&mut self, id: Id) {
        self.generation = self.generation.wrapping_add(1).max(1);
        let list = self.generation;
        if let Some(followed) = self.followed_mut(id) {
            followed.list = list;
            followed.staged.clear();
        }
    }

    fn listed(&mut self, id: Id, decoded: Decoded) {
        match decoded {
            Decoded::Unwanted => {}
            Decoded::Unreadable(name, why) => self.unreadable(id, name, &why),
            Decoded::Read(arrived) => {
                let Some((name, object)) = self.accept(id, *arrived) else {
                    return;
                };
                let Some(followed) = self.selections.get_mut(id.0).and_then(Option::as_mut) else {
                    return;
                };
                if self.store.is_known(&name, &object, followed.list) {
                    followed.staged.remove(&name);
                } else {
                    followed.staged.insert(name, object);
                }
            }
        }
    }

    /// What was listed takes the place of what was known, all at once.
    fn complete(&mut self, id: Id) {
        let Some(followed) = self.followed_mut(id) else {
            return;
        };
        let list = followed.list;
        let kind = followed.selection.kind;
        let staged = std::mem::take(&mut followed.staged);
        followed.state = State::Complete;
        for (name, object) in staged {
            // Nobody may name it any more since it was read.
            let reference = ObjectRef { kind, name };
            if self.store.is_kept(&reference) {
                self.store.put(reference.name, object, list);
            }
        }
        for object in self.unseen(id, kind, list) {
            self.remove(&object);
        }
        self.fetch_again(id);
        if kind == Kind::IngressClass {
            self.facts.learn_readable(true);
        }
        self.conditions.set(id, None);
        self.conditions.completed(id);
        self.start_named();
    }

    /// What the list that is complete now did not have.
    fn unseen(&mut self, id: Id, kind: Kind, list: Generation) -> Vec<ObjectRef> {
        let selections = &self.selections;
        self.store.unseen(kind, list, |object, name| {
            owner(selections, kind, object, name) == Some(id)
        })
    }

    fn event(&mut self, id: Id, event: Event) {
        let list = self.followed(id).map_or(0, |followed| followed.list);
        match event {
            Event::Apply(Decoded::Read(arrived)) => {
                let Some((name, object)) = self.accept(id, *arrived) else {
                    return;
                };
                let kind = object.kind();
                self.fetching.remove(&ObjectRef {
                    kind,
                    name: name.clone(),
                });
                self.store.put(name, object, list);
            }
            Event::Apply(Decoded::Unwanted) => {}
            Event::Apply(Decoded::Unreadable(name, why)) => self.unreadable(id, name, &why),
            Event::Delete(name) => {
                let Some(followed) = self.followed(id) else {
                    return;
                };
                let kind = followed.selection.kind;
                if self.owner(kind, None, &name) == Some(id) {
                    let object = ObjectRef { kind, name };
                    self.fetching.remove(&object);
                    self.remove(&object);
                }
            }
        }
    }

    fn failed(&mut self, id: Id, problem: Problem) {
        let Some(followed) = self.followed(id) else {
            return;
        };
        let condition = Condition {
            kind: followed.selection.kind,
            what: followed.selection.describe(),
            is_required: self.is_required(followed) && followed.state != State::Complete,
            problem,
        };
        let is_denied = condition.problem.sort == Sort::Denied;
        let was_listed = followed.state == State::Complete;
        let kind = followed.selection.kind;
        self.conditions.set(id, Some(condition));
        if !is_denied || was_listed {
            return;
        }
        if let Some(followed) = self.followed_mut(id) {
            followed.state = State::Denied;
        }
        if kind == Kind::IngressClass {
            self.facts.learn_readable(false);
        }
        self.start_named();
    }

    /// The object, if it is one of the selection's that is kept; what is kept beside it is passed on.
    fn accept(&self, id: Id, arrived: Arrived) -> Option<(Name, Object)> {
        let Arrived {
            name,
            object,
            status,
            published,
        } = arrived;
        let reference = ObjectRef {
            kind: object.kind(),
            name,
        };
        if self.owner(reference.kind, Some(&object), &reference.name) != Some(id)
            || !self.store.is_kept(&reference)
        {
            return None;
        }
        if let Some(status) = status {
            self.statuses.observe(&reference.name, status);
        }
        if published.is_some() {
            self.statuses.publish(published);
        }
        Some((reference.name, object))
    }

    fn unreadable(&mut self, id: Id, name: Name, why: &str) {
        let Some(followed) = self.followed(id) else {
            return;
        };
        let (kind, list) = (followed.selection.kind, followed.list);
        let object = ObjectRef { kind, name };
        if self.owner(kind, None, &object.name) == Some(id) && self.store.is_kept(&object) {
            self.store.unreadable(object, why, list);
        }
    }

    pub(super) fn remove(&mut self, object: &ObjectRef) {
        self.store.remove(object);
        match object.kind {
            Kind::Ingress => self.statuses.forget(&object.name),
            Kind::Service if self.published.as_ref() == Some(&object.name) => {
                self.statuses.publish(None);
            }
            _ => {}
        }
    }
}
