//! Sets of statuses of errors.

use http::StatusCode;

/// The first status that a set can have.
const FIRST: u16 = 400;
const WORDS: usize = 4;

/// A set of statuses from 400 to 599.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusSet([u64; WORDS]);

impl StatusSet {
    /// Adds a status. Returns whether a set can have it.
    pub fn insert(&mut self, status: u16) -> bool {
        let Some((word, bit)) = place(status) else {
            return false;
        };
        match self.0.get_mut(word) {
            Some(word) => *word |= bit,
            None => return false,
        }
        true
    }

    /// The set of those of `statuses` that a set can have.
    pub fn of(statuses: impl IntoIterator<Item = u16>) -> Self {
        let mut set = Self::default();
        for status in statuses {
            set.insert(status);
        }
        set
    }

    /// Whether it has a status.
    pub fn contains(&self, status: StatusCode) -> bool {
        place(status.as_u16())
            .is_some_and(|(word, bit)| self.0.get(word).is_some_and(|word| word & bit != 0))
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its statuses, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        let own = *self;
        let is_in = move |status: &u16| {
            StatusCode::from_u16(*status).is_ok_and(|status| own.contains(status))
        };
        (FIRST..FIRST + 200).filter(is_in)
    }
}

/// Where the bit of a status is.
fn place(status: u16) -> Option<(usize, u64)> {
    let index = status.checked_sub(FIRST).filter(|index| *index < 200)?;
    Some((usize::from(index / 64), 1 << (index % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_added_from_400_to_599() {
        let set = StatusSet::of([599, 400, 503, 463, 464, 399, 600, 0]);
        let all: Vec<u16> = set.iter().collect();
        assert_eq!(all, [400, 463, 464, 503, 599]);
        assert!(set.contains(StatusCode::SERVICE_UNAVAILABLE) && !set.contains(StatusCode::OK));
        assert!(StatusSet::default().is_empty() && !set.is_empty());
    }
}
