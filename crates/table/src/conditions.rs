//! Conditions of a route besides host and path: method, header fields, query parameters.

use std::borrow::Cow;

use http::{HeaderName, Method};

use crate::Pattern;

/// What a request must match, besides host and path, for a route to serve it. All parts must match; empty ones always match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions {
    /// The method.
    pub method: Option<Method>,
    /// Header fields that must be present, each with a matching value.
    pub headers: Box<[(HeaderName, TextMatch)]>,
    /// Query parameters that must be present, each with a matching value; names are compared as decoded.
    pub query: Box<[(String, TextMatch)]>,
}

/// The test of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum TextMatch {
    /// The value is equal.
    Exact(String),
    /// The expression matches, unanchored.
    Pattern(Pattern),
}

/// The parts of a request that conditions need.
pub trait ConditionInput {
    /// The method.
    fn method(&self) -> &Method;
    /// The value of a header field, several joined with commas (RFC 9110 section 5.3); `None` when it is absent.
    fn header(&self, name: &HeaderName) -> Option<Cow<'_, [u8]>>;
    /// The decoded value of a query parameter; of several, the first.
    fn query(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// A request with this method, without header fields and query.
impl ConditionInput for Method {
    fn method(&self) -> &Method {
        self
    }

    fn header(&self, _: &HeaderName) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn query(&self, _: &str) -> Option<Cow<'_, str>> {
        None
    }
}

impl Conditions {
    /// Whether there are no conditions.
    pub fn is_empty(&self) -> bool {
        self.method.is_none() && self.headers.is_empty() && self.query.is_empty()
    }

    /// Whether `request` meets all conditions.
    pub fn hold(&self, request: &dyn ConditionInput) -> bool {
        let method = self.method.as_ref();
        method.is_none_or(|method| method == request.method())
            && self.headers.iter().all(|(name, expected)| {
                let value = request.header(name);
                value.is_some_and(|value| expected.matches(&value))
            })
            && self.query.iter().all(|(name, expected)| {
                let value = request.query(name);
                value.is_some_and(|value| expected.matches(value.as_bytes()))
            })
    }
}

impl TextMatch {
    /// Whether a value passes.
    pub fn matches(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Pattern(pattern) => pattern.is_match(value),
        }
    }
}
