//! Routes by literal paths.

use std::sync::Arc;

use super::routes::Routes;
use super::{Candidate, Listed, PathMatch};
use crate::{ConditionInput, Route};

/// Routes by a key, sorted by it. The keys are stored together rather than in their routes: with thousands of hosts a search
/// is dominated by cache misses.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
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

impl Keys {
    pub(super) fn new(mut candidates: Vec<Candidate>, key: impl Fn(&Route) -> &[u8]) -> Self {
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

    pub(super) fn listing(&self) -> impl Iterator<Item = Listed<'_>> {
        let candidates = self
            .entries
            .iter()
            .flat_map(|entry| entry.routes.candidates());
        candidates.map(|(conditions, route)| (&*route.path, conditions, route))
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

    pub(super) fn first(&self, key: &[u8], request: &dyn ConditionInput) -> Option<&Arc<Route>> {
        self.get(key)?.first(request)
    }

    /// Tries the leading segments of `path`, the longest that can match first.
    pub(super) fn leading_segments(
        &self,
        path: &[u8],
        request: &dyn ConditionInput,
    ) -> Option<PathMatch<'_>> {
        if self.entries.is_empty() {
            return None;
        }
        let mut end = path.len();
        loop {
            let segments = path.get(..end)?;
            if end <= self.longest
                && let Some(route) = self.get(segments).and_then(|routes| routes.first(request))
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
