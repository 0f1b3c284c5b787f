//! Copies of requests for a second service.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::{CallTarget, FieldEdits, FieldTemplate, Template};

/// A service that gets a copy of each forwarded request (behaviour.md 1.14).
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Where it is.
    pub target: CallTarget,
    /// `Host` of the copies; `None`: that of the request.
    pub host: Option<FieldTemplate>,
    /// Path and query of the copies.
    pub path: MirrorPath,
    /// Copies have the body of the request; default true.
    pub body: bool,
    /// The share of requests that are copied; `None`: all.
    pub share: Option<Share>,
    /// Edits of the copies, besides those that all requests get.
    pub edits: FieldEdits,
}

/// A share of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// How many of `of`.
    pub part: u32,
    /// At least 1.
    pub of: NonZeroU32,
}

/// Path and query of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirrorPath {
    /// Those of the request, as sent.
    Same,
    /// This path, with or without a query; the query of the request is added.
    Fixed(Arc<str>),
    /// This text, to which nothing is added.
    Template(Template),
}
