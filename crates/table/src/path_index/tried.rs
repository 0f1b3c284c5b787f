//! All paths of a host with what a lookup thinks of them, for people.

use std::sync::Arc;

use super::{Expressions, Listed, Matcher, PathIndex, longest, prefix_key};
use crate::{Conditions, PathKind, Route};

/// A path of a host, and whether it matches a request path.
#[derive(Clone, Copy, Debug)]
pub struct Tried<'t> {
    /// The path; in regex mode the expression.
    pub text: &'t str,
    /// Whether it matches; `None` if its step limit ended the search.
    pub matches: Option<bool>,
    /// Further conditions that a request must meet.
    pub conditions: Option<&'t Conditions>,
    /// The route.
    pub route: &'t Arc<Route>,
}

impl PathIndex {
    /// Every path in the order in which they are tried, the root last, and whether it matches `path` (decoded and normalised).
    /// A lookup ([`PathIndex::find`]) ends with the first that matches and whose conditions hold.
    pub fn tried(&self, path: &[u8]) -> Vec<Tried<'_>> {
        let mut all: Vec<Tried<'_>> = match &self.matcher {
            Matcher::Literal { exact, prefix, .. } => {
                literal(exact.listing().chain(longest(prefix)), path).collect()
            }
            Matcher::Regex(entries) => matched(entries, path).collect(),
            Matcher::Specific {
                exact,
                expressions,
                prefix,
            } => literal(exact.listing(), path)
                .chain(matched(expressions, path))
                .chain(literal(longest(prefix), path))
                .collect(),
        };
        all.push(Tried {
            text: &self.root.path,
            matches: Some(true),
            conditions: None,
            route: &self.root,
        });
        all
    }
}

fn literal<'t>(
    listed: impl Iterator<Item = Listed<'t>>,
    path: &[u8],
) -> impl Iterator<Item = Tried<'t>> {
    listed.map(move |(text, conditions, route)| Tried {
        text,
        matches: Some(matches(route, path)),
        conditions,
        route,
    })
}

fn matched<'t>(entries: &'t Expressions, path: &[u8]) -> impl Iterator<Item = Tried<'t>> {
    entries.iter().flat_map(move |(pattern, routes)| {
        let candidates = routes.candidates().into_iter();
        candidates.map(move |(conditions, route)| Tried {
            text: pattern.source(),
            matches: pattern.decide(path),
            conditions,
            route,
        })
    })
}

/// Whether a literal path serves `path`, perhaps with a redirect that adds the final slash.
fn matches(route: &Route, path: &[u8]) -> bool {
    let key = prefix_key(route);
    match route.kind {
        PathKind::Expression => false,
        PathKind::Exact => route.path.as_bytes() == path || (key == path && !key.is_empty()),
        PathKind::Prefix => {
            let rest = path.strip_prefix(key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        }
    }
}
