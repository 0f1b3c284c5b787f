//! Edits of header fields that a script selects.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

use super::Expires;
use crate::{Compression, FieldTemplate, Template};

/// The edits of requests and responses at one level of configuration, with what it inherits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// Edits of the client's request, in order.
    pub input: Box<[InputEdit]>,
    /// Edits of the response, in order.
    pub output: Box<[OutputEdit]>,
    /// Fields added to the response after all edits.
    pub added: Arc<[AddedField]>,
    /// The level has added fields of its own, which replace those of the proxy.
    pub replaces_added: bool,
    /// `Expires` and `Cache-Control` of success and redirects.
    pub expires: Option<Expires>,
    /// Compression of the response instead of that of the settings; inner `None`: none.
    pub compression: Option<Option<Arc<Compression>>>,
    /// Write a line to the access log; `None`: as the policy says.
    pub access_log: Option<bool>,
    /// `Content-Type` of fixed texts whose path has no known extension.
    pub default_type: Option<HeaderValue>,
}

/// An edit of a field of the client's request.
#[derive(Clone, Debug, PartialEq)]
pub struct InputEdit {
    /// Which fields.
    pub field: FieldChoice,
    /// The value; `None` removes the field.
    pub value: Option<FieldTemplate>,
    /// Only replaces a field that the client sent.
    pub only_present: bool,
}

/// An edit of a field of the response.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputEdit {
    /// Which fields.
    pub field: FieldChoice,
    /// The value; `None` removes the field.
    pub value: Option<FieldTemplate>,
    /// Adds a line beside those of the response.
    pub append: bool,
    /// Only responses with one of these statuses; empty: all.
    pub statuses: Box<[StatusCode]>,
    /// Only responses with one of these media types, in lower case; empty: all.
    pub types: Box<[String]>,
}

/// Which header fields an edit is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldChoice {
    /// The field of this name.
    Name(HeaderName),
    /// All fields whose name begins with this text, lower-case.
    Prefix(Box<str>),
}

/// A field that is added to the response.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedField {
    /// Its name.
    pub name: HeaderName,
    /// Its value; an empty one is not added.
    pub value: FieldTemplate,
    /// Also to errors, not only to success and redirects.
    pub always: bool,
}

impl Level {
    pub(super) fn response_templates(&self) -> impl Iterator<Item = &Template> {
        let output = self.output.iter().filter_map(|edit| edit.value.as_ref());
        let added = self.added.iter().map(|field| &field.value);
        let fields = output.chain(added).filter_map(FieldTemplate::template);
        fields.chain(self.expires.as_ref().and_then(Expires::template))
    }
}

impl FieldChoice {
    /// Whether it names the field `name`.
    pub fn includes(&self, name: &HeaderName) -> bool {
        match self {
            Self::Name(own) => own == name,
            Self::Prefix(prefix) => name.as_str().starts_with(&**prefix),
        }
    }
}
