//! The memory of regular expressions, by namespace.
//!
//! A short expression such as `/(a{100}){100}` takes a megabyte, and an Ingress may have ten thousand, so each namespace has a
//! bound on what its expressions take beyond their text ([`Pattern::weight_of`](headgate_table::Pattern)). Ingresses count from
//! the oldest one: those beyond the bound are not served. Which these are depends on the Ingresses of the namespace alone, not on
//! the order in which they arrive.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::age::Age;
use crate::Name;

/// The Ingresses with expressions that count.
#[derive(Default)]
pub(crate) struct Expressions {
    namespaces: HashMap<Arc<str>, Namespace, RandomState>,
}

/// Those of one namespace.
#[derive(Default)]
struct Namespace {
    ages: HashMap<Name, Age, RandomState>,
    /// Weights in bytes.
    weights: BTreeMap<Age, usize>,
    /// The Ingresses beyond the bound.
    beyond: BTreeSet<Name>,
}

/// Why an Ingress beyond the bound is not served.
pub(crate) fn message(name: &Name, bound: Option<usize>) -> String {
    format!(
        "with its regular expressions those of namespace {}, from the oldest Ingress on, take more than {} bytes by repetitions such as {{100}} (max-regex-memory-per-namespace); not served",
        name.namespace,
        bound.unwrap_or_default()
    )
}

impl Expressions {
    /// Sets what the expressions of an Ingress weigh; `None`: it is gone. Returns the other Ingresses that are beyond the bound
    /// now and were not, or the other way round.
    pub(crate) fn set(
        &mut self,
        name: &Name,
        weight: Option<(&Age, usize)>,
        bound: Option<usize>,
    ) -> Vec<Name> {
        let weight = weight.filter(|(_, weight)| *weight > 0);
        if weight.is_none() && !self.namespaces.contains_key(&name.namespace) {
            return Vec::new();
        }
        let namespace = self.namespaces.entry(name.namespace.clone()).or_default();
        if let Some(age) = namespace.ages.remove(name) {
            namespace.weights.remove(&age);
        }
        if let Some((age, weight)) = weight {
            namespace.ages.insert(name.clone(), age.clone());
            namespace.weights.insert(age.clone(), weight);
        }
        let mut changed = namespace.follow(bound);
        if namespace.weights.is_empty() {
            self.namespaces.remove(&name.namespace);
        }
        changed.retain(|changed| changed != name);
        changed
    }

    /// Whether an Ingress is beyond the bound.
    pub(crate) fn are_beyond(&self, name: &Name) -> bool {
        let namespace = self.namespaces.get(&name.namespace);
        namespace.is_some_and(|namespace| namespace.beyond.contains(name))
    }

    /// Whether an Ingress of this age and weight would be beyond the bound.
    pub(crate) fn would_be_beyond(&self, age: &Age, weight: usize, bound: Option<usize>) -> bool {
        let Some(bound) = bound.filter(|_| weight > 0) else {
            return false;
        };
        let namespace = self.namespaces.get(&age.name.namespace);
        let older = namespace.into_iter().flat_map(|namespace| {
            let older = namespace.weights.range(..age);
            older.filter(|(other, _)| other.name != age.name)
        });
        let before = older.map(|(_, weight)| *weight);
        before.fold(weight, usize::saturating_add) > bound
    }
}

impl Namespace {
    /// Counts again. Returns the Ingresses for which the result has changed.
    fn follow(&mut self, bound: Option<usize>) -> Vec<Name> {
        let mut total = 0_usize;
        let mut beyond = BTreeSet::new();
        for (age, weight) in &self.weights {
            total = total.saturating_add(*weight);
            if bound.is_some_and(|bound| total > bound) {
                beyond.insert(age.name.clone());
            }
        }
        let changed = self.beyond.symmetric_difference(&beyond);
        let changed = changed.cloned().collect();
        self.beyond = beyond;
        changed
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn age(name: &str, year: u16) -> Age {
        Age {
            created: format!("{year}-01-01T00:00:00Z").parse().ok(),
            name: Name::new("team", name),
        }
    }

    #[test]
    fn the_youngest_ingresses_are_beyond_the_bound() {
        let mut all = Expressions::default();
        let set = |all: &mut Expressions, name: &str, year: u16, weight: usize| {
            let age = age(name, year);
            let changed = all.set(&age.name, Some((&age, weight)), Some(100));
            changed
                .iter()
                .map(|name| name.name.to_string())
                .collect::<Vec<_>>()
        };
        let beyond = |all: &Expressions| {
            let names = ["old", "mid", "new"].into_iter();
            names
                .filter(|name| all.are_beyond(&Name::new("team", name)))
                .collect::<Vec<_>>()
        };
        assert!(set(&mut all, "new", 2026, 60).is_empty());
        assert!(set(&mut all, "mid", 2025, 40).is_empty() && beyond(&all).is_empty());
        assert_eq!(set(&mut all, "old", 2024, 30), ["new"]);
        assert_eq!(beyond(&all), ["new"]);
        assert!(all.would_be_beyond(&age("next", 2027), 1, Some(100)));
        assert!(!all.would_be_beyond(&age("oldest", 2020), 100, Some(100)));
        assert!(
            !all.would_be_beyond(&age("old", 2024), 100, Some(100)),
            "replaces itself"
        );
        assert!(!all.would_be_beyond(&age("next", 2027), 0, Some(100)));
        assert_eq!(set(&mut all, "mid", 2025, 0), ["new"]);
        assert!(beyond(&all).is_empty());
        // One that is too heavy alone does not make room for younger ones.
        set(&mut all, "mid", 2025, 1000);
        assert_eq!(beyond(&all), ["mid", "new"]);
        let gone = all.set(&Name::new("team", "mid"), None, Some(100));
        assert_eq!(gone, [Name::new("team", "new")]);
        for name in ["old", "new"] {
            all.set(&Name::new("team", name), None, Some(100));
        }
        assert!(all.namespaces.is_empty());
    }
}
