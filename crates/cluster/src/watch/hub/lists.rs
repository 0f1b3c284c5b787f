//! Reports of reflectors: lists that replace the known objects as a whole, events, failures.

use headgate_compile::{Kind, Name, Object, ObjectRef};

use super::{Hub, List, State, owner};
use crate::watch::decode::{Decoded, DecodedObject};
use crate::watch::health::Condition;
use crate::watch::message::{Event, Id, Problem, ProblemKind, Progress};

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
            Progress::Recovered => self.conditions.set(id, None),
        }
    }

    fn begin(&mut self, id: Id) {
        if let Some(followed) = self.followed_mut(id) {
            followed.list = Some(List::default());
        }
    }

    fn listed(&mut self, id: Id, decoded: Decoded) {
        match decoded {
            Decoded::Unreferenced => {}
            Decoded::Unreadable(name, why) => self.unreadable(id, name, &why),
            Decoded::Object(decoded) => {
                let Some((reference, object)) = self.accept(id, *decoded) else {
                    return;
                };
                self.unreadable.remove(&reference);
                let is_known = self.snapshot.latest(&reference) == Some(&object);
                let Some(list) = self.list_mut(id) else {
                    return;
                };
                if is_known {
                    list.found(reference.name);
                } else {
                    list.staged.insert(reference.name, object);
                }
            }
        }
    }

    /// Replaces the known objects with the listed ones, all at once.
    fn complete(&mut self, id: Id) {
        let Some(followed) = self.followed_mut(id) else {
            return;
        };
        let kind = followed.selection.kind;
        let list = followed.list.take().unwrap_or_default();
        followed.state = State::Complete;
        let missing = self.missing(id, kind, &list);
        for (name, object) in list.staged {
            // The last reference may have gone since the object was decoded.
            if self.is_kept(&ObjectRef { kind, name }) {
                self.put(object);
            }
        }
        for object in missing {
            self.remove(&object);
        }
        self.fetch_again(id);
        match kind {
            Kind::IngressClass => drop(self.snapshot.set_classes_readable(true)),
            Kind::CustomResourceDefinition => self.definitions_changed(),
            _ => {}
        }
        self.conditions.set(id, None);
        self.conditions.listed();
        self.start_named();
    }

    /// Known objects of a selection that are not in its list.
    fn missing(&mut self, id: Id, kind: Kind, list: &List) -> Vec<ObjectRef> {
        let selections = &self.selections;
        self.unreadable.retain(kind, |name| {
            list.has(name) || owner(selections, kind, None, name) != Some(id)
        });
        let missing = self.snapshot.latest_of(kind).filter(|(name, object)| {
            !list.has(name) && owner(selections, kind, Some(object), name) == Some(id)
        });
        let missing = missing.map(|(name, _)| ObjectRef {
            kind,
            name: name.clone(),
        });
        missing.collect()
    }

    fn event(&mut self, id: Id, event: Event) {
        match event {
            Event::Apply(Decoded::Object(decoded)) => {
                if let Some((reference, object)) = self.accept(id, *decoded) {
                    self.fetching.remove(&reference);
                    let is_definition = reference.kind == Kind::CustomResourceDefinition;
                    self.put(object);
                    // Also without a change of its metadata: it may be established only now.
                    if is_definition {
                        self.definitions_changed();
                    }
                }
            }
            Event::Apply(Decoded::Unreferenced) => {}
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
                    if kind == Kind::CustomResourceDefinition {
                        self.definitions_changed();
                    }
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
        if condition.problem.kind == ProblemKind::NotServed {
            return self.not_served(id);
        }
        let is_denied = condition.problem.kind == ProblemKind::Denied;
        let was_listed = followed.state == State::Complete;
        let kind = followed.selection.kind;
        self.conditions.set(id, Some(condition));
        if is_denied && kind == Kind::CustomResourceDefinition {
            self.definitions_denied();
        }
        if !is_denied || was_listed {
            return;
        }
        if let Some(followed) = self.followed_mut(id) {
            followed.state = State::Denied;
        }
        if kind == Kind::IngressClass {
            self.snapshot.set_classes_readable(false);
        }
        self.start_named();
    }

    /// The object, if the selection owns it and it is kept. Passes its status on.
    fn accept(&self, id: Id, decoded: DecodedObject) -> Option<(ObjectRef, Object)> {
        let DecodedObject {
            name,
            object,
            status,
            published,
            observed,
        } = decoded;
        let reference = ObjectRef {
            kind: object.kind(),
            name,
        };
        if self.owner(reference.kind, Some(&object), &reference.name) != Some(id)
            || !self.is_kept(&reference)
        {
            return None;
        }
        if let Some(status) = status {
            self.statuses.observe(&reference.name, status);
        }
        if let Some(observed) = observed {
            self.gateway_statuses.observe(&reference, observed);
        }
        if published.is_some() {
            self.statuses.publish(published);
        }
        Some((reference, object))
    }

    /// Reports an object that cannot be decoded; its previous version stays.
    fn unreadable(&mut self, id: Id, name: Name, why: &str) {
        let Some(followed) = self.followed(id) else {
            return;
        };
        let kind = followed.selection.kind;
        let object = ObjectRef { kind, name };
        if self.owner(kind, None, &object.name) != Some(id) || !self.is_kept(&object) {
            return;
        }
        if let Some(list) = self.list_mut(id) {
            list.found(object.name.clone());
        }
        self.unreadable.insert(object, why);
    }

    /// The list that is being read, if one is.
    pub(super) fn list_mut(&mut self, id: Id) -> Option<&mut List> {
        self.followed_mut(id)?.list.as_mut()
    }
}

impl List {
    /// The list has the object, and its known version stays.
    pub(super) fn found(&mut self, name: Name) {
        self.staged.remove(&name);
        self.known.insert(name);
    }

    fn has(&self, name: &Name) -> bool {
        self.known.contains(name) || self.staged.contains_key(name)
    }
}
