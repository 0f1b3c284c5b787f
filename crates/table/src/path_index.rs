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
    /// Exact paths; prefixes without their final slash.
    Literal { exact: Keys, prefix: Keys },
    /// First match wins.
    Regex(Box<[(Arc<Pattern>, Arc<Route>)]>),
}

/// Routes by a key, sorted by it. The keys lie together rather than in their routes: a search among thousands of hosts is
/// paid for in cache misses.
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
    route: Arc<Route>,
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
        let (exact, mut prefix): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .partition(|route| route.kind == PathKind::Exact);
        prefix.retain(|route| !prefix_key(route).is_empty());
        let matcher = Matcher::Literal {
            exact: Keys::new(exact, |route| route.path.as_bytes()),
            prefix: Keys::new(prefix, prefix_key),
        };
        Self { matcher, root }
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
            Matcher::Literal { exact, prefix } => {
                let found = exact.get(path).map(PathMatch::Route);
                found
                    .or_else(|| prefix.leading_segments(path))
                    .unwrap_or(PathMatch::Route(&self.root))
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

    /// The texts that are tried, in their order, each with its route: paths, or expressions in regex mode. The root last.
    pub fn listing(&self) -> Vec<(&str, &Arc<Route>)> {
        match &self.matcher {
            Matcher::Literal { .. } => {
                let routes = self.routes().into_iter();
                routes.map(|route| (&*route.path, route)).collect()
            }
            Matcher::Regex(entries) => {
                let entries = entries
                    .iter()
                    .map(|(pattern, route)| (pattern.source(), route));
                entries.chain([(&*self.root.path, &self.root)]).collect()
            }
        }
    }

    /// All routes in the order in which they are tried, the root last. A route may come twice in regex mode.
    pub fn routes(&self) -> Vec<&Arc<Route>> {
        let mut routes: Vec<_> = match &self.matcher {
            Matcher::Literal { exact, prefix } => {
                let mut prefix: Vec<_> = prefix.routes().collect();
                prefix.sort_by_key(|route| std::cmp::Reverse(prefix_key(route).len()));
                exact.routes().chain(prefix).collect()
            }
            Matcher::Regex(entries) => entries.iter().map(|(_, route)| route).collect(),
        };
        if !routes.iter().any(|route| Arc::ptr_eq(route, &self.root)) {
            routes.push(&self.root);
        }
        routes
    }
}

impl Keys {
    /// Of two routes with the same key, the first stays.
    fn new(mut routes: Vec<Arc<Route>>, key: impl Fn(&Route) -> &[u8]) -> Self {
        // The sort is stable, so that of equals the first is the one that is kept.
        routes.sort_by(|a, b| key(a).cmp(key(b)));
        routes.dedup_by(|b, a| key(a) == key(b));
        let mut text = Vec::new();
        let mut longest = 0;
        let mut entries = Vec::with_capacity(routes.len());
        for route in routes {
            let start = text.len();
            text.extend_from_slice(key(&route));
            longest = longest.max(text.len() - start);
            // An object is far smaller than 4 GiB, and so are all its paths.
            let (Ok(start), Ok(end)) = (u32::try_from(start), u32::try_from(text.len())) else {
                break;
            };
            entries.push(Entry { start, end, route });
        }
        Self {
            entries: entries.into(),
            text: text.into(),
            longest,
        }
    }

    fn routes(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.entries.iter().map(|entry| &entry.route)
    }

    fn get(&self, key: &[u8]) -> Option<&Arc<Route>> {
        let key_of = |entry: &Entry| {
            let span = entry.start as usize..entry.end as usize;
            self.text.get(span).unwrap_or_default()
        };
        let at = self
            .entries
            .binary_search_by(|entry| key_of(entry).cmp(key))
            .ok()?;
        self.entries.get(at).map(|entry| &entry.route)
    }

    /// Tries the leading segments of `path` from the longest that can match down.
    fn leading_segments(&self, path: &[u8]) -> Option<PathMatch<'_>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut end = path.len();
        loop {
            let segments = path.get(..end)?;
            if end <= self.longest
                && let Some(route) = self.get(segments)
            {
                let lacks_slash = end == path.len() && route.path.ends_with('/');
                return Some(if lacks_slash {
                    PathMatch::AddSlash(route)
                } else {
                    PathMatch::Route(route)
                });
            }
            // The next candidate ends before a slash, and is no longer than the longest key there is.
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
