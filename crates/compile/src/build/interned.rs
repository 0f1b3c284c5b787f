//! Values created once per text and shared while in use.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;

/// Values by the text that they are created from. Unused values are dropped.
pub(crate) struct Interned<V> {
    known: HashMap<Box<str>, Weak<V>, RandomState>,
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
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = (2 * self.known.len()).max(1024);
        }
        self.known.insert(text.into(), Arc::downgrade(&value));
        Ok(value)
    }

    /// Whether the value of `text` is in use.
    pub(crate) fn contains(&self, text: &str) -> bool {
        let known = self.known.get(text);
        known.is_some_and(|value| value.strong_count() > 0)
    }
}

impl<V> Default for Interned<V> {
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
