//! What the registries of annotations and of ConfigMap keys have in common: types of values with their parsers, and the
//! reader that applies them.
//!
//! Text from an object is parsed here once, by the validator its registry entry names, and never looked at again as
//! text. What does not parse has one of three outcomes (see [`Bad`]), and nothing here ever fails or panics.

mod kind;
mod problem;
mod reader;
mod value;

pub use kind::{Class, Kind, Validation};
pub use problem::Problem;
pub use reader::{Denial, Reader};
pub(crate) use reader::{Field, Outcome};
pub(crate) use value::excerpt;
pub use value::{
    NameRef, NextUpstream, Origin, RedirectRewrite, Rewrite, TlsVersions, Value, ValueError,
    parse_bool, parse_cidr, parse_cidrs, parse_duration, parse_int, parse_size,
};

use crate::ingress::annotations::{Bad, Support};

#[cfg(test)]
mod tests;
