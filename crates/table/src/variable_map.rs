//! Variables whose value depends on that of another text (nginx `map`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Captures, Pattern, Template};

/// A variable that is looked up when it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableMap {
    /// Its name, without `$`.
    pub name: Arc<str>,
    /// The text that is looked up.
    pub source: Template,
    /// By text, lower-case.
    exact: HashMap<Box<[u8]>, Template>,
    /// In order.
    patterns: Box<[(Pattern, Template)]>,
    default: Template,
}

/// Builds a [`VariableMap`].
#[derive(Clone, Debug)]
pub struct VariableMapBuilder {
    exact: HashMap<Box<[u8]>, Template>,
    patterns: Vec<(Pattern, Template)>,
    default: Option<Template>,
}

impl VariableMapBuilder {
    /// Without entries.
    pub fn new() -> Self {
        Self {
            exact: HashMap::new(),
            patterns: Vec::new(),
            default: None,
        }
    }

    /// The value for a text, compared ignoring case. False if it has one already.
    pub fn add_text(&mut self, text: &str, value: Template) -> bool {
        let key = text.to_ascii_lowercase().into_bytes().into();
        self.exact.insert(key, value).is_none()
    }

    /// The value for texts that match, unless they have one of their own or match a former expression.
    pub fn add_pattern(&mut self, pattern: Pattern, value: Template) {
        self.patterns.push((pattern, value));
    }

    /// The value for all other texts. False if it is set already.
    pub fn set_default(&mut self, value: Template) -> bool {
        self.default.replace(value).is_none()
    }

    /// The templates of all values.
    pub fn values(&self) -> impl Iterator<Item = &Template> {
        let patterns = self.patterns.iter().map(|(_, value)| value);
        self.exact.values().chain(patterns).chain(&self.default)
    }

    /// The variable `name` with these values of `source`.
    pub fn build(self, name: &str, source: Template) -> VariableMap {
        VariableMap {
            name: name.into(),
            source,
            exact: self.exact,
            patterns: self.patterns.into(),
            default: self.default.unwrap_or_else(|| Template::literal("")),
        }
    }
}

impl Default for VariableMapBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl VariableMap {
    /// The value for `text`, with the groups of the expression that it matches.
    pub fn find(&self, text: &[u8]) -> (&Template, Option<Captures>) {
        if let Some(value) = self.exact.get(&*text.to_ascii_lowercase()) {
            return (value, None);
        }
        let mut patterns = self.patterns.iter();
        let found =
            patterns.find_map(|(pattern, value)| Some((value, Some(pattern.captures(text)?))));
        found.unwrap_or((&self.default, None))
    }

    /// The templates of its source and values.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let patterns = self.patterns.iter().map(|(_, value)| value);
        let values = self.exact.values().chain(patterns);
        values.chain([&self.source, &self.default])
    }

    /// How many values it has, with the default.
    pub fn len(&self) -> usize {
        self.exact.len() + self.patterns.len() + 1
    }

    /// Never: there is always a default.
    pub fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
    use super::*;

    #[test]
    fn texts_precede_expressions_and_these_the_default() {
        let mut builder = VariableMapBuilder::new();
        assert!(builder.add_text("Shop", Template::literal("text")));
        assert!(!builder.add_text("shop", Template::literal("text")));
        builder.add_pattern(Pattern::new("^s").unwrap(), Template::literal("first"));
        builder.add_pattern(Pattern::new("^so").unwrap(), Template::literal("second"));
        builder.set_default(Template::literal("other"));
        let map = builder.build("x", Template::parse("$host").unwrap());
        for (text, expected) in [
            ("SHOP", "text"),
            ("sop", "first"),
            ("SOP", "other"),
            ("", "other"),
        ] {
            assert_eq!(map.find(text.as_bytes()).0.source(), expected, "{text}");
        }
        assert_eq!(map.len(), 4);
    }
}
