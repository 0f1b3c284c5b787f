//! The common part of the registries of annotations and of ConfigMap keys: entries, the types of values with their parsers, and
//! the reader that applies them.
//!
//! Text from an object is parsed here once, by the validator of its registry entry, and not used as text afterwards. An invalid
//! value has one of three consequences (see [`OnInvalid`]); it never makes a function fail or panic.

mod difference;
mod entry;
mod key;
mod kind;
mod nearest;
mod problem;
mod reader;
pub(crate) mod types;
mod value;
mod verdict;

pub(crate) use difference::differences;
pub use difference::{Difference, When};
pub use entry::{Entry, OnInvalid, Protection, Support};
pub(crate) use key::{FromValue, Key, Word, keys, words};
pub(crate) use kind::Validation;
pub use kind::{Class, Kind};
pub(crate) use nearest::nearest;
pub(crate) use problem::Problem;
pub(crate) use reader::{Outcome, Reader, Unhonoured};
pub(crate) use value::{
    Buffers, NameRef, NextUpstream, Origin, SizeText, TlsVersions, Value, excerpt, parse_cidr,
    parse_header_name, parse_header_value, parse_replacement, printable,
};
pub use verdict::{Judgement, Verdict};
pub(crate) use verdict::{inert, judge, unset};

#[cfg(test)]
pub(crate) mod hostile;
#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
