//! Values of header fields.

use std::fmt;

use http::HeaderValue;

use super::{Phase, Template, TemplateError};

/// The value of a header field: fixed, which costs nothing for a request, or with variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldTemplate {
    /// Without variables.
    Fixed(HeaderValue),
    /// With variables.
    Template(Box<Template>),
}

impl FieldTemplate {
    /// The value that `value` stands for; variables in it may be those of `phase`.
    ///
    /// # Errors
    /// As [`Template::parse_for`].
    pub fn parse(value: &HeaderValue, phase: Phase) -> Result<Self, TemplateError> {
        let Some(source) = value.to_str().ok().filter(|text| text.contains('$')) else {
            return Ok(Self::Fixed(value.clone()));
        };
        Template::parse_for(source, phase).map(|template| Self::Template(Box::new(template)))
    }

    /// The template, if there are variables.
    pub fn template(&self) -> Option<&Template> {
        match self {
            Self::Fixed(_) => None,
            Self::Template(template) => Some(template),
        }
    }
}

impl From<HeaderValue> for FieldTemplate {
    fn from(value: HeaderValue) -> Self {
        Self::Fixed(value)
    }
}

impl fmt::Display for FieldTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(value) => f.write_str(&String::from_utf8_lossy(value.as_bytes())),
            Self::Template(template) => template.fmt(f),
        }
    }
}
