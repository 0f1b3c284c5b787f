//! Which Secrets and ConfigMaps are named by somebody, counted as objects come and go.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use headgate_compile::ObjectRef;

/// Who names what.
pub(super) struct Demand {
    /// What Ingresses name counts only within this namespace, as all that is watched; `None`: everywhere.
    namespace: Option<Arc<str>>,
    named: HashMap<ObjectRef, Named, RandomState>,
    /// What flags, the settings and classes name.
    by_settings: HashSet<ObjectRef, RandomState>,
    /// Whose counts changed since changes were taken.
    touched: HashSet<ObjectRef, RandomState>,
}

#[derive(Default)]
struct Named {
    /// By how many references.
    count: u32,
    /// It was taken as wanted.
    is_told: bool,
}

/// A change of what is named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wish {
    /// It is named now.
    Added(ObjectRef),
    /// Nobody names it any more.
    Dropped(ObjectRef),
}

impl Demand {
    /// Nothing is named.
    pub(super) fn new(namespace: Option<Arc<str>>) -> Self {
        Self {
            namespace,
            named: HashMap::default(),
            by_settings: HashSet::default(),
            touched: HashSet::default(),
        }
    }

    /// Whether somebody names an object.
    pub(super) fn contains(&self, object: &ObjectRef) -> bool {
        self.named.get(object).is_some_and(|named| named.count > 0)
    }

    /// An Ingress names other objects than before.
    pub(super) fn ingress(&mut self, before: &[ObjectRef], after: &[ObjectRef]) {
        for object in after {
            if self.counts(object) {
                self.add(object.clone());
            }
        }
        for object in before {
            if self.counts(object) {
                self.drop(object.clone());
            }
        }
    }

    /// Flags, settings and classes name these.
    pub(super) fn settings(&mut self, all: HashSet<ObjectRef, RandomState>) {
        let before = std::mem::replace(&mut self.by_settings, all);
        let added: Vec<_> = self.by_settings.difference(&before).cloned().collect();
        for object in added {
            self.add(object);
        }
        let dropped: Vec<_> = before.difference(&self.by_settings).cloned().collect();
        for object in dropped {
            self.drop(object);
        }
    }

    /// What changed since this was last called, in the order of names.
    pub(super) fn take(&mut self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for object in std::mem::take(&mut self.touched) {
            let Entry::Occupied(mut named) = self.named.entry(object) else {
                continue;
            };
            let is_wanted = named.get().count > 0;
            let was_wanted = std::mem::replace(&mut named.get_mut().is_told, is_wanted);
            match (was_wanted, is_wanted) {
                (false, true) => wishes.push(Wish::Added(named.key().clone())),
                (true, false) => wishes.push(Wish::Dropped(named.remove_entry().0)),
                (false, false) => drop(named.remove()),
                (true, true) => {}
            }
        }
        wishes.sort();
        wishes
    }

    fn counts(&self, object: &ObjectRef) -> bool {
        let namespace = self.namespace.as_ref();
        namespace.is_none_or(|namespace| *namespace == object.name.namespace)
    }

    fn add(&mut self, object: ObjectRef) {
        self.named.entry(object.clone()).or_default().count += 1;
        self.touched.insert(object);
    }

    fn drop(&mut self, object: ObjectRef) {
        if let Some(named) = self.named.get_mut(&object) {
            named.count = named.count.saturating_sub(1);
            self.touched.insert(object);
        }
    }
}

#[cfg(test)]
mod tests {
    use headgate_compile::{Kind, Name};

    use super::*;

    fn secret(namespace: &str, name: &str) -> ObjectRef {
        ObjectRef {
            kind: Kind::Secret,
            name: Name::new(namespace, name),
        }
    }

    #[test]
    fn a_name_is_wanted_until_the_last_who_names_it_is_gone() {
        let mut demand = Demand::new(None);
        let one = secret("shop", "one");
        demand.ingress(&[], &[one.clone(), one.clone()]);
        assert_eq!(demand.take(), [Wish::Added(one.clone())]);
        demand.settings([one.clone()].into_iter().collect());
        demand.ingress(&[one.clone(), one.clone()], &[]);
        assert_eq!(demand.take(), []);
        demand.settings(HashSet::default());
        assert_eq!(demand.take(), [Wish::Dropped(one.clone())]);
        assert!(!demand.contains(&one));
        assert!(demand.named.is_empty(), "no memory of names of the past");
    }

    #[test]
    fn a_name_that_comes_and_goes_unseen_is_no_news() {
        let mut demand = Demand::new(None);
        let (one, two) = (secret("shop", "one"), secret("shop", "two"));
        demand.ingress(&[], std::slice::from_ref(&one));
        demand.ingress(&[one], std::slice::from_ref(&two));
        assert_eq!(demand.take(), [Wish::Added(two)]);
    }

    #[test]
    fn other_namespaces_count_for_flags_alone() {
        let mut demand = Demand::new(Some("shop".into()));
        let other = secret("other", "one");
        demand.ingress(&[], std::slice::from_ref(&other));
        assert_eq!(demand.take(), []);
        demand.settings([other.clone()].into_iter().collect());
        assert_eq!(demand.take(), [Wish::Added(other)]);
    }
}
