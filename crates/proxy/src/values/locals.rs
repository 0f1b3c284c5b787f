//! Variables that configuration sets, and the values of templates that read them.

use std::cell::Cell;
use std::sync::Arc;

use headgate_table::{Captures, Pattern, Piece, Template, Variable, VariableMaps};

use super::Source;

/// How often the value of a mapped variable may be that of another one.
const MAX_DEPTH: u32 = 8;
/// Longest value, bytes: a value may consist of others, so that it could double with each step.
const MAX_VALUE: usize = 64 << 10;

/// A match of the route's pattern, for `$1` and named groups.
pub(crate) struct Matched<'p> {
    pub(crate) captures: Captures,
    /// The path that was matched.
    pub(crate) path: &'p [u8],
}

/// What a script sets for one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Locals {
    values: Vec<(Arc<str>, Vec<u8>)>,
    /// Groups of the last match, by number.
    groups: Vec<Option<Vec<u8>>>,
    /// The path instead of that of the request.
    pub(crate) path: Option<Vec<u8>>,
    /// The query instead of that of the request.
    pub(crate) query: Option<String>,
}

impl Locals {
    /// Gives the variable `name` a value.
    pub(crate) fn set(&mut self, name: &Arc<str>, mut value: Vec<u8>) {
        value.truncate(MAX_VALUE);
        match self.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.values.push((name.clone(), value)),
        }
    }

    /// Keeps the groups of a match of `pattern` in `text`.
    pub(crate) fn keep(&mut self, pattern: &Pattern, captures: &Captures, text: &[u8]) {
        let group = |number| captures.group(number, text).map(<[u8]>::to_vec);
        self.groups = (0..10).map(group).collect();
        for name in pattern.group_names() {
            let value = captures.named(name, text).unwrap_or_default().to_vec();
            self.set(&Arc::from(name), value);
        }
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.values.iter().find(|(known, _)| **known == *name)?;
        Some(value)
    }

    fn group(&self, number: usize) -> Option<&[u8]> {
        self.groups.get(number)?.as_deref()
    }
}

/// Where templates find what is not a variable of the proxy.
#[derive(Clone, Copy, Default)]
pub(crate) struct Scope<'s> {
    pub(crate) locals: Option<&'s Locals>,
    pub(crate) maps: Option<&'s VariableMaps>,
    /// Set where a value cannot be found out: the step limit ends the search of an expression, or no database of locations has
    /// the variable. The value is then the default.
    pub(crate) undecided: Option<&'s Cell<bool>>,
}

impl Scope<'_> {
    /// Appends the text of `template` for a request; groups are those of `matched`, if there is a match.
    pub(crate) fn write(
        self,
        template: &Template,
        (request, matched): (&impl Source, Option<&Matched<'_>>),
        out: &mut Vec<u8>,
    ) {
        for piece in template.pieces() {
            self.write_piece(piece, (request, matched), MAX_DEPTH, out);
        }
    }

    /// Appends the text of one piece.
    pub(crate) fn write_one(
        self,
        piece: &Piece,
        (request, matched): (&impl Source, Option<&Matched<'_>>),
        out: &mut Vec<u8>,
    ) {
        self.write_piece(piece, (request, matched), MAX_DEPTH, out);
    }

    fn write_piece(
        self,
        piece: &Piece,
        (request, matched): (&impl Source, Option<&Matched<'_>>),
        depth: u32,
        out: &mut Vec<u8>,
    ) {
        let found = match piece {
            Piece::Text(text) => return out.extend_from_slice(text.as_bytes()),
            Piece::Variable(variable) => {
                if let (Variable::Geo(location), Some(undecided)) = (variable, self.undecided)
                    && !request.knows_location(*location)
                {
                    undecided.set(true);
                }
                return super::write(variable, request, out);
            }
            Piece::Capture(number) => match matched {
                Some(matched) => matched.captures.group(*number, matched.path),
                None => self.locals.and_then(|locals| locals.group(*number)),
            },
            Piece::Group(name) => {
                let group = matched.and_then(|matched| matched.captures.named(name, matched.path));
                let found = group.or_else(|| self.locals.and_then(|locals| locals.value(name)));
                if found.is_none() {
                    return self.write_mapped(name, request, depth, out);
                }
                found
            }
        };
        out.extend_from_slice(found.unwrap_or_default());
    }

    fn write_mapped(self, name: &str, request: &impl Source, depth: u32, out: &mut Vec<u8>) {
        let map = self.maps.and_then(|maps| maps.named(name));
        let (Some(map), Some(depth)) = (map, depth.checked_sub(1)) else {
            return;
        };
        let mut text = Vec::new();
        for piece in map.source.pieces() {
            self.write_piece(piece, (request, None), depth, &mut text);
        }
        let (value, captures) = map.find(&text).unwrap_or_else(|_| {
            if let Some(undecided) = self.undecided {
                undecided.set(true);
            }
            (map.default_value(), None)
        });
        let matched = captures.map(|captures| Matched {
            captures,
            path: &text,
        });
        for piece in value.pieces() {
            if out.len() > MAX_VALUE {
                return;
            }
            self.write_piece(piece, (request, matched.as_ref()), depth, out);
        }
    }
}
