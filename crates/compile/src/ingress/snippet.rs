//! nginx directives in annotations and keys (behaviour.md 1.16): text becomes types, types become policies.
//!
//! No text of a snippet is ever interpreted: a directive is one of [`directive::Directive`], or a problem with its name and
//! line. What is not understood and could restrict access closes what it is written for.

mod address;
mod authentication;
mod build;
mod conditions;
mod directive;
mod fields;
mod forward;
mod harmless;
mod names;
mod place;
mod read;
mod responses;
mod rewrites;
mod syntax;
mod values;

pub(crate) use self::authentication::{ONLY_FIELDS, authentication_fields};
pub(crate) use self::build::{Around, Blocks, Built, build};
pub(crate) use self::directive::{Directive, Forward, LocationPath, Placed};
pub(crate) use self::names::Names;
pub(crate) use self::place::Place;
pub(crate) use self::read::{read, read_beside};

use crate::Severity;

/// Something about a snippet for its author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) severity: Severity,
    /// With the line and the directive.
    pub(crate) message: String,
    /// The key of the ConfigMap that it is about; `None`: the annotation.
    pub(crate) key: Option<&'static str>,
}

/// Why what a snippet is written for must not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// With the line and the directive.
    pub(crate) reason: String,
    /// As in [`Remark`].
    pub(crate) key: Option<&'static str>,
}

/// A snippet as types.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snippet {
    pub(crate) directives: Vec<Placed>,
    /// The key of the ConfigMap in which it is written; `None`: an annotation.
    pub(crate) key: Option<&'static str>,
}
