//! A sorted list without duplicates, for sets that mostly have one member.

/// A set in a vector. There are tens of thousands of them, nearly all with one or two members, and each allocates only its
/// members; a tree would allocate space for eleven.
#[derive(Debug)]
pub(crate) struct Sorted<T>(Vec<T>);

impl<T: Ord> Sorted<T> {
    /// Adds `value`, unless it is a member.
    pub(crate) fn insert(&mut self, value: T) {
        if let Err(at) = self.0.binary_search(&value) {
            // Grow by one while copying is cheap; larger lists double their capacity.
            if self.0.len() < 16 {
                self.0.reserve_exact(1);
            }
            self.0.insert(at, value);
        }
    }

    /// Removes `value`.
    pub(crate) fn remove(&mut self, value: &T) {
        if let Ok(at) = self.0.binary_search(value) {
            self.0.remove(at);
        }
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'s, T: Ord> IntoIterator for &'s Sorted<T> {
    type Item = &'s T;
    type IntoIter = std::slice::Iter<'s, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_in_order() {
        let mut set = Sorted::default();
        for value in [3, 1, 2, 3, 1] {
            set.insert(value);
        }
        set.remove(&2);
        set.remove(&7);
        assert_eq!(set.iter().collect::<Vec<_>>(), [&1, &3]);
        assert!(!set.is_empty());
    }
}
