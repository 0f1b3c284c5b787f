//! Variables that snippets define, and those that they use.

use std::collections::BTreeSet;

use headgate_table::{
    Assigned, Condition, Expires, FieldTemplate, FixedResponse, PathRewrite, Pattern, Template,
    ValueTest,
};

use super::Snippet;
use super::directive::{Directive, LocationPath, Placed};

/// The names of variables that configuration defines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// Adds what `snippet` defines.
    pub(crate) fn add(&mut self, snippet: &Snippet) {
        self.add_all(&snippet.directives);
    }

    fn add_all(&mut self, directives: &[Placed]) {
        for placed in directives {
            match &placed.directive {
                Directive::Set(Assigned::Local(name), _) => drop(self.0.insert(name.to_string())),
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
                Directive::Map(map) => drop(self.0.insert(map.name.to_string())),
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
            self.0.extend(
                name.filter(is_name)
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
            rest = after;
        }
    }

    fn add_groups(&mut self, pattern: &Pattern) {
        self.0.extend(pattern.group_names().map(str::to_owned));
    }

    /// The first variable in `directive` that nothing defines. Those in its block are not looked at.
    pub(super) fn undefined<'d>(&self, directive: &'d Directive) -> Option<&'d str> {
        let mut templates = Vec::new();
        collect(directive, &mut templates);
        let mut names = templates.into_iter().flat_map(Template::groups);
        names.find(|name| !self.0.contains(*name))
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
