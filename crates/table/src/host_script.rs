//! What runs for every request of a host before its route is known, and locations that precede its routes.

use std::sync::Arc;

use crate::{PathKind, Pattern, Route, Script, Undecided};

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
    ///
    /// # Errors
    /// The step limit ends the search of an expression: the location may protect.
    pub fn location(
        &self,
        path: &[u8],
        route: &Route,
        regex: bool,
    ) -> Result<Option<&Arc<Route>>, Undecided> {
        let exact = self.locations.iter().find(|location| {
            matches!(&location.path, LocationMatch::Exact(own) if own.as_bytes() == path)
        });
        if let Some(exact) = exact {
            return Ok(Some(&exact.route));
        }
        if !regex && is_exact(route, path) {
            return Ok(None);
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
            return Ok(Some(&location.route));
        }
        for location in &self.locations {
            if let LocationMatch::Expression(own) = &location.path
                && own.decide(path).ok_or(Undecided)?
            {
                return Ok(Some(&location.route));
            }
        }
        if regex {
            return Ok(None);
        }
        Ok(longest.map(|(_, location)| &location.route))
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
        PathKind::Expression => false,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
    use super::*;
    use crate::testing::route;

    fn location(text: &str) -> HostLocation {
        let path = match text.split_once(' ') {
            Some(("=", path)) => LocationMatch::Exact(path.into()),
            Some(("^~", path)) => LocationMatch::Prefix {
                path: path.into(),
                before_expressions: true,
            },
            Some(("~", source)) => LocationMatch::Expression(Pattern::new(source).unwrap()),
            _ => LocationMatch::Prefix {
                path: text.into(),
                before_expressions: false,
            },
        };
        HostLocation {
            path,
            route: route(PathKind::Prefix, text),
        }
    }

    #[test]
    fn locations_and_routes_are_in_the_order_of_nginx() {
        let script = HostScript {
            script: Script::default(),
            locations: [
                "= /exact",
                "/a",
                "/a/b/c",
                "^~ /strong",
                "~ ^/x",
                "~ ^/strong",
            ]
            .map(location)
            .into(),
        };
        let routes = [
            ("/", PathKind::Prefix),
            ("/a/b", PathKind::Prefix),
            ("/xy", PathKind::Exact),
            ("/exact", PathKind::Prefix),
        ];
        for (path, of_route, regex, expected) in [
            ("/exact", 3, false, Some("= /exact")),
            ("/exact/z", 3, false, None),
            ("/a/z", 0, false, Some("/a")),
            ("/az", 0, false, Some("/a")),
            ("/a/b", 1, false, None),
            ("/a/b/z", 1, false, None),
            ("/a/b/c", 1, false, Some("/a/b/c")),
            ("/strong/z", 0, false, Some("^~ /strong")),
            ("/xz", 0, false, Some("~ ^/x")),
            ("/xy", 2, false, None),
            ("/z", 0, false, None),
            ("/a/z", 0, true, None),
            ("/xy", 2, true, Some("~ ^/x")),
            ("/strong", 0, true, Some("^~ /strong")),
        ] {
            let (text, kind) = routes[of_route];
            let own = route(kind, text);
            let found = script.location(path.as_bytes(), &own, regex).unwrap();
            assert_eq!(found.map(|found| &*found.path), expected, "{path} {regex}");
        }
    }

    #[test]
    fn a_location_that_cannot_be_decided_is_no_miss() {
        let script = HostScript {
            script: Script::default(),
            locations: [r"~ ^(?=/?)/(a|aa)+\1b$", "/"].map(location).into(),
        };
        let route = route(PathKind::Prefix, "/");
        let path = format!("/{}", "a".repeat(3000));
        for regex in [false, true] {
            let found = script.location(path.as_bytes(), &route, regex);
            assert!(found.is_err(), "{regex}");
        }
    }
}
