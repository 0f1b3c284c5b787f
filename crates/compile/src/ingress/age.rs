//! The order of Ingresses by age, which decides conflicts.

use std::cmp::Ordering;

use jiff::Timestamp;

use crate::Name;
use crate::build::sorted::Sorted;

/// The age of an Ingress; the lesser value wins conflicts. Older Ingresses win; of the same age, the greater `namespace/name`
/// does (behaviour.md 2.1).
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

/// Ingresses, oldest first.
pub(crate) type ByAge = Sorted<Age>;

/// The names of Ingresses, oldest first.
pub(crate) fn names(ages: &ByAge) -> impl Iterator<Item = &Name> {
    ages.iter().map(|age| &age.name)
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
        ages.into_iter().for_each(|entry| list.insert(entry));
        let names: Vec<String> = names(&list).map(ToString::to_string).collect();
        // As text, "a/c" is greater than "a-b/c".
        assert_eq!(names, ["a/c", "a/b", "a-b/c", "a/z"]);
    }
}
