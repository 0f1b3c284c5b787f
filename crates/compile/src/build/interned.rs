//! Values that are stored once and shared while in use.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

/// Values by the text that they are created from, or by another key. Unused values are dropped.
pub(crate) struct Interned<V: ?Sized, K = Box<str>> {
    known: HashMap<K, Weak<V>, RandomState>,
    /// Size at which dropped values are removed, so that the cost is spread over insertions.
    sweep_at: usize,
}

impl<V> Interned<V> {
    /// The value of `text`: the one in use, or a new one.
    ///
    /// # Errors
    /// As `make`.
    pub(crate) fn get<E>(
        &mut self,
        text: &str,
        make: impl FnOnce() -> Result<V, E>,
    ) -> Result<Arc<V>, E> {
        if let Some(known) = self.known.get(text).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let value = Arc::new(make()?);
        self.insert(text.into(), &value);
        Ok(value)
    }

    /// Whether the value of `text` is in use.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let known = self.known.get(text);
        known.is_some_and(|value| value.strong_count() > 0)
    }
}

impl<V: PartialEq + ?Sized, K: Hash + Eq> Interned<V, K> {
    /// The equal value with this key that is in use, or else `value`. What the key stands for need not determine the value.
    pub(crate) fn share(&mut self, key: K, value: Arc<V>) -> Arc<V> {
        let known = self.known.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.filter(|known| *known == value) {
            return known;
        }
        self.insert(key, &value);
        value
    }
}

impl<V: ?Sized, K: Hash + Eq> Interned<V, K> {
    fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (2 * self.known.len()).max(1024);
        }
        self.known.insert(key, Arc::downgrade(value));
    }
}

impl<V: ?Sized, K> Default for Interned<V, K> {
    fn default() -> Self {
        Self {
            known: HashMap::default(),
            sweep_at: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_equal_values_are_shared() {
        let mut interned = Interned::default();
        let one = interned.share(7, Arc::new("one"));
        assert!(Arc::ptr_eq(&one, &interned.share(7, Arc::new("one"))));
        assert_eq!(*interned.share(7, Arc::new("two")), "two");
        assert_eq!(*one, "one");
    }

    #[test]
    fn shared_while_used_and_dropped_after() {
        let mut interned = Interned::default();
        let mut get = |text: &str| interned.get(text, || Ok::<_, ()>(text.len()));
        let (Ok(first), Ok(second)) = (get("one"), get("one")) else {
            unreachable!("making a length never fails");
        };
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        for n in 0..5_000 {
            let _ = get(&n.to_string());
        }
        assert!(interned.known.len() <= 2 * 1024, "{}", interned.known.len());
    }
}
