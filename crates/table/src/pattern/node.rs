//! The tree of an expression, with every difference of dialect resolved.

use super::bytes::ByteSet;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// One byte of a set.
    Byte(ByteSet),
    /// A position.
    Position(Position),
    /// Parentheses, with a number if they capture.
    Group { captures: bool, body: Box<Self> },
    /// `(?>…)`: what it matched is not tried otherwise.
    Atomic(Box<Self>),
    /// What stands before or behind a position.
    Look { look: Look, body: Box<Self> },
    /// What a group has matched.
    Reference { group: u32, insensitive: bool },
    /// One after the other.
    Sequence(Vec<Self>),
    /// The first that leads to a match.
    Alternatives(Vec<Self>),
    /// `body` is one of the above but a position, a sequence and alternatives.
    Repetition {
        body: Box<Self>,
        times: Times,
        greedy: bool,
    },
}

/// A position that matches without a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// Of the text.
    Start,
    /// Of the text.
    End,
    LineStart,
    LineEnd,
    WordBoundary,
    NoWordBoundary,
}

/// A look-around assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Ahead,
    NotAhead,
    Behind,
    NotBehind,
}

impl Look {
    pub(super) fn is_behind(self) -> bool {
        matches!(self, Self::Behind | Self::NotBehind)
    }
}

/// How often something repeats; without `most`, any number of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) least: u32,
    pub(super) most: Option<u32>,
}

impl Node {
    /// How many bytes it matches, if that is always the same.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Self::Byte(_) => Some(1),
            Self::Position(_) | Self::Look { .. } => Some(0),
            Self::Group { body, .. } | Self::Atomic(body) => body.length(),
            Self::Reference { .. } => None,
            Self::Sequence(items) => items.iter().map(Self::length).sum(),
            Self::Alternatives(branches) => {
                let first = branches.first()?.length()?;
                let rest = branches.iter().skip(1);
                rest.map(Self::length)
                    .all(|length| length == Some(first))
                    .then_some(first)
            }
            Self::Repetition { body, times, .. } => {
                let least = usize::try_from(times.least).ok()?;
                let length = body.length()?.checked_mul(least)?;
                (times.most == Some(times.least)).then_some(length)
            }
        }
    }

    /// Whether it can match without a byte.
    pub(super) fn can_be_empty(&self) -> bool {
        match self {
            Self::Byte(_) => false,
            Self::Position(_) | Self::Look { .. } | Self::Reference { .. } => true,
            Self::Group { body, .. } | Self::Atomic(body) => body.can_be_empty(),
            Self::Sequence(items) => items.iter().all(Self::can_be_empty),
            Self::Alternatives(branches) => branches.iter().any(Self::can_be_empty),
            Self::Repetition { body, times, .. } => times.least == 0 || body.can_be_empty(),
        }
    }

    /// Whether it may match without a byte before it tries to match one. An unlimited repetition of it ends there in PCRE, while
    /// the linear-time engine goes on with the byte.
    pub(super) fn prefers_empty(&self) -> bool {
        match self {
            Self::Byte(_) | Self::Position(_) | Self::Look { .. } | Self::Reference { .. } => false,
            Self::Group { body, .. } | Self::Atomic(body) => body.prefers_empty(),
            Self::Sequence(items) => items.iter().any(Self::prefers_empty),
            Self::Alternatives(branches) => {
                let (last, others) = match branches.split_last() {
                    Some((last, others)) => (last.prefers_empty(), others),
                    None => (false, branches.as_slice()),
                };
                last || others
                    .iter()
                    .any(|branch| branch.can_be_empty() || branch.prefers_empty())
            }
            Self::Repetition {
                body,
                times,
                greedy,
            } => (!greedy && times.least == 0) || body.prefers_empty(),
        }
    }

    /// Whether it contains a group that captures.
    pub(super) fn captures(&self) -> bool {
        match self {
            Self::Byte(_) | Self::Position(_) | Self::Reference { .. } => false,
            Self::Group { captures, body } => *captures || body.captures(),
            Self::Atomic(body) | Self::Look { body, .. } | Self::Repetition { body, .. } => {
                body.captures()
            }
            Self::Sequence(items) | Self::Alternatives(items) => items.iter().any(Self::captures),
        }
    }
}
