//! Variables whose value depends on that of another text (nginx `map`).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::{Captures, Pattern, Reads, Template, Undecided};

/// A variable that is looked up when it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct VariableMap {
    /// Its name, without `$`, lower-case.
    pub name: Arc<str>,
    /// The text that is looked up.
    pub source: Template,
    /// By text, lower-case.
    exact: HashMap<Box<[u8]>, Template>,
    /// In order.
    patterns: Box<[(Pattern, Template)]>,
    default: Template,
    names: Box<[Box<str>]>,
    reads_location: bool,
}

/// The mapped variables of all requests. Of several with one name, the last counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VariableMaps {
    maps: Box<[Arc<VariableMap>]>,
    reads: Reads,
}

impl VariableMaps {
    /// These, in the order in which they are written.
    pub fn new(written: impl IntoIterator<Item = Arc<VariableMap>>) -> Self {
        let mut maps: Vec<Arc<VariableMap>> = Vec::new();
        for map in written {
            match maps.iter_mut().find(|known| known.name == map.name) {
                Some(known) => *known = map,
                None => maps.push(map),
            }
        }
        let templates = maps.iter().flat_map(|map| map.templates());
        Self {
            reads: Reads::all(templates.map(Template::reads)),
            maps: maps.into(),
        }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &VariableMap> {
        self.maps.iter().map(|map| &**map)
    }

    /// That of `name`, which is lower-case.
    pub fn named(&self, name: &str) -> Option<&VariableMap> {
        self.iter().find(|map| *map.name == *name)
    }

    /// The header fields that any of them reads.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }
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

    /// The variable `name` with these values of `source`.
    pub fn build(self, name: &str, source: Template) -> VariableMap {
        let mut map = VariableMap {
            name: name.to_ascii_lowercase().into(),
            source,
            exact: self.exact,
            patterns: self.patterns.into(),
            default: self.default.unwrap_or_else(|| Template::literal("")),
            names: Box::default(),
            reads_location: false,
        };
        map.names = map.undefined_names();
        let reads_location = map.templates().any(Template::reads_location);
        map.reads_location = reads_location;
        map
    }
}

impl Default for VariableMapBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl VariableMap {
    /// The value for `text`, with the groups of the expression that it matches.
    ///
    /// # Errors
    /// The step limit ends the search of an expression.
    pub fn find(&self, text: &[u8]) -> Result<(&Template, Option<Captures>), Undecided> {
        if let Some(value) = self.exact.get(&*text.to_ascii_lowercase()) {
            return Ok((value, None));
        }
        for (pattern, value) in &self.patterns {
            if let Some(captures) = pattern.search(text)? {
                return Ok((value, Some(captures)));
            }
        }
        Ok((&self.default, None))
    }

    /// The value of texts without one of their own.
    pub fn default_value(&self) -> &Template {
        &self.default
    }

    /// The names in its source and values that it does not define itself; its values may read groups of their expressions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// Whether it reads the client's location itself, not through other variables.
    pub fn reads_location(&self) -> bool {
        self.reads_location
    }

    fn undefined_names(&self) -> Box<[Box<str>]> {
        let own = self.exact.values().chain([&self.source, &self.default]);
        let of_patterns = self.patterns.iter().flat_map(|(pattern, value)| {
            let names = value.groups();
            names.filter(|name| !pattern.has_group(name))
        });
        let names: BTreeSet<&str> = own.flat_map(Template::groups).chain(of_patterns).collect();
        names.into_iter().map(Box::from).collect()
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
            let (value, _) = map.find(text.as_bytes()).unwrap();
            assert_eq!(value.source(), expected, "{text}");
        }
        assert_eq!(map.len(), 4);
    }

    #[test]
    fn an_expression_that_cannot_be_decided_is_no_miss() {
        let mut builder = VariableMapBuilder::new();
        let endless = Pattern::new(r"^(?=x?)(a|aa)+\1b$").unwrap();
        builder.add_pattern(endless, Template::literal("1"));
        builder.set_default(Template::literal("0"));
        let map = builder.build("deny", Template::parse("$arg_q").unwrap());
        assert_eq!(map.find(&[b'a'; 3000]), Err(Undecided));
        assert_eq!(map.find(b"x").unwrap().0.source(), "0");
    }

    #[test]
    fn of_two_maps_with_one_name_the_last_counts() {
        let map = |name: &str, value: &str| {
            let mut builder = VariableMapBuilder::new();
            builder.set_default(Template::literal(value));
            let source = Template::parse("$http_x_source").unwrap();
            Arc::new(builder.build(name, source))
        };
        let maps = VariableMaps::new([map("Deny", "first"), map("deny", "last")]);
        let value = maps.named("deny").unwrap().default_value();
        assert_eq!((value.source(), maps.iter().count()), ("last", 1));
        let fields: Vec<&str> = maps
            .reads()
            .request
            .iter()
            .map(|name| name.as_str())
            .collect();
        assert_eq!(fields, ["x-source"]);
    }

    #[test]
    fn a_value_defines_only_the_groups_of_its_own_expression() {
        let mut builder = VariableMapBuilder::new();
        let with_groups = |text: &str| Template::with_groups(text).unwrap();
        let pattern = Pattern::new("^(?<Own>a)").unwrap();
        builder.add_pattern(pattern, with_groups("$own$other"));
        builder.set_default(with_groups("$OWN"));
        let map = builder.build("x", with_groups("$source"));
        let names: Vec<&str> = map.names().collect();
        assert_eq!(names, ["other", "own", "source"]);
    }
}
