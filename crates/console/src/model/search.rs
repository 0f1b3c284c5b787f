//! Lists in pages.

use serde::{Deserialize, Serialize};

/// Rows of a page, if no number is asked for.
pub const DEFAULT_LIMIT: usize = 50;
/// Most rows of a page.
pub const MAX_LIMIT: usize = 500;

/// The words to look for, and which part of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Words separated by spaces; a row has all of them in one of its names, ignoring case. Empty: all rows.
    pub q: String,
    /// Rows to leave out at the beginning.
    pub offset: usize,
    /// Most rows; default [`DEFAULT_LIMIT`], at most [`MAX_LIMIT`].
    pub limit: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            q: String::new(),
            offset: 0,
            limit: DEFAULT_LIMIT,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// Rows that the search finds, in all parts.
    pub total: usize,
    /// Rows that are left out before this part.
    pub offset: usize,
    /// Most rows of this part.
    pub limit: usize,
    /// The rows.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// The part of `all` that `search` asks for.
    pub fn of(all: Vec<T>, search: &Search) -> Self {
        let limit = search.limit.clamp(1, MAX_LIMIT);
        Self {
            total: all.len(),
            offset: search.offset,
            limit,
            items: all.into_iter().skip(search.offset).take(limit).collect(),
        }
    }

    /// With each row turned into another.
    pub fn map<U>(self, row: impl FnMut(T) -> U) -> Page<U> {
        Page {
            total: self.total,
            offset: self.offset,
            limit: self.limit,
            items: self.items.into_iter().map(row).collect(),
        }
    }
}
