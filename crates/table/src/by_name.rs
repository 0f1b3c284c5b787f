//! Values by host name.

use std::sync::Arc;

use crate::SharedMap;

/// A value for every name: that of the exact name, else of the longest `*.x` above it, else the one for all other names.
#[derive(Clone)]
pub struct ByName<T> {
    exact: SharedMap<T>,
    /// `*.x` of any depth, by `x`.
    suffixes: SharedMap<T>,
    other: T,
}

impl<T: Clone> ByName<T> {
    /// `other` for every name.
    pub fn new(other: T) -> Self {
        Self::with_exact(SharedMap::new(), other)
    }

    /// The values of `exact` (by lower-case names), and `other` for all other names.
    pub fn with_exact(exact: SharedMap<T>, other: T) -> Self {
        Self {
            exact,
            suffixes: SharedMap::new(),
            other,
        }
    }

    /// Sets the value of `name`: lower-case, or `*.x` for any depth below `x`.
    pub fn insert(&mut self, name: &str, value: T) {
        match name.strip_prefix("*.") {
            Some(parent) => drop(self.suffixes.insert(parent.into(), value)),
            None => drop(self.exact.insert(name.into(), value)),
        }
    }

    /// Sets the value for all names without one of their own.
    pub fn set_other(&mut self, value: T) {
        self.other = value;
    }

    /// The value of `name` (lower-case, no final dot); `None` is no name.
    pub fn get(&self, name: Option<&str>) -> &T {
        if self.is_uniform() {
            return &self.other;
        }
        let named = name.and_then(|name| self.exact.get(name).or_else(|| self.suffix(name)));
        named.unwrap_or(&self.other)
    }

    /// Whether all names have the same value.
    pub fn is_uniform(&self) -> bool {
        self.exact.is_empty() && self.suffixes.is_empty()
    }

    /// The names with values of their own, in their order.
    pub fn named(&self) -> impl Iterator<Item = (String, &T)> {
        let exact = self.exact.iter();
        let exact = exact.map(|(name, value)| (name.to_string(), value));
        let suffixes = self.suffixes.iter();
        let suffixes = suffixes.map(|(parent, value)| (format!("*.{parent}"), value));
        let mut named: Vec<_> = exact.chain(suffixes).collect();
        named.sort_by(|(one, _), (other, _)| one.cmp(other));
        named.into_iter()
    }

    /// The value for all names without one of their own.
    pub fn other(&self) -> &T {
        &self.other
    }

    /// Whether one of the values is such.
    pub fn any(&self, mut is: impl FnMut(&T) -> bool) -> bool {
        let named = self.exact.iter().chain(self.suffixes.iter());
        is(&self.other) || named.into_iter().any(|(_, value)| is(value))
    }

    /// All values in the order of their names, the one for all other names last.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.named().map(|(_, value)| value).chain([&self.other])
    }

    fn suffix(&self, name: &str) -> Option<&T> {
        parents(name).find_map(|parent| self.suffixes.get(parent))
    }
}

/// The names above `name`, the longest first.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(name), |name| parent(name))
}

fn parent(name: &str) -> Option<&str> {
    name.split_once('.').map(|(_, parent)| parent)
}

impl<T: Clone> From<Arc<T>> for ByName<Arc<T>> {
    /// One value for every name.
    fn from(other: Arc<T>) -> Self {
        Self::new(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_name_wins() {
        let mut values = ByName::new("other");
        assert!(values.is_uniform());
        for name in ["a.b.test", "*.b.test", "*.test"] {
            values.insert(name, name);
        }
        for (name, expected) in [
            ("a.b.test", "a.b.test"),
            ("x.b.test", "*.b.test"),
            ("y.x.b.test", "*.b.test"),
            ("b.test", "*.test"),
            ("test", "other"),
            ("", "other"),
        ] {
            assert_eq!(*values.get(Some(name)), expected, "{name}");
        }
        assert_eq!(*values.get(None), "other");
        assert_eq!(values.values().count(), 4);
        for value in ["a.b.test", "*.test", "other"] {
            assert!(values.any(|found| *found == value), "{value}");
        }
        assert!(!values.any(|found| found.is_empty()));
    }
}
