//! Variables that snippets define, and those that they use.

use std::collections::{BTreeMap, BTreeSet};

use headgate_table::{
    Assigned, Condition, Expires, FieldTemplate, FixedResponse, PathRewrite, Pattern, Template,
    ValueTest, VariableMap, VariableMaps,
};

use super::Snippet;
use super::directive::{Directive, LocationPath, Placed};

/// The names of variables that configuration defines, lower-case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    defined: BTreeSet<String>,
    /// Maps that read what nothing defines, and what that is: so their variables have no value.
    undefined_maps: BTreeMap<String, String>,
    /// Settings look up the location of clients.
    knows_location: bool,
}

impl Names {
    /// Without any.
    pub(crate) fn new(knows_location: bool) -> Self {
        Self {
            knows_location,
            ..Self::default()
        }
    }

    /// Adds what `snippet` defines, without its maps.
    pub(crate) fn add(&mut self, snippet: &Snippet) {
        self.add_all(&snippet.directives);
    }

    fn add_all(&mut self, directives: &[Placed]) {
        for placed in directives {
            match &placed.directive {
                Directive::Set(Assigned::Local(name), _) => {
                    self.defined.insert(name.to_string());
                }
                Directive::Rewrite(rewrite) => self.add_groups(&rewrite.pattern),
                Directive::If(condition, inner) => {
                    if let ValueTest::Matches(pattern) = &condition.test {
                        self.add_groups(pattern);
                    }
                    self.add_all(inner);
                }
                Directive::Location(path, inner) => {
                    if let LocationPath::Expression(pattern) = path {
                        self.add_groups(pattern);
                    }
                    self.add_all(inner);
                }
                _ => {}
            }
        }
    }

    /// Adds the groups of an expression that is a path.
    pub(crate) fn add_path(&mut self, path: &str) {
        let mut rest = path;
        while let Some((_, after)) = rest.split_once("(?") {
            let after = after.strip_prefix('P').unwrap_or(after);
            let name = after
                .strip_prefix('<')
                .and_then(|after| after.split('>').next());
            let is_name =
                |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            self.defined.extend(
                name.filter(is_name)
                    .filter(|name| !name.is_empty())
                    .map(str::to_ascii_lowercase),
            );
            rest = after;
        }
    }

    fn add_groups(&mut self, pattern: &Pattern) {
        self.defined
            .extend(pattern.group_names().map(str::to_owned));
    }

    /// Adds the variables of `maps`, after all others: those whose source and values read only what is defined. A map that reads
    /// itself defines nothing.
    pub(crate) fn add_maps(&mut self, maps: &VariableMaps) {
        for map in maps.iter() {
            self.defined.remove(&*map.name);
        }
        let mut left: Vec<&VariableMap> = maps.iter().collect();
        loop {
            let before = left.len();
            left.retain(|map| {
                let lacks = self.lacks(map).is_some();
                if !lacks {
                    self.defined.insert(map.name.to_string());
                }
                lacks
            });
            if left.len() == before {
                break;
            }
        }
        for map in left {
            if let Some(reason) = self.lacks(map) {
                self.undefined_maps.insert(map.name.to_string(), reason);
            }
        }
    }

    /// What `map` reads that is not defined.
    fn lacks(&self, map: &VariableMap) -> Option<String> {
        let mut names = map.names();
        let name = names.find(|name| !self.defined.contains(*name));
        name.map(|name| format!("there is no variable ${name}"))
            .or_else(|| self.lacks_location(map.reads_location()))
    }

    fn lacks_location(&self, reads: bool) -> Option<String> {
        const UNKNOWN: &str =
            "there is no variable $geoip2_* without use-geoip2: \"true\" in the ConfigMap";
        (reads && !self.knows_location).then(|| UNKNOWN.to_owned())
    }

    /// Why `directive` reads a variable that nothing defines, if it does. Those in its block are not looked at.
    pub(super) fn undefined(&self, directive: &Directive) -> Option<String> {
        if let Directive::Map(map) = directive {
            return self.undefined_maps.get(&*map.name).cloned();
        }
        let mut templates = Vec::new();
        collect(directive, &mut templates);
        let mut names = templates.iter().flat_map(|template| template.groups());
        if let Some(name) = names.find(|name| !self.defined.contains(*name)) {
            let map = self.undefined_maps.get(name);
            let because = map.map(|reason| format!(": its map has no value, because {reason}"));
            let because = because.unwrap_or_default();
            return Some(format!("there is no variable ${name}{because}"));
        }
        let reads = templates.iter().any(|template| template.reads_location());
        self.lacks_location(reads)
    }
}

/// The templates of a directive, without those in its block.
fn collect<'d>(directive: &'d Directive, out: &mut Vec<&'d Template>) {
    let mut field = |value: &'d FieldTemplate| out.extend(value.template());
    match directive {
        Directive::Output(edits) => edits
            .iter()
            .filter_map(|edit| edit.value.as_ref())
            .for_each(field),
        Directive::Input(edits) => edits
            .iter()
            .filter_map(|edit| edit.value.as_ref())
            .for_each(field),
        Directive::Add(added) => field(&added.value),
        Directive::RequestField(_, value) | Directive::GrpcField(_, value) => field(value),
        Directive::Expires(Expires::Text(text)) => out.push(text),
        Directive::Return(FixedResponse::Text(_, text) | FixedResponse::Redirect(_, text)) => {
            out.push(text);
        }
        Directive::Rewrite(PathRewrite { path, query, .. }) => {
            out.push(path);
            out.extend(query);
        }
        Directive::Set(_, value) => out.push(value),
        Directive::If(Condition { value, test, .. }, _) => {
            out.push(value);
            if let ValueTest::Equals(text) = test {
                out.push(text);
            }
        }
        Directive::Expires(Expires::At(_))
        | Directive::Return(_)
        | Directive::Hide(_)
        | Directive::Pass(_)
        | Directive::DefaultType(_)
        | Directive::Break
        | Directive::Location(..)
        | Directive::Address(_)
        | Directive::Forward(_)
        | Directive::Gzip(_)
        | Directive::AccessLog(_)
        | Directive::Map(_)
        | Directive::OtherPorts
        | Directive::Nothing => {}
    }
}
