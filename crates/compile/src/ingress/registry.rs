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
pub use kind::{Class, Kind, Validation};
pub use problem::Problem;
pub use reader::Denial;
pub(crate) use reader::{Outcome, Reader};
pub(crate) use value::{Buffers, excerpt};
pub use value::{
    NameRef, NextUpstream, Origin, RedirectRewrite, Rewrite, SizeText, TlsVersions, Value,
    ValueError, parse_bool, parse_cidr, parse_cidrs, parse_duration, parse_int, parse_size,
};

#[cfg(test)]
mod tests;
