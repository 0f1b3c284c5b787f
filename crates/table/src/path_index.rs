//! Selects the route of a host that serves a path.
//!
//! Not a router library: paths are literal bytes, or regular expressions in an order of their own, and no pattern language of a
//! router (braces, wildcards) means the same. A lookup searches two sorted arrays along the segments of the request path,
//! without allocation.

mod tried;

pub use self::tried::Tried;

use std::collections::HashSet;
use std::sync::Arc;

use crate::{Conditions, PathKind, Pattern, Route};

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
    Regex(Box<[(Arc<Pattern>, Routes)]>),
}

/// A route for the index, with its conditions besides the path.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The route.
    pub route: Arc<Route>,
    /// Further conditions that a request must meet.
    pub conditions: Conditions,
}

/// Routes by a key, sorted by it. The keys are stored together rather than in their routes: with thousands of hosts a search
/// is dominated by cache misses.
#[derive(Clone, Debug, Default)]
struct Keys {
    entries: Box<[Entry]>,
    text: Box<[u8]>,
    /// Length of the longest key.
    longest: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    start: u32,
    end: u32,
    routes: Routes,
}

/// The routes of one key.
#[derive(Clone, Debug)]
enum Routes {
    /// One without conditions: the common case.
    One(Arc<Route>),
    /// The first whose conditions hold; only the last can be without conditions.
    Ordered(Box<[Candidate]>),
}

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

impl From<Arc<Route>> for Candidate {
    /// Without conditions.
    fn from(route: Arc<Route>) -> Self {
        Self {
            route,
            conditions: Conditions::default(),
        }
    }
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

    /// The route for `path` (decoded and normalised). `holds` evaluates conditions for the request; where they hold for no route
    /// of a path, the next shorter prefix is tried.
    pub fn find(&self, path: &[u8], holds: impl Fn(&Conditions) -> bool) -> PathMatch<'_> {
        match &self.matcher {
            Matcher::Literal {
                exact,
                slashless,
                prefix,
            } => {
                let exact = exact.first(path, &holds).map(PathMatch::Route);
                let slashless = || slashless.first(path, &holds).map(PathMatch::AddSlash);
                exact
                    .or_else(slashless)
                    .or_else(|| prefix.leading_segments(path, &holds))
                    .unwrap_or(PathMatch::Route(&self.root))
            }
            Matcher::Regex(entries) => {
                let found =
                    entries
                        .iter()
                        .find_map(|(pattern, routes)| match pattern.decide(path) {
                            Some(true) => routes.first(&holds).map(PathMatch::Route),
                            Some(false) => None,
                            None => Some(PathMatch::Undecided),
                        });
                found.unwrap_or(PathMatch::Route(&self.root))
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
                let mut prefix: Vec<_> = prefix.candidates().collect();
                prefix.sort_by_key(|(_, route)| std::cmp::Reverse(prefix_key(route).len()));
                let all = exact.candidates().chain(prefix);
                all.map(|(conditions, route)| (&*route.path, conditions, route))
                    .collect()
            }
            Matcher::Regex(entries) => entries
                .iter()
                .flat_map(|(pattern, routes)| {
                    let candidates = routes.candidates().into_iter();
                    candidates.map(|(conditions, route)| (pattern.source(), conditions, route))
                })
                .collect(),
        };
        listing.push((&*self.root.path, None, &self.root));
        listing
    }

    /// All routes in the order in which they are tried, the root last. In regex mode a route may occur twice.
    pub fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.listing().into_iter().map(|(_, _, route)| route)
    }
}

impl Routes {
    fn one(candidate: Candidate) -> Self {
        if candidate.conditions.is_empty() {
            Self::One(candidate.route)
        } else {
            Self::Ordered([candidate].into())
        }
    }

    /// `first`, then `others` up to the first one without conditions.
    fn new(first: Candidate, others: Vec<Candidate>) -> Self {
        if first.conditions.is_empty() || others.is_empty() {
            return Self::one(first);
        }
        let mut all = vec![first];
        for candidate in others {
            let is_last = candidate.conditions.is_empty();
            all.push(candidate);
            if is_last {
                break;
            }
        }
        Self::Ordered(all.into())
    }

    fn first(&self, holds: &impl Fn(&Conditions) -> bool) -> Option<&Arc<Route>> {
        match self {
            Self::One(route) => Some(route),
            Self::Ordered(candidates) => {
                let mut candidates = candidates.iter();
                let found = candidates.find(|candidate| {
                    candidate.conditions.is_empty() || holds(&candidate.conditions)
                });
                found.map(|candidate| &candidate.route)
            }
        }
    }

    fn candidates(&self) -> Vec<(Option<&Conditions>, &Arc<Route>)> {
        match self {
            Self::One(route) => vec![(None, route)],
            Self::Ordered(list) => {
                let list = list.iter();
                list.map(|one| (Some(&one.conditions), &one.route))
                    .collect()
            }
        }
    }
}

impl Keys {
    fn new(mut candidates: Vec<Candidate>, key: impl Fn(&Route) -> &[u8]) -> Self {
        // The sort is stable, so that routes of one key keep their order.
        candidates.sort_by(|a, b| key(&a.route).cmp(key(&b.route)));
        let mut text = Vec::new();
        let mut longest = 0;
        let mut entries = Vec::with_capacity(candidates.len());
        let mut candidates = candidates.into_iter().peekable();
        while let Some(first) = candidates.next() {
            let start = text.len();
            text.extend_from_slice(key(&first.route));
            longest = longest.max(text.len() - start);
            // All paths of a host are together far smaller than 4 GiB.
            let (Ok(from), Ok(to)) = (u32::try_from(start), u32::try_from(text.len())) else {
                break;
            };
            let mut others = Vec::new();
            while let Some(next) =
                candidates.next_if(|next| text.get(start..) == Some(key(&next.route)))
            {
                others.push(next);
            }
            entries.push(Entry {
                start: from,
                end: to,
                routes: Routes::new(first, others),
            });
        }
        entries.shrink_to_fit();
        Self {
            entries: entries.into(),
            text: text.into(),
            longest,
        }
    }

    fn candidates(&self) -> impl Iterator<Item = (Option<&Conditions>, &Arc<Route>)> {
        self.entries
            .iter()
            .flat_map(|entry| entry.routes.candidates())
    }

    fn get(&self, key: &[u8]) -> Option<&Routes> {
        let key_of = |entry: &Entry| {
            let span = entry.start as usize..entry.end as usize;
            self.text.get(span).unwrap_or_default()
        };
        let at = self
            .entries
            .binary_search_by(|entry| key_of(entry).cmp(key))
            .ok()?;
        self.entries.get(at).map(|entry| &entry.routes)
    }

    fn first(&self, key: &[u8], holds: &impl Fn(&Conditions) -> bool) -> Option<&Arc<Route>> {
        self.get(key)?.first(holds)
    }

    /// Tries the leading segments of `path`, the longest that can match first.
    fn leading_segments(
        &self,
        path: &[u8],
        holds: &impl Fn(&Conditions) -> bool,
    ) -> Option<PathMatch<'_>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut end = path.len();
        loop {
            let segments = path.get(..end)?;
            if end <= self.longest
                && let Some(route) = self.get(segments).and_then(|routes| routes.first(holds))
            {
                let lacks_slash = end == path.len() && route.path.ends_with('/');
                return Some(if lacks_slash {
                    PathMatch::AddSlash(route)
                } else {
                    PathMatch::Route(route)
                });
            }
            // The next candidate ends before a slash and is no longer than the longest key.
            let window = segments.get(..end.min(self.longest.saturating_add(1)))?;
            end = memchr::memrchr(b'/', window)?;
        }
    }
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
        match index.find(path.as_bytes(), |_| false) {
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
        let find = |method: &Method, path: &str| {
            let holds = |conditions: &Conditions| conditions.method.as_ref() == Some(method);
            match index.find(path.as_bytes(), holds) {
                PathMatch::Route(route) | PathMatch::AddSlash(route) => {
                    format!("{} {}", route.path, route.origin.port)
                }
                PathMatch::Undecided => "undecided".to_owned(),
            }
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
        let find = |path: &str| match index.find(path.as_bytes(), |_| false) {
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
        let found = index.find(&path, |_| false);
        assert!(matches!(found, PathMatch::Undecided), "{found:?}");
        let found = index.find(b"/b", |_| false);
        assert!(
            matches!(found, PathMatch::Route(route) if *route.path == *"/open"),
            "{found:?}"
        );
    }
}
