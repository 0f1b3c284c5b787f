//! Which route of a host a path belongs to.
//!
//! Not a pattern router: Ingress paths are literal bytes, or regular expressions in an order of their own, and no router
//! library's pattern language (braces, wildcards) means the same. Two sorted arrays and a walk over the request's
//! segments do it, without allocation and with 8 bytes a route.

use std::sync::Arc;

use crate::{PathKind, Pattern, Route};

/// The routes of one host, ordered for lookup.
#[derive(Clone, Debug)]
pub struct PathIndex {
    matcher: Matcher,
    /// The route of `/`: takes what nothing else takes.
    root: Arc<Route>,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Exact paths by path; prefixes by path without its final slash.
    Literal {
        exact: Box<[Arc<Route>]>,
        prefix: Box<[Arc<Route>]>,
        longest_prefix: usize,
    },
    /// First match wins.
    Regex(Box<[(Arc<Pattern>, Arc<Route>)]>),
}

/// What a path belongs to.
#[derive(Clone, Copy, Debug)]
pub enum PathMatch<'t> {
    /// A route.
    Route(&'t Arc<Route>),
    /// A prefix that is declared with a final slash, which the request lacks: redirect to the path with a slash.
    AddSlash(&'t Arc<Route>),
}

impl PathIndex {
    /// Index for literal paths. Of two routes with the same kind and path (a final slash of a prefix aside) the first wins.
    /// `root` takes what no other route takes; a prefix route for `/` in `routes` is left aside.
    pub fn literal(root: Arc<Route>, routes: Vec<Arc<Route>>) -> Self {
        let (mut exact, mut prefix): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .partition(|route| route.kind == PathKind::Exact);
        prefix.retain(|route| !prefix_key(route).is_empty());
        // Stable sorts: of equals, the first stays first and is kept.
        exact.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        exact.dedup_by(|b, a| a.path == b.path);
        prefix.sort_by(|a, b| prefix_key(a).cmp(prefix_key(b)));
        prefix.dedup_by(|b, a| prefix_key(a) == prefix_key(b));
        let longest_prefix = prefix
            .iter()
            .map(|route| prefix_key(route).len())
            .max()
            .unwrap_or(0);
        Self {
            matcher: Matcher::Literal {
                exact: exact.into(),
                prefix: prefix.into(),
                longest_prefix,
            },
            root,
        }
    }

    /// Index for a host in regex mode. `entries` are the text that decides the order, its expression, and the route:
    /// longer text first, of equal length the lexicographically greater (ingress-nginx reference 2.4).
    pub fn regex(root: Arc<Route>, mut entries: Vec<(Arc<str>, Arc<Pattern>, Arc<Route>)>) -> Self {
        entries.sort_by(|(a, ..), (b, ..)| b.len().cmp(&a.len()).then_with(|| b.cmp(a)));
        let entries = entries
            .into_iter()
            .map(|(_, pattern, route)| (pattern, route))
            .collect();
        Self {
            matcher: Matcher::Regex(entries),
            root,
        }
    }

    /// What `path` (decoded and normalised) belongs to.
    pub fn find(&self, path: &[u8]) -> PathMatch<'_> {
        match &self.matcher {
            Matcher::Literal {
                exact,
                prefix,
                longest_prefix,
            } => {
                if let Ok(at) = exact.binary_search_by(|route| route.path.as_bytes().cmp(path)) {
                    return exact
                        .get(at)
                        .map_or(PathMatch::Route(&self.root), PathMatch::Route);
                }
                find_prefix(prefix, *longest_prefix, path).unwrap_or(PathMatch::Route(&self.root))
            }
            Matcher::Regex(entries) => {
                let found = entries.iter().find(|(pattern, _)| pattern.is_match(path));
                PathMatch::Route(found.map_or(&self.root, |(_, route)| route))
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

    /// All routes in the order in which they are tried, the root last. A route may come twice in regex mode.
    pub fn routes(&self) -> Vec<&Arc<Route>> {
        let mut routes: Vec<_> = match &self.matcher {
            Matcher::Literal { exact, prefix, .. } => {
                let mut prefix: Vec<_> = prefix.iter().collect();
                prefix.sort_by_key(|route| std::cmp::Reverse(prefix_key(route).len()));
                exact.iter().chain(prefix).collect()
            }
            Matcher::Regex(entries) => entries.iter().map(|(_, route)| route).collect(),
        };
        if !routes.iter().any(|route| Arc::ptr_eq(route, &self.root)) {
            routes.push(&self.root);
        }
        routes
    }
}

/// Tries the leading segments of `path` from the longest that can match down.
fn find_prefix<'t>(routes: &'t [Arc<Route>], longest: usize, path: &[u8]) -> Option<PathMatch<'t>> {
    if routes.is_empty() {
        return None;
    }
    let mut end = path.len();
    loop {
        let segments = path.get(..end)?;
        if end <= longest
            && let Ok(at) = routes.binary_search_by(|route| prefix_key(route).cmp(segments))
        {
            let route = routes.get(at)?;
            let lacks_slash = end == path.len() && route.path.ends_with('/');
            return Some(if lacks_slash {
                PathMatch::AddSlash(route)
            } else {
                PathMatch::Route(route)
            });
        }
        // The next candidate ends before a slash, and is no longer than the longest prefix there is.
        let window = segments.get(..end.min(longest.saturating_add(1)))?;
        end = memchr::memrchr(b'/', window)?;
    }
}

fn prefix_key(route: &Route) -> &[u8] {
    let path = route.path.as_bytes();
    path.strip_suffix(b"/").unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::route;

    fn found(kinds: &[(PathKind, &str)], path: &str) -> String {
        let routes = kinds
            .iter()
            .map(|(kind, path)| route(*kind, path))
            .collect();
        let index = PathIndex::literal(route(PathKind::Prefix, "/"), routes);
        match index.find(path.as_bytes()) {
            PathMatch::Route(route) => format!("{:?} {}", route.kind, route.path),
            PathMatch::AddSlash(route) => format!("slash {}", route.path),
        }
    }

    #[test]
    fn exact_goes_before_prefix_and_longer_before_shorter() {
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
    fn the_first_of_equal_prefixes_wins() {
        use PathKind::Prefix;
        assert_eq!(found(&[(Prefix, "/a/"), (Prefix, "/a")], "/a"), "slash /a/");
        assert_eq!(found(&[(Prefix, "/a"), (Prefix, "/a/")], "/a"), "Prefix /a");
    }

    #[test]
    fn regex_mode_tries_longer_text_first() {
        let route = |path: &str| route(PathKind::Prefix, path);
        let entry = |path: &str| {
            let pattern =
                Pattern::case_insensitive(&format!("^{path}")).unwrap_or_else(|e| panic!("{e}"));
            (Arc::from(path), Arc::new(pattern), route(path))
        };
        let index = PathIndex::regex(
            route("/"),
            vec![entry("/foo/bar"), entry("/foo/.*"), entry("/foo/ba[rz]")],
        );
        let find = |path: &str| match index.find(path.as_bytes()) {
            PathMatch::Route(route) | PathMatch::AddSlash(route) => route.path.to_string(),
        };
        assert_eq!(find("/FOO/bar"), "/foo/ba[rz]");
        assert_eq!(find("/foo/x"), "/foo/.*");
        assert_eq!(find("/x"), "/");
    }
}
