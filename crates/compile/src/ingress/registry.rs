//! What the registries of annotations and of ConfigMap keys have in common: entries, the types of values with their
//! parsers, and the reader that applies them.
//!
//! Text from an object is parsed here once, by the validator its registry entry names, and never looked at again as
//! text. What does not parse has one of three outcomes (see [`OnInvalid`]), and nothing here ever fails or panics.

mod entry;
mod key;
mod kind;
mod problem;
mod reader;
pub(crate) mod types;
mod value;

pub use entry::{Entry, OnInvalid, Protection, Support};
pub(crate) use key::{FromValue, Key, Word, keys, words};
pub(crate) use kind::Validation;
pub use kind::{Class, Kind};
pub(crate) use problem::Problem;
pub(crate) use reader::{Outcome, Reader};
pub(crate) use value::{
    Buffers, NameRef, NextUpstream, Origin, SizeText, TlsVersions, Value, excerpt, parse_cidr,
    parse_header_name, parse_header_value, parse_replacement,
};

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
