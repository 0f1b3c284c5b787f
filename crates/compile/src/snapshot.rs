//! The objects that a table is compiled from.
//!
//! Sources write observed objects into it; the reconciler compiles it. Changes are pending until [`Snapshot::take_changes`], so
//! that readers always see the state that was compiled last. It does not interpret objects; it only tracks changes.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::{Kept, Kind, Name, Object, ObjectRef};

/// All objects, current and pending. A copy shares the objects.
#[derive(Clone, Default)]
pub struct Snapshot {
    kinds: [Objects; Kind::ALL.len()],
    /// The parts of each object that has parts, in the order of their names.
    parts: HashMap<ObjectRef, Vec<ObjectRef>, RandomState>,
    environment: Environment,
    pending: Option<Environment>,
}

/// Inputs of compilation besides objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Whether IngressClasses can be read; otherwise `spec.ingressClassName` is ignored (behaviour.md 2.9). Default true.
    pub classes_readable: bool,
    /// The zone that the process runs in, for topology hints of endpoints. Default unknown.
    pub zone: Option<Arc<str>>,
}

/// Objects of one kind by name.
#[derive(Clone, Default)]
struct Objects {
    current: HashMap<Name, Object, RandomState>,
    /// Takes effect next; `None`: the object is deleted. Always differs from `current`.
    pending: HashMap<Name, Option<Object>, RandomState>,
}

/// What changed from one compilation to the next.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// For a changed part, also the object that it is a part of.
    pub(crate) objects: Vec<ObjectRef>,
    /// An input changed on which everything may depend.
    pub(crate) everything: bool,
}

/// Writing. Each method returns whether anything changed that is not pending already.
impl Snapshot {
    /// Adds or replaces an object. A version that differs only in fields that are not kept changes nothing.
    pub fn apply(&mut self, object: Object) -> bool {
        let name = object.name();
        self.objects_mut(object.kind()).set(name, Some(object))
    }

    /// Deletes an object.
    pub fn delete(&mut self, object: &ObjectRef) -> bool {
        self.objects_mut(object.kind).set(object.name.clone(), None)
    }

    /// Sets whether IngressClasses can be read.
    pub fn set_classes_readable(&mut self, classes_readable: bool) -> bool {
        self.set_environment(Environment {
            classes_readable,
            ..self.latest_environment().clone()
        })
    }

    /// Sets the zone that the process runs in.
    pub fn set_zone(&mut self, zone: Option<Arc<str>>) -> bool {
        self.set_environment(Environment {
            zone,
            ..self.latest_environment().clone()
        })
    }

    fn set_environment(&mut self, environment: Environment) -> bool {
        let is_changed = environment != *self.latest_environment();
        if is_changed {
            self.pending = Some(environment).filter(|pending| *pending != self.environment);
        }
        is_changed
    }

    /// Whether anything is pending.
    pub fn has_changes(&self) -> bool {
        self.pending.is_some() || self.kinds.iter().any(|objects| !objects.pending.is_empty())
    }

    /// Makes pending changes current and returns them, for [`compile`](crate::compile).
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes::default();
        if let Some(environment) = self.pending.take() {
            self.environment = environment;
            changes.everything = true;
        }
        for kind in Kind::ALL {
            for (name, after) in std::mem::take(&mut self.objects_mut(kind).pending) {
                self.take_effect(ObjectRef { kind, name }, after, &mut changes);
            }
        }
        changes
    }

    fn take_effect(&mut self, object: ObjectRef, after: Option<Object>, changes: &mut Changes) {
        let whole_after = after.as_ref().and_then(Object::part_of);
        let before = self.objects_mut(object.kind).replace(&object.name, after);
        let whole_before = before.as_ref().and_then(Object::part_of);
        if whole_before == whole_after {
            changes.objects.extend(whole_after);
        } else {
            if let Some(whole) = &whole_before {
                self.remove_part(whole, &object);
            }
            if let Some(whole) = &whole_after {
                self.add_part(whole, &object);
            }
            changes
                .objects
                .extend(whole_before.into_iter().chain(whole_after));
        }
        changes.objects.push(object);
    }

    fn add_part(&mut self, whole: &ObjectRef, part: &ObjectRef) {
        let parts = self.parts.entry(whole.clone()).or_default();
        if let Err(at) = parts.binary_search(part) {
            // Nearly every Service has one slice, so the default capacity of four would waste memory.
            parts.reserve_exact(1);
            parts.insert(at, part.clone());
        }
    }

    fn remove_part(&mut self, whole: &ObjectRef, part: &ObjectRef) {
        if let Some(parts) = self.parts.get_mut(whole) {
            parts.retain(|known| known != part);
            if parts.is_empty() {
                self.parts.remove(whole);
            }
        }
    }
}

/// Reading the current state, which was compiled last.
impl Snapshot {
    /// One object.
    pub fn object(&self, object: &ObjectRef) -> Option<&Object> {
        self.objects_of(object.kind).current.get(&object.name)
    }

    /// One object of a kind.
    pub fn get<T: Kept>(&self, name: &Name) -> Option<&Arc<T>> {
        T::of(self.objects_of(T::KIND).current.get(name)?)
    }

    /// All objects of a kind, in no order.
    pub fn all<T: Kept + 'static>(&self) -> impl Iterator<Item = &Arc<T>> {
        let objects = self.objects_of(T::KIND).current.values();
        objects.filter_map(T::of)
    }

    /// The names of all objects of a kind, in no order.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &Name> {
        self.objects_of(kind).current.keys()
    }

    /// All objects, in no order.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.kinds
            .iter()
            .flat_map(|objects| objects.current.values())
    }

    /// The parts of an object, in the order of their names: the EndpointSlices of a Service.
    pub fn parts_of<T: Kept + 'static>(&self, whole: &ObjectRef) -> impl Iterator<Item = &Arc<T>> {
        let parts = self.parts.get(whole).into_iter().flatten();
        parts.filter_map(|part| T::of(self.object(part)?))
    }

    /// Inputs of compilation besides objects.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.objects_of(kind).current.len()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.kinds.iter().map(|objects| objects.current.len()).sum()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reading the latest state, pending or not: for sources.
impl Snapshot {
    /// One object.
    pub fn latest(&self, object: &ObjectRef) -> Option<&Object> {
        self.objects_of(object.kind).latest(&object.name)
    }

    /// All objects of a kind, in no order.
    pub fn latest_of(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Object)> {
        let objects = self.objects_of(kind);
        let current = objects.current.iter();
        let current = current.filter(|(name, _)| !objects.pending.contains_key(*name));
        let pending = objects.pending.iter();
        current.chain(pending.filter_map(|(name, object)| Some((name, object.as_ref()?))))
    }

    /// Objects of a kind that are pending, in no order.
    pub fn pending_of(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects_of(kind).pending.values().flatten()
    }

    /// Inputs of compilation besides objects.
    pub fn latest_environment(&self) -> &Environment {
        self.pending.as_ref().unwrap_or(&self.environment)
    }

    fn objects_of(&self, kind: Kind) -> &Objects {
        &self.kinds[kind as usize]
    }

    fn objects_mut(&mut self, kind: Kind) -> &mut Objects {
        &mut self.kinds[kind as usize]
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            classes_readable: true,
            zone: None,
        }
    }
}

impl Objects {
    fn latest(&self, name: &Name) -> Option<&Object> {
        match self.pending.get(name) {
            Some(pending) => pending.as_ref(),
            None => self.current.get(name),
        }
    }

    /// Returns false if nothing changed.
    fn set(&mut self, name: Name, object: Option<Object>) -> bool {
        if self.latest(&name) == object.as_ref() {
            return false;
        }
        // A change that is reverted before it was taken is not a change.
        let is_reverted =
            self.pending.contains_key(&name) && self.current.get(&name) == object.as_ref();
        if is_reverted {
            self.pending.remove(&name);
        } else {
            self.pending.insert(name, object);
        }
        true
    }

    /// Makes an object current; returns the previous one.
    fn replace(&mut self, name: &Name, object: Option<Object>) -> Option<Object> {
        match object {
            Some(object) => self.current.insert(name.clone(), object),
            None => self.current.remove(name),
        }
    }
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && !self.everything
    }

    /// The objects that changed, in no order.
    pub fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.iter()
    }
}

#[cfg(test)]
mod tests;
