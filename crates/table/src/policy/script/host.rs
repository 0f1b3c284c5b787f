//! What runs for every request of a host before its route is known, and locations that precede its routes.

use std::sync::Arc;

use super::Script;
use crate::{PathKind, Pattern, Route};

/// The script of a host.
#[derive(Clone, Debug)]
pub struct HostScript {
    /// Its steps; its first level has the edits of what they respond.
    pub script: Script,
    /// In the order in which they are written.
    pub locations: Box<[HostLocation]>,
}

/// A location of a host beside its routes.
#[derive(Clone, Debug)]
pub struct HostLocation {
    /// The paths that it serves.
    pub path: LocationMatch,
    /// How; its target is a built-in 404.
    pub route: Arc<Route>,
}

/// Which paths a location serves.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationMatch {
    /// The whole path.
    Exact(Box<str>),
    /// The beginning of the path.
    Prefix {
        /// The text, compared byte by byte.
        path: Box<str>,
        /// Precedes expressions.
        before_expressions: bool,
    },
    /// An expression, tried in order.
    Expression(Pattern),
}

impl HostScript {
    /// The location that serves `path` instead of `route`, which the routes of the host have for it: nginx's order of exact
    /// paths, the longest prefix, and expressions. In a host in `regex` mode, every route is an expression after those here.
    pub fn location(&self, path: &[u8], route: &Route, regex: bool) -> Option<&Arc<Route>> {
        let exact = self.locations.iter().find(|location| {
            matches!(&location.path, LocationMatch::Exact(own) if own.as_bytes() == path)
        });
        if let Some(exact) = exact {
            return Some(&exact.route);
        }
        if !regex && is_exact(route, path) {
            return None;
        }
        let longest = self.longest_prefix(path);
        let own = if regex { 0 } else { prefix_length(route) };
        let longest = longest.filter(|(length, _)| *length > own);
        if let Some((_, location)) = longest
            && matches!(
                location.path,
                LocationMatch::Prefix {
                    before_expressions: true,
                    ..
                }
            )
        {
            return Some(&location.route);
        }
        let expression = self.locations.iter().find(|location| {
            matches!(&location.path, LocationMatch::Expression(own) if own.is_match(path))
        });
        if let Some(expression) = expression {
            return Some(&expression.route);
        }
        if regex {
            return None;
        }
        longest.map(|(_, location)| &location.route)
    }

    fn longest_prefix(&self, path: &[u8]) -> Option<(usize, &HostLocation)> {
        let prefixes = self.locations.iter().filter_map(|location| {
            let LocationMatch::Prefix { path: own, .. } = &location.path else {
                return None;
            };
            path.starts_with(own.as_bytes())
                .then_some((own.len(), location))
        });
        prefixes.max_by_key(|(length, _)| *length)
    }
}

/// Whether nginx has a location for exactly this path: every prefix has one beside that of its segments.
fn is_exact(route: &Route, path: &[u8]) -> bool {
    let own = route.path.as_bytes();
    match route.kind {
        PathKind::Exact => own == path,
        PathKind::Prefix => own != b"/" && own.strip_suffix(b"/").unwrap_or(own) == path,
    }
}

/// The length of the route's prefix with its final slash.
fn prefix_length(route: &Route) -> usize {
    let own = route.path.as_bytes();
    match route.kind {
        PathKind::Prefix if own.last() != Some(&b'/') => own.len() + 1,
        _ => own.len(),
    }
}
