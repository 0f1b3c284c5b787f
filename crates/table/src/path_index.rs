//! Selects the route of a host that serves a path.
//!
//! Not a router library: paths are literal bytes, or regular expressions in an order of their own, and no pattern language of a
//! router (braces, wildcards) means the same. A lookup searches two sorted arrays along the segments of the request path,
//! without allocation.

mod keys;
mod routes;
mod tried;

pub use self::routes::Candidate;
pub use self::tried::Tried;

use std::collections::HashSet;
use std::sync::Arc;

use self::keys::Keys;
use self::routes::Routes;
use crate::{ConditionInput, Conditions, PathKind, Pattern, Route};

/// The routes of one host, ordered for lookup.
#[derive(Clone, Debug)]
pub struct PathIndex {
    matcher: Matcher,
    /// The route of `/`: serves what no other route matches.
    root: Arc<Route>,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Exact paths; those with a final slash again, without it; prefixes without their final slash.
    Literal {
        exact: Keys,
        slashless: Keys,
        prefix: Keys,
    },
    /// First match wins.
    Regex(Expressions),
    /// Exact paths, expressions, and prefixes without their final slash, in this order.
    Specific {
        exact: Keys,
        expressions: Expressions,
        prefix: Keys,
    },
}

/// Expressions with their routes, in the order in which they are tried.
type Expressions = Box<[(Arc<Pattern>, Routes)]>;

/// The result of a lookup.
#[derive(Clone, Copy, Debug)]
pub enum PathMatch<'t> {
    /// A route serves the path.
    Route(&'t Arc<Route>),
    /// The path of the route has a final slash, which the request path lacks: redirect to the path with a slash.
    AddSlash(&'t Arc<Route>),
    /// The step limit of an expression ended the search. No route may serve the path: the one that should may protect it.
    Undecided,
}

impl PathIndex {
    /// Index for literal paths. Candidates of the same kind and path (except for a final slash of a prefix) are tried in the
    /// given order; those after one without conditions are unreachable. An exact path with a final slash is also found without
    /// it, to be added, unless that is a path of its own (behaviour.md 2.3). `root` serves what no other route matches; a
    /// prefix route for `/` without conditions in `candidates` is ignored.
    pub fn literal(root: Arc<Route>, candidates: Vec<Candidate>) -> Self {
        let (exact, mut prefix): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| candidate.route.kind == PathKind::Exact);
        prefix.retain(|candidate| {
            !prefix_key(&candidate.route).is_empty() || !candidate.conditions.is_empty()
        });
        let prefixes: HashSet<&[u8]> = prefix.iter().map(|one| prefix_key(&one.route)).collect();
        let is_slashless = |route: &Route| {
            let key = route.path.strip_suffix('/').unwrap_or_default();
            !key.is_empty() && !prefixes.contains(key.as_bytes())
        };
        let slashless = exact.iter().filter(|one| is_slashless(&one.route));
        let slashless = slashless.cloned().collect();
        let matcher = Matcher::Literal {
            slashless: Keys::new(slashless, prefix_key),
            exact: Keys::new(exact, |route| route.path.as_bytes()),
            prefix: Keys::new(prefix, prefix_key),
        };
        Self { matcher, root }
    }

    /// Index for a host in regex mode. Each entry is the text that determines the order, its expression, and the route: longer
    /// text first, of equal length the lexicographically greater, and of the same text as given (behaviour.md 2.4).
    pub fn regex(root: Arc<Route>, mut entries: Vec<(Arc<str>, Arc<Pattern>, Candidate)>) -> Self {
        entries.sort_by(|(a, ..), (b, ..)| b.len().cmp(&a.len()).then_with(|| b.cmp(a)));
        let entries = entries
            .into_iter()
            .map(|(_, pattern, candidate)| (pattern, Routes::one(candidate)))
            .collect();
        Self {
            matcher: Matcher::Regex(entries),
            root,
        }
    }

    /// Index of a source whose routes are tried by how specific they are: exact paths, expressions with the longest first,
    /// prefixes with the longest first. Candidates of the same path are tried in the given order. A final slash of a prefix
    /// makes no difference, and none is ever added.
    pub fn specific(
        root: Arc<Route>,
        candidates: Vec<Candidate>,
        mut expressions: Vec<(Arc<Pattern>, Candidate)>,
    ) -> Self {
        let (exact, mut prefix): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|candidate| candidate.route.kind == PathKind::Exact);
        prefix.retain(|candidate| {
            !prefix_key(&candidate.route).is_empty() || !candidate.conditions.is_empty()
        });
        expressions.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.source().len()));
        let expressions = expressions.into_iter();
        let expressions = expressions.map(|(pattern, candidate)| (pattern, Routes::one(candidate)));
        Self {
            matcher: Matcher::Specific {
                exact: Keys::new(exact, |route| route.path.as_bytes()),
                expressions: expressions.collect(),
                prefix: Keys::new(prefix, prefix_key),
            },
            root,
        }
    }

    /// The route for `path` (decoded and normalised) of `request`. Where it meets the conditions of no route of a path, the next
    /// shorter prefix is tried.
    pub fn find(&self, path: &[u8], request: &dyn ConditionInput) -> PathMatch<'_> {
        match &self.matcher {
            Matcher::Literal {
                exact,
                slashless,
                prefix,
            } => {
                let exact = exact.first(path, request).map(PathMatch::Route);
                let slashless = || slashless.first(path, request).map(PathMatch::AddSlash);
                exact
                    .or_else(slashless)
                    .or_else(|| prefix.leading_segments(path, request))
                    .unwrap_or(PathMatch::Route(&self.root))
            }
            Matcher::Regex(entries) => {
                first_match(entries, path, request).unwrap_or(PathMatch::Route(&self.root))
            }
            Matcher::Specific {
                exact,
                expressions,
                prefix,
            } => {
                let exact = exact.first(path, request).map(PathMatch::Route);
                let prefix = || match prefix.leading_segments(path, request)? {
                    PathMatch::AddSlash(route) => Some(PathMatch::Route(route)),
                    found => Some(found),
                };
                exact
                    .or_else(|| first_match(expressions, path, request))
                    .or_else(prefix)
                    .unwrap_or(PathMatch::Route(&self.root))
            }
        }
    }

    /// The route of `/`.
    pub fn root(&self) -> &Arc<Route> {
        &self.root
    }

    /// Whether the host is in regex mode.
    pub fn is_regex(&self) -> bool {
        matches!(self.matcher, Matcher::Regex(_))
    }

    /// All paths (in regex mode: expressions) in the order in which they are tried, each with its route. The root is last.
    pub fn listing(&self) -> Vec<(&str, Option<&Conditions>, &Arc<Route>)> {
        let mut listing: Vec<_> = match &self.matcher {
            Matcher::Literal { exact, prefix, .. } => {
                exact.listing().chain(longest(prefix)).collect()
            }
            Matcher::Regex(entries) => expressions(entries).collect(),
            Matcher::Specific {
                exact,
                expressions: patterns,
                prefix,
            } => {
                let exact = exact.listing();
                exact
                    .chain(expressions(patterns))
                    .chain(longest(prefix))
                    .collect()
            }
        };
        listing.push((&*self.root.path, None, &self.root));
        listing
    }

    /// All routes in the order in which they are tried, the root last. In regex mode a route may occur twice.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.listing().into_iter().map(|(_, _, route)| route)
    }
}

/// A path or expression with the conditions of a route and the route.
type Listed<'i> = (&'i str, Option<&'i Conditions>, &'i Arc<Route>);

/// The candidates of expressions, in their order.
fn expressions(entries: &Expressions) -> impl Iterator<Item = Listed<'_>> {
    entries.iter().flat_map(|(pattern, routes)| {
        let candidates = routes.candidates().into_iter();
        candidates.map(|(conditions, route)| (pattern.source(), conditions, route))
    })
}

/// The candidates of prefixes, the longest first.
fn longest(prefix: &Keys) -> impl Iterator<Item = Listed<'_>> {
    let mut listed: Vec<_> = prefix.listing().collect();
    listed.sort_by_key(|(_, _, route)| std::cmp::Reverse(prefix_key(route).len()));
    listed.into_iter()
}

/// The route of the first expression that matches and whose conditions hold.
fn first_match<'i>(
    entries: &'i Expressions,
    path: &[u8],
    request: &dyn ConditionInput,
) -> Option<PathMatch<'i>> {
    entries
        .iter()
        .find_map(|(pattern, routes)| match pattern.decide(path) {
            Some(true) => routes.first(request).map(PathMatch::Route),
            Some(false) => None,
            None => Some(PathMatch::Undecided),
        })
}

fn prefix_key(route: &Route) -> &[u8] {
    let path = route.path.as_bytes();
    path.strip_suffix(b"/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::Origin;
    use crate::testing::route;

    fn found(kinds: &[(PathKind, &str)], path: &str) -> String {
        let routes = kinds
            .iter()
            .map(|(kind, path)| route(*kind, path).into())
            .collect();
        let index = PathIndex::literal(route(PathKind::Prefix, "/"), routes);
        match index.find(path.as_bytes(), &Method::GET) {
            PathMatch::Route(route) => format!("{:?} {}", route.kind, route.path),
            PathMatch::AddSlash(route) => format!("slash {}", route.path),
            PathMatch::Undecided => "undecided".to_owned(),
        }
    }

    #[test]
    fn exact_comes_before_prefix_and_longer_before_shorter() {
        use PathKind::{Exact, Prefix};
        let routes = [
            (Exact, "/foo"),
            (Prefix, "/foo"),
            (Prefix, "/foo/bar"),
            (Prefix, "/b/"),
        ];
        for (path, expected) in [
            ("/foo", "Exact /foo"),
            ("/foo/", "Prefix /foo"),
            ("/foo/x", "Prefix /foo"),
            ("/foo/bar", "Prefix /foo/bar"),
            ("/foo/bar/x/y", "Prefix /foo/bar"),
            ("/foo/barx", "Prefix /foo"),
            ("/foobar", "Prefix /"),
            ("/b", "slash /b/"),
            ("/b/c", "Prefix /b/"),
            ("/", "Prefix /"),
        ] {
            assert_eq!(found(&routes, path), expected, "{path}");
        }
    }

    #[test]
    fn an_exact_path_with_a_final_slash_redirects_the_path_without_it() {
        use PathKind::{Exact, Prefix};
        for (routes, path, expected) in [
            (&[(Exact, "/a/")][..], "/a", "slash /a/"),
            (&[(Exact, "/a/")], "/a/", "Exact /a/"),
            (&[(Exact, "/a/")], "/a/b", "Prefix /"),
            (&[(Exact, "/a/b/"), (Prefix, "/a")], "/a/b", "slash /a/b/"),
            (&[(Exact, "/a/"), (Exact, "/a")], "/a", "Exact /a"),
            (&[(Exact, "/a/"), (Prefix, "/a")], "/a", "Prefix /a"),
            (&[(Exact, "/a/"), (Prefix, "/a/")], "/a", "slash /a/"),
            (&[(Exact, "/")], "/", "Exact /"),
        ] {
            assert_eq!(found(routes, path), expected, "{path} of {routes:?}");
        }
    }

    #[test]
    fn the_first_of_equal_prefixes_wins() {
        use PathKind::Prefix;
        assert_eq!(found(&[(Prefix, "/a/"), (Prefix, "/a")], "/a"), "slash /a/");
        assert_eq!(found(&[(Prefix, "/a"), (Prefix, "/a/")], "/a"), "Prefix /a");
    }

    #[test]
    fn of_routes_with_conditions_the_first_that_holds_wins_else_a_shorter_prefix() {
        let with = |path: &str, method: Method| {
            let plain = route(PathKind::Prefix, path);
            let origin = Origin {
                port: method.as_str().into(),
                ..Origin::clone(&plain.origin)
            };
            Candidate {
                route: Arc::new(Route {
                    origin: Arc::new(origin),
                    ..Route::clone(&plain)
                }),
                conditions: Conditions {
                    method: Some(method),
                    ..Conditions::default()
                },
            }
        };
        let candidates = vec![
            with("/a/b", Method::GET),
            with("/a/b", Method::PUT),
            with("/a", Method::GET),
            route(PathKind::Prefix, "/a").into(),
            with("/", Method::POST),
        ];
        let index = PathIndex::literal(route(PathKind::Prefix, "/"), candidates);
        let find = |method: &Method, path: &str| match index.find(path.as_bytes(), method) {
            PathMatch::Route(route) | PathMatch::AddSlash(route) => {
                format!("{} {}", route.path, route.origin.port)
            }
            PathMatch::Undecided => "undecided".to_owned(),
        };
        assert_eq!(find(&Method::GET, "/a/b/c"), "/a/b GET");
        assert_eq!(find(&Method::PUT, "/a/b"), "/a/b PUT");
        assert_eq!(find(&Method::HEAD, "/a/b"), "/a 80");
        assert_eq!(find(&Method::GET, "/a/x"), "/a GET");
        assert_eq!(find(&Method::POST, "/x"), "/ POST");
        assert_eq!(find(&Method::GET, "/x"), "/ 80");
    }

    #[test]
    fn regex_mode_tries_longer_text_first() {
        let route = |path: &str| route(PathKind::Prefix, path);
        let entry = |path: &str| {
            let pattern =
                Pattern::case_insensitive(&format!("^{path}")).unwrap_or_else(|e| panic!("{e}"));
            (Arc::from(path), Arc::new(pattern), route(path).into())
        };
        let index = PathIndex::regex(
            route("/"),
            vec![entry("/foo/bar"), entry("/foo/.*"), entry("/foo/ba[rz]")],
        );
        let find = |path: &str| match index.find(path.as_bytes(), &Method::GET) {
            PathMatch::Route(route) | PathMatch::AddSlash(route) => route.path.to_string(),
            PathMatch::Undecided => "undecided".to_owned(),
        };
        assert_eq!(find("/FOO/bar"), "/foo/ba[rz]");
        assert_eq!(find("/foo/x"), "/foo/.*");
        assert_eq!(find("/x"), "/");
    }

    #[test]
    fn a_path_that_an_expression_cannot_decide_has_no_route() {
        let route = |path: &str| route(PathKind::Prefix, path);
        let entry = |path: &str, expression: &str| {
            let pattern = Pattern::new(expression).unwrap_or_else(|e| panic!("{e}"));
            (Arc::from(path), Arc::new(pattern), route(path).into())
        };
        let guarded = entry("/(?=a)guarded", "^/(?=a)(a|aa)+$(?!x)");
        let index = PathIndex::regex(route("/"), vec![guarded, entry("/open", "^/")]);
        let path = [b"/".as_slice(), &[b'a'; 200], b"b"].concat();
        let found = index.find(&path, &Method::GET);
        assert!(matches!(found, PathMatch::Undecided), "{found:?}");
        let found = index.find(b"/b", &Method::GET);
        assert!(
            matches!(found, PathMatch::Route(route) if *route.path == *"/open"),
            "{found:?}"
        );
    }
}
