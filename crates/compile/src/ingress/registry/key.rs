//! Keys: entries of a registry together with the type of their values.

use std::marker::PhantomData;
use std::time::Duration;

use http::StatusCode;
use ipnet::IpNet;

use super::{Buffers, Entry, NextUpstream, SizeText, Validation, Value};
use crate::ingress::annotations::Annotation;

/// An entry of a registry (its row `R`) whose values are `T`s. Getters take a key, so a name that is not registered, or a wrong
/// type, does not compile.
#[derive(Debug)]
pub(crate) struct Key<T, R = Annotation> {
    pub(in crate::ingress) row: R,
    value: PhantomData<fn() -> T>,
}

impl<T, R> Key<T, R> {
    pub(crate) const fn new(row: R) -> Self {
        Self {
            row,
            value: PhantomData,
        }
    }

    pub(crate) const fn row(&self) -> &R {
        &self.row
    }
}

impl<T, R: AsRef<Entry>> Key<T, R> {
    pub(crate) fn entry(&self) -> &Entry {
        self.row.as_ref()
    }

    /// The documented default as a value; `None` if none is documented.
    pub(crate) fn default_value(&self) -> Option<T>
    where
        T: FromValue,
    {
        let entry = self.entry();
        let value = entry.kind.parse(entry.default, Validation::Full);
        value.ok().and_then(|value| T::from_value(&value))
    }
}

/// Declares keys and, from the same lines, the rows of the registry, so that every key has a row.
macro_rules! keys {
    ($row:ty { $($key:ident: $type:ty = $declared:expr;)+ }) => {
        $(pub(crate) static $key: $crate::ingress::registry::Key<$type, $row> = $declared;)+

        /// The rows, in the order of the documentation.
        pub(crate) static ROWS: &[&$row] = &[$($key.row()),+];
    };
}
pub(crate) use keys;

/// A type of [`Value`]s. Only [`super::types`] maps a [`Kind`](super::Kind) to its type.
pub(crate) trait FromValue: Sized {
    fn from_value(value: &Value) -> Option<Self>;
}

macro_rules! from_value {
    ($($variant:ident => $type:ty,)+) => {
        $(impl FromValue for $type {
            fn from_value(value: &Value) -> Option<Self> {
                match value {
                    Value::$variant(value) => Some(value.clone()),
                    _ => None,
                }
            }
        })+
    };
}

from_value! {
    Bool => bool,
    Int => i64,
    Size => u64,
    SizeText => SizeText,
    Duration => Duration,
    Text => String,
    List => Vec<String>,
    Cidrs => Vec<IpNet>,
    Codes => Vec<StatusCode>,
    NextUpstream => NextUpstream,
    Buffers => Buffers,
}

impl FromValue for &'static str {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Word { words, at } => words.get(*at).copied(),
            _ => None,
        }
    }
}

/// A type whose values are written as fixed words.
pub(crate) trait Word: Copy + 'static {
    /// The words, in the order of `VALUES`.
    const WORDS: &'static [&'static str];
    /// The values of these words.
    const VALUES: &'static [Self];
}

/// Maps words to values.
macro_rules! words {
    ($type:ty { $($word:literal => $value:expr,)+ }) => {
        impl $crate::ingress::registry::Word for $type {
            const WORDS: &'static [&'static str] = &[$($word),+];
            const VALUES: &'static [Self] = &[$($value),+];
        }
    };
}
pub(crate) use words;

impl<T: Word> FromValue for T {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Word { at, .. } => T::VALUES.get(*at).copied(),
            _ => None,
        }
    }
}
