//! Copies of requests for a second service.

use std::sync::Arc;

use crate::{CallTarget, FieldTemplate, Template};

/// A service that gets a copy of each forwarded request (behaviour.md 1.14).
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Where it is.
    pub target: CallTarget,
    /// `Host` of the copies.
    pub host: FieldTemplate,
    /// Path and query of the copies.
    pub path: MirrorPath,
    /// Copies have the body of the request; default true.
    pub body: bool,
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
