//! `skip-access-log-urls`: requests that are not logged.

use std::sync::Arc;

use headgate_table::Pattern;
use http::Uri;

/// The last list of the settings, with compiled regular expressions.
#[derive(Default)]
pub(super) struct SkipList {
    source: Arc<[String]>,
    patterns: Vec<Pattern>,
}

impl SkipList {
    /// Whether `list` contains `target`, as in an nginx map: an entry is path and query as sent, ignoring case, or with `~`
    /// (`~*`: ignoring case) a regular expression. One that does not compile matches nothing.
    pub(super) fn matches(&mut self, list: &Arc<[String]>, target: &Uri) -> bool {
        if list.is_empty() {
            return false;
        }
        if !Arc::ptr_eq(&self.source, list) {
            self.source = list.clone();
            self.patterns = list.iter().filter_map(|entry| pattern(entry)).collect();
        }
        let uri = target.path_and_query().map_or("", |uri| uri.as_str());
        list.iter().any(|entry| entry.eq_ignore_ascii_case(uri))
            || self
                .patterns
                .iter()
                .any(|pattern| pattern.is_match(uri.as_bytes()))
    }
}

fn pattern(entry: &str) -> Option<Pattern> {
    let expression = entry.strip_prefix('~')?;
    let pattern = match expression.strip_prefix('*') {
        Some(expression) => Pattern::case_insensitive(expression),
        None => Pattern::new(expression),
    };
    pattern.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skipped(list: &[&str], target: &'static str) -> bool {
        let list: Arc<[String]> = list.iter().map(|entry| (*entry).to_owned()).collect();
        SkipList::default().matches(&list, &Uri::from_static(target))
    }

    #[test]
    fn entries_are_whole_uris_or_patterns() {
        assert!(skipped(&["/healthz"], "/healthz"));
        assert!(skipped(&["/healthz"], "http://shop.example/Healthz"));
        assert!(!skipped(&["/healthz"], "/healthz?full"));
        assert!(skipped(&["/a", "~^/static/"], "/static/x.css"));
        assert!(!skipped(&["~^/static/"], "/STATIC/x.css"));
        assert!(skipped(&["~*^/static/"], "/STATIC/x.css"));
        assert!(!skipped(&["~("], "/("));
        assert!(!skipped(&[], "/"));
    }

    #[test]
    fn a_new_list_replaces_the_old() {
        let mut skip = SkipList::default();
        let target = Uri::from_static("/static/x");
        let lists: [Arc<[String]>; 2] = [
            Arc::new(["~^/static/".to_owned()]),
            Arc::new(["~^/other/".to_owned()]),
        ];
        assert_eq!(
            lists.map(|list| skip.matches(&list, &target)),
            [true, false]
        );
    }
}
