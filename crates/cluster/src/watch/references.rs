//! Reference counts of Secrets and ConfigMaps: only referenced ones are kept.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use headgate_compile::{Kind, Namespaces, Object, ObjectRef, Options, Snapshot, references};

/// The references of all objects and flags.
pub(super) struct References {
    options: Options,
    counts: HashMap<ObjectRef, Count, RandomState>,
    /// References of flags, classes and the settings.
    of_settings: HashSet<ObjectRef, RandomState>,
    /// Objects whose count changed since the last [`Self::take_changes`].
    touched: HashSet<ObjectRef, RandomState>,
}

#[derive(Default)]
struct Count {
    references: u32,
    /// Whether the object was referenced at the last [`References::take_changes`].
    was_referenced: bool,
}

/// A change of what is referenced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ReferenceChange {
    /// The object is referenced now.
    Added(ObjectRef),
    /// The last reference to the object is gone.
    Dropped(ObjectRef),
}

impl References {
    /// The references of flags, without any object.
    pub(super) fn new(options: Options) -> Self {
        let mut new = Self {
            options,
            counts: HashMap::default(),
            of_settings: HashSet::default(),
            touched: HashSet::default(),
        };
        new.settings_changed(&Snapshot::default());
        new
    }

    /// Whether an object of a kind that is kept by name is referenced.
    pub(super) fn contains(&self, object: &ObjectRef) -> bool {
        let count = self.counts.get(object);
        count.is_some_and(|count| count.references > 0)
    }

    /// Updates the counts after an Ingress or another object that refers to others changed.
    pub(super) fn referrer_changed(&mut self, before: Option<&Object>, after: Option<&Object>) {
        let (before, after) = (self.of_object(before), self.of_object(after));
        if before != after {
            after.into_iter().for_each(|object| self.add(object));
            before.into_iter().for_each(|object| self.drop(object));
        }
    }

    /// In a single watched namespace, objects refer to those of that namespace alone.
    fn of_object(&self, object: Option<&Object>) -> Vec<ObjectRef> {
        let mut all = object.map_or_else(Vec::new, |object| references(object, &self.options));
        if let Namespaces::One(namespace) = &self.options.namespaces {
            all.retain(|object| object.name.namespace == *namespace);
        }
        all
    }

    /// Counts the references of flags, of classes and of the ConfigMaps with settings among these again, after a class or
    /// ConfigMap changed. There are few.
    pub(super) fn settings_changed(&mut self, snapshot: &Snapshot) {
        let mut all: HashSet<ObjectRef, RandomState> =
            self.options.references().into_iter().collect();
        let classes = snapshot.latest_of(Kind::IngressClass);
        all.extend(classes.flat_map(|(_, class)| references(class, &self.options)));
        let settings = all.iter().filter(|object| object.kind == Kind::ConfigMap);
        let settings = settings.filter_map(|object| snapshot.latest(object));
        let further: Vec<ObjectRef> = settings
            .flat_map(|settings| references(settings, &self.options))
            .collect();
        all.extend(further);
        let before = std::mem::replace(&mut self.of_settings, all);
        let added: Vec<_> = self.of_settings.difference(&before).cloned().collect();
        added.into_iter().for_each(|object| self.add(object));
        let dropped: Vec<_> = before.difference(&self.of_settings).cloned().collect();
        dropped.into_iter().for_each(|object| self.drop(object));
    }

    /// Changes since the last call, sorted.
    pub(super) fn take_changes(&mut self) -> Vec<ReferenceChange> {
        let mut changes = Vec::new();
        for object in std::mem::take(&mut self.touched) {
            let Entry::Occupied(mut count) = self.counts.entry(object) else {
                continue;
            };
            let is_referenced = count.get().references > 0;
            let was_referenced =
                std::mem::replace(&mut count.get_mut().was_referenced, is_referenced);
            match (was_referenced, is_referenced) {
                (false, true) => changes.push(ReferenceChange::Added(count.key().clone())),
                (true, false) => changes.push(ReferenceChange::Dropped(count.remove_entry().0)),
                (false, false) => drop(count.remove()),
                (true, true) => {}
            }
        }
        changes.sort();
        changes
    }

    fn add(&mut self, object: ObjectRef) {
        self.counts.entry(object.clone()).or_default().references += 1;
        self.touched.insert(object);
    }

    fn drop(&mut self, object: ObjectRef) {
        if let Some(count) = self.counts.get_mut(&object) {
            count.references = count.references.saturating_sub(1);
            self.touched.insert(object);
        }
    }
}

#[cfg(test)]
mod tests;
