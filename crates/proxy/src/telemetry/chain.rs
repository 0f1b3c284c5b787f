//! An append-only list without locks.

use std::iter;
use std::sync::OnceLock;

/// An append-only list. One thread appends while any thread may iterate. Empty lists allocate nothing.
///
/// Iteration starts at the front, so it suits lists of which a few early elements are used most.
#[derive(Debug)]
pub(super) struct Chain<T> {
    head: OnceLock<Box<Link<T>>>,
}

#[derive(Debug)]
struct Link<T> {
    value: T,
    next: Chain<T>,
}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self {
            head: OnceLock::new(),
        }
    }
}

impl<T> Chain<T> {
    /// The elements, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let links = iter::successors(self.head.get(), |link| link.next.head.get());
        links.map(|link| &link.value)
    }

    /// Appends an element that `make` builds.
    pub(super) fn push(&self, make: impl FnOnce() -> T) -> &T {
        let mut end = self;
        while let Some(link) = end.head.get() {
            end = &link.next;
        }
        &end.head
            .get_or_init(|| {
                Box::new(Link {
                    value: make(),
                    next: Self::default(),
                })
            })
            .value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_where_they_are() {
        let chain = Chain::default();
        let first: &u32 = chain.push(|| 7);
        chain.push(|| 8);
        assert_eq!(*first, 7);
        assert_eq!(chain.iter().copied().collect::<Vec<_>>(), [7, 8]);
    }
}
