//! Requests that no host serves, by their `User-Agent` and `Referer`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::Pattern;

/// Which requests get a 403 response before a route is looked up (behaviour.md 5.1). Default: none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockList {
    /// By `User-Agent`.
    pub user_agents: BlockedTexts,
    /// By `Referer`.
    pub referers: BlockedTexts,
}

impl BlockList {
    /// Whether it blocks nothing.
    pub fn is_empty(&self) -> bool {
        self.user_agents.is_empty() && self.referers.is_empty()
    }
}

/// A set of texts, as the entries of nginx's `map` describe it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockedTexts {
    /// Whole texts, in lower case: they are compared without regard to case.
    exact: BTreeSet<Vec<u8>>,
    /// With their entries as written.
    patterns: Vec<(String, Pattern)>,
}

impl BlockedTexts {
    /// Adds one whole text. An absent field counts as an empty one.
    pub fn add_text(&mut self, text: &str) {
        self.exact.insert(text.to_ascii_lowercase().into_bytes());
    }

    /// Adds everything that the `pattern` of `entry` matches. An empty text matches none.
    pub fn add_pattern(&mut self, entry: &str, pattern: Pattern) {
        self.patterns.push((entry.to_owned(), pattern));
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.patterns.is_empty()
    }

    /// Whether `text` is in it.
    pub fn contains(&self, text: &[u8]) -> bool {
        if !self.exact.is_empty() && self.exact.contains(&text.to_ascii_lowercase()) {
            return true;
        }
        !text.is_empty()
            && self
                .patterns
                .iter()
                // Without a decision, the text is not let through.
                .any(|(_, pattern)| pattern.decide(text).unwrap_or(true))
    }

    /// The whole texts in lower case, sorted, and the entries of expressions.
    pub fn entries(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let exact = self.exact.iter().map(|text| String::from_utf8_lossy(text));
        let patterns = self.patterns.iter();
        exact.chain(patterns.map(|(entry, _)| entry.as_str().into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn texts_are_whole_and_of_any_case_and_patterns_match_anywhere() {
        let mut blocked = BlockedTexts::default();
        assert!(blocked.is_empty() && !blocked.contains(b""));
        blocked.add_text("Curl/8");
        blocked.add_pattern("~Evil[0-9]", Pattern::new("Evil[0-9]").unwrap());
        blocked.add_pattern("~*bot", Pattern::case_insensitive("bot").unwrap());
        for (text, expected) in [
            ("curl/8", true),
            ("CURL/8", true),
            ("curl/8.1", false),
            ("x Evil1 x", true),
            ("x evil1 x", false),
            ("GoogleBOT", true),
            ("", false),
        ] {
            assert_eq!(blocked.contains(text.as_bytes()), expected, "{text}");
        }
        let entries: Vec<_> = blocked.entries().collect();
        assert_eq!(entries, ["curl/8", "~Evil[0-9]", "~*bot"]);
    }

    #[test]
    fn an_empty_text_is_only_in_a_set_that_names_it() {
        let mut blocked = BlockedTexts::default();
        blocked.add_pattern("~.*", Pattern::new(".*").unwrap());
        assert!(!blocked.contains(b""));
        blocked.add_text("");
        assert!(blocked.contains(b""));
    }

    #[test]
    fn bytes_that_are_not_text_are_no_way_around() {
        let mut blocked = BlockedTexts::default();
        blocked.add_pattern("~bot(?!tle)", Pattern::new("bot(?!tle)").unwrap());
        assert!(blocked.contains(b"bot\xff") && !blocked.contains(b"bottle\xff"));
    }

    #[test]
    fn a_text_that_an_expression_cannot_decide_is_blocked() {
        let mut blocked = BlockedTexts::default();
        let runaway = Pattern::new("^(?=a)(a|aa)+$(?!x)").unwrap();
        let text = [[b'a'; 200].as_slice(), b"b"].concat();
        assert_eq!(runaway.decide(&text), None);
        blocked.add_pattern("~runaway", runaway);
        assert!(blocked.contains(&text));
    }
}
