//! Which of several objects takes precedence (gateway-api.md 0, rule 6).

use jiff::Timestamp;

use crate::Name;
use crate::objects::custom::Custom;

/// The order of objects that conflict; the lesser wins: the older one, and of the same age the one whose `namespace/name` comes
/// first. An object without a time, as in files, is older than all others.
///
/// Of Ingresses of the same age the one with the greater name wins, so this is another order than theirs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Seniority {
    created: Option<Timestamp>,
    /// `namespace/name`, as the API compares them.
    text: String,
}

impl Seniority {
    /// That of an object.
    pub(crate) fn of<S>(object: &Custom<S>) -> Self {
        Self::new(object.created, &object.name)
    }

    fn new(created: Option<Timestamp>, name: &Name) -> Self {
        Self {
            created,
            text: format!("{}/{}", name.namespace, name.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_first_and_of_the_same_age_the_lesser_name() {
        let of = |created: i64, namespace: &str, name: &str| {
            Seniority::new(
                Timestamp::from_second(created).ok(),
                &Name::new(namespace, name),
            )
        };
        let mut all = [
            of(2, "a", "a"),
            of(1, "b", "a"),
            of(1, "a", "b"),
            of(1, "a-b", "a"),
        ];
        all.sort();
        let texts: Vec<&str> = all.iter().map(|one| &*one.text).collect();
        // As text, "a-b/a" is less than "a/b".
        assert_eq!(texts, ["a-b/a", "a/b", "b/a", "a/a"]);
    }
}
