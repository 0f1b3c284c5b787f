//! The order of age: who wins a conflict.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::Name;

/// Place of an Ingress in the order of age. Older ones win conflicts; of the same age, the greater `namespace/name` does
/// (ingress-nginx reference 2.1). The lesser value wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Age {
    pub(crate) created: Option<Timestamp>,
    pub(crate) name: Name,
}

impl Ord for Age {
    fn cmp(&self, other: &Self) -> Ordering {
        fn text(name: &Name) -> impl Iterator<Item = u8> {
            name.namespace
                .bytes()
                .chain([b'/'])
                .chain(name.name.bytes())
        }
        let by_name = || text(&other.name).cmp(text(&self.name));
        self.created.cmp(&other.created).then_with(by_name)
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Ingresses in the order of age. There are few of them wherever this is used, and tens of thousands of these lists: one
/// entry takes the room of one.
#[derive(Debug, Default)]
pub(crate) struct ByAge(Vec<Age>);

impl ByAge {
    /// Puts an Ingress in its place.
    pub(crate) fn insert(&mut self, age: Age) {
        if let Err(at) = self.0.binary_search(&age) {
            self.0.reserve_exact(1);
            self.0.insert(at, age);
        }
    }

    /// Takes an Ingress out.
    pub(crate) fn remove(&mut self, age: &Age) {
        if let Ok(at) = self.0.binary_search(age) {
            self.0.remove(at);
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, oldest first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> {
        self.0.iter().map(|age| &age.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(created: i64, namespace: &str, name: &str) -> Age {
        Age {
            created: Timestamp::from_second(created).ok(),
            name: Name::new(namespace, name),
        }
    }

    #[test]
    fn older_first_and_of_the_same_age_the_greater_name() {
        let mut list = ByAge::default();
        let ages = [
            age(2, "a", "z"),
            age(1, "a", "b"),
            age(1, "a-b", "c"),
            age(1, "a", "c"),
        ];
        ages.clone()
            .into_iter()
            .for_each(|entry| list.insert(entry));
        let names: Vec<String> = list.names().map(ToString::to_string).collect();
        // As text, "a/c" is greater than "a-b/c".
        assert_eq!(names, ["a/c", "a/b", "a-b/c", "a/z"]);
        ages.iter().for_each(|entry| list.remove(entry));
        assert!(list.is_empty());
    }
}
