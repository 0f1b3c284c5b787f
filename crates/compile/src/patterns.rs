//! Compiled expressions, one for each text: thousands of hosts share `/api(/|$)(.*)`.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use foldhash::fast::RandomState;
use headgate_table::{Pattern, PatternError};

/// Case-insensitive expressions by their text. Those that no route uses any more are dropped.
#[derive(Default)]
pub(crate) struct Patterns {
    known: HashMap<Box<str>, Weak<Pattern>, RandomState>,
    /// Size at which dead entries are looked for.
    sweep_at: usize,
}

impl Patterns {
    /// The expression for `source`, compared without regard to case.
    ///
    /// # Errors
    /// As [`Pattern::case_insensitive`].
    pub(crate) fn get(&mut self, source: &str) -> Result<Arc<Pattern>, PatternError> {
        if let Some(known) = self.known.get(source).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let pattern = Arc::new(Pattern::case_insensitive(source)?);
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, pattern| pattern.strong_count() > 0);
            self.sweep_at = (2 * self.known.len()).max(1024);
        }
        self.known.insert(source.into(), Arc::downgrade(&pattern));
        Ok(pattern)
    }
}
