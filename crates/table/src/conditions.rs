//! Conditions beside host and path that a route may have: method, headers, query parameters.

use http::{HeaderName, Method};

use crate::Pattern;

/// What a request must match, besides host and path, for a route to serve it. All parts must match; empty ones always do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// The method.
    pub method: Option<Method>,
    /// Headers that must be there, each with a value that matches.
    pub headers: Box<[(HeaderName, TextMatch)]>,
    /// Query parameters that must be there, each with a value that matches; names are compared as decoded.
    pub query: Box<[(String, TextMatch)]>,
}

/// What a value must be.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// Exactly this.
    Exact(String),
    /// The expression is found in it.
    Pattern(Pattern),
}

/// The parts of a request that conditions read.
pub trait ConditionInput {
    /// The method.
    fn method(&self) -> &Method;
    /// The value of a header, several joined with commas (RFC 9110 section 5.3); `None` when it is absent.
    fn header(&self, name: &HeaderName) -> Option<std::borrow::Cow<'_, [u8]>>;
    /// The decoded value of a query parameter; of several, the first.
    fn query(&self, name: &str) -> Option<std::borrow::Cow<'_, str>>;
}

impl Conditions {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.method.is_none() && self.headers.is_empty() && self.query.is_empty()
    }

    /// Whether `request` fulfils all conditions.
    pub fn hold(&self, request: &dyn ConditionInput) -> bool {
        let method = self.method.as_ref();
        method.is_none_or(|method| method == request.method())
            && self.headers.iter().all(|(name, wanted)| {
                let value = request.header(name);
                value.is_some_and(|value| wanted.matches(&value))
            })
            && self.query.iter().all(|(name, wanted)| {
                let value = request.query(name);
                value.is_some_and(|value| wanted.matches(value.as_bytes()))
            })
    }
}

impl TextMatch {
    fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Pattern(pattern) => pattern.is_match(value),
        }
    }
}
