//! Regular expressions of paths, header values, host names and certificate subjects.
//!
//! Manifests hold PCRE as nginx uses it: bytes without UTF, and letters of ASCII only. [`reader`] reads that dialect,
//! [`writer`] writes what it means for the engines here, and what they cannot match in the same way is refused by name; no
//! expression means something else. What the linear-time engine can express runs there. Look-around, back-references and atomic
//! groups run on a backtracking engine with a step limit, so that no request can take unbounded time.

mod bytes;
mod classes;
mod escapes;
mod groups;
mod node;
mod reader;
mod weight;
mod writer;

use std::fmt;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};

/// Bound on the compiled size of one expression, bytes (the default of the engine is ten times that).
const SIZE_LIMIT: usize = 1 << 20;
/// Bound on the lazily built automaton of one expression, bytes.
const DFA_SIZE_LIMIT: usize = 1 << 20;
/// Maximum steps of the backtracking engine for one match; beyond them the match is undecided.
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled regular expression, matched against bytes. `$` and `\Z` match at the very end only: before a final line feed, where
/// PCRE matches too, they would have to look ahead, and no request has such a text.
#[derive(Clone)]
pub struct Pattern {
    engine: Engine,
    names: Arc<[(String, usize)]>,
    source: String,
    insensitive: bool,
}

/// Which engine runs a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternKind {
    /// Linear in the length of the text.
    Linear,
    /// Backtracking, with a step limit.
    Backtracking,
}

#[derive(Clone)]
enum Engine {
    Linear(Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

/// Capture groups of a match, by number; group 0 is the whole match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    groups: Vec<Option<(usize, usize)>>,
    names: Arc<[(String, usize)]>,
}

/// The step limit of the backtracking engine ended a match: what the expression protects must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided;

/// Why text is not a usable regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl PatternError {
    fn new(message: &str) -> Self {
        Self(message.to_owned())
    }

    fn unsupported(construct: &str) -> Self {
        Self(format!("{construct} is not supported"))
    }
}

impl Pattern {
    /// Compiles `source`, case-sensitive.
    ///
    /// # Errors
    /// It is no expression of PCRE, has a construct that is not supported (the message names it), or compiles to more than 1 MiB.
    pub fn new(source: &str) -> Result<Self, PatternError> {
        Self::build(source, false)
    }

    /// Compiles `source`, case-insensitive.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn case_insensitive(source: &str) -> Result<Self, PatternError> {
        Self::build(source, true)
    }

    fn build(source: &str, insensitive: bool) -> Result<Self, PatternError> {
        let parsed = reader::read(source, insensitive)?;
        let text = writer::write(&parsed.node);
        let engine = if parsed.backtracks {
            Engine::Backtracking(Box::new(backtracking(&text)?))
        } else {
            Engine::Linear(linear(&text)?)
        };
        Ok(Self {
            engine,
            names: names(parsed.groups.names),
            source: source.to_owned(),
            insensitive,
        })
    }

    /// Whether the expression matches anywhere in `text`; false where the step limit ends the search.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.decide(text).unwrap_or(false)
    }

    /// The same, but `None` where the step limit ends the search: for what protects.
    pub fn decide(&self, text: &[u8]) -> Option<bool> {
        match &self.engine {
            Engine::Linear(regex) => Some(regex.is_match(text)),
            Engine::Backtracking(regex) => regex.is_match(text).ok(),
        }
    }

    /// The groups of the first match in `text`; none where the step limit ends the search.
    pub fn captures(&self, text: &[u8]) -> Option<Captures> {
        self.search(text).unwrap_or(None)
    }

    /// The groups of the first match in `text`: for what protects.
    ///
    /// # Errors
    /// The step limit ends the search.
    pub fn search(&self, text: &[u8]) -> Result<Option<Captures>, Undecided> {
        let groups: Option<Vec<_>> = match &self.engine {
            Engine::Linear(regex) => regex.captures(text).map(|found| {
                let groups = found.iter();
                groups
                    .map(|group| group.map(|m| (m.start(), m.end())))
                    .collect()
            }),
            Engine::Backtracking(regex) => {
                let found = regex.captures(text).map_err(|_| Undecided)?;
                found.map(|found| {
                    let groups = found.iter();
                    groups
                        .map(|group| group.map(|m| (m.start(), m.end())))
                        .collect()
                })
            }
        };
        Ok(groups.map(|groups| Captures {
            groups,
            names: self.names.clone(),
        }))
    }

    /// Whether it has a capture group of this name; letters of either case, as in variables.
    pub fn has_group(&self, name: &str) -> bool {
        let mut names = self.group_names();
        names.any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The names of its capture groups, lower-case.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// What an expression takes when it is compiled, beyond what is in proportion to its text: an estimate in bytes, made without
    /// compiling it. 0 for most, and for a text that is no expression.
    pub fn weight_of(source: &str) -> usize {
        // Its case does not matter: it adds a few ranges to sets.
        reader::read(source, false).map_or(0, |parsed| {
            weight::weight(&parsed.node, source.len(), parsed.backtracks)
        })
    }

    /// The source text of the expression.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Which engine runs it.
    pub fn kind(&self) -> PatternKind {
        match self.engine {
            Engine::Linear(_) => PatternKind::Linear,
            Engine::Backtracking(_) => PatternKind::Backtracking,
        }
    }
}

impl Captures {
    /// Group `number` in the matched `text`; `None` if the group did not take part in the match.
    pub fn group<'t>(&self, number: usize, text: &'t [u8]) -> Option<&'t [u8]> {
        let (start, end) = (*self.groups.get(number)?)?;
        text.get(start..end)
    }

    /// The group `name`, which is lower-case, in the matched `text`.
    pub fn named<'t>(&self, name: &str, text: &'t [u8]) -> Option<&'t [u8]> {
        let (_, number) = self.names.iter().find(|(known, _)| known == name)?;
        self.group(*number, text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.insensitive) == (&other.source, other.insensitive)
    }
}

/// Names of groups are names of variables, in which nginx ignores case.
fn names(groups: Vec<(String, usize)>) -> Arc<[(String, usize)]> {
    let lower = |(name, number): (String, usize)| (name.to_ascii_lowercase(), number);
    groups.into_iter().map(lower).collect()
}

fn linear(text: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(text)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(DFA_SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => PatternError(format!(
                "the expression compiles to more than {limit} bytes"
            )),
            error => PatternError(one_line(&error.to_string())),
        })
}

fn backtracking(text: &str) -> Result<fancy_regex::Regex, PatternError> {
    fancy_regex::RegexBuilder::new(text)
        .bytes_mode(fancy_regex::BytesMode::Ascii)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .delegate_dfa_size_limit(DFA_SIZE_LIMIT)
        .build()
        .map_err(|error| {
            let reason = one_line(&error.to_string());
            PatternError(format!(
                "not supported beside look-around, references or atomic groups: {reason}"
            ))
        })
}

/// The engine formats errors over several lines with a caret; the last line has the reason.
fn one_line(message: &str) -> String {
    message
        .lines()
        .next_back()
        .unwrap_or(message)
        .trim()
        .trim_start_matches("error: ")
        .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn groups_by_number_and_name() {
        let pattern = Pattern::case_insensitive("^/api(/|$)(?P<rest>.*)").unwrap();
        let text = b"/API/x";
        let captures = pattern.captures(text).unwrap();
        assert_eq!(captures.group(2, text), Some(&b"x"[..]));
        assert_eq!(captures.named("rest", text), Some(&b"x"[..]));
        assert_eq!(captures.group(9, text), None);
    }

    #[test]
    fn patterns_are_equal_if_they_match_the_same() {
        let pattern = Pattern::new("a").unwrap();
        assert_eq!(pattern, Pattern::new("a").unwrap());
        assert_ne!(pattern, Pattern::case_insensitive("a").unwrap());
    }

    #[test]
    fn look_around_runs_on_the_backtracking_engine() {
        let pattern = Pattern::new("^/(?!admin)").unwrap();
        assert_eq!(pattern.kind(), PatternKind::Backtracking);
        assert!(pattern.is_match(b"/shop"));
        assert!(!pattern.is_match(b"/admin"));
    }

    #[test]
    fn a_runaway_expression_is_stopped() {
        let pattern = Pattern::new(r"^(?=x?)(a+)+\1$").unwrap();
        assert!(!pattern.is_match(&[b'a'; 4000]) || pattern.kind() == PatternKind::Backtracking);
    }

    #[test]
    fn brackets_and_operators_in_a_class_stand_for_themselves() {
        for (source, matching, other) in [
            (r"/[A-Za-z0-9-._~:/?#[\]@!$&'()*+,;=]+$", "/abc", "/{"),
            ("/[a&&b]x", "/&x", "/cx"),
            ("/[a-z&&[^b]]x", "/a]x", "/ax"),
            ("/[*--]x", "/-x", "/ax"),
            ("[a~~b]", "~", "c"),
            (r"\<\>", "<>", ""),
            (r"a\h", "a\t", "af"),
            ("[[:alpha:]]", "x", ":"),
        ] {
            let pattern = Pattern::new(source).unwrap();
            assert!(pattern.is_match(matching.as_bytes()), "{source}");
            assert!(!pattern.is_match(other.as_bytes()), "{source}");
            assert_eq!(pattern.kind(), PatternKind::Linear);
        }
    }

    #[test]
    fn letters_beyond_ascii_have_no_case_and_are_bytes() {
        let pattern = Pattern::case_insensitive("^Äx+$").unwrap();
        assert!(pattern.is_match("ÄX".as_bytes()));
        assert!(!pattern.is_match("äX".as_bytes()));
        assert!(!Pattern::new(r"\w").unwrap().is_match("ä".as_bytes()));
    }

    #[test]
    fn what_cannot_be_translated_is_refused_by_name() {
        for (source, construct) in [
            (r"\pL", r"\p is not supported"),
            (r"a\Kb", r"\K is not supported"),
            ("(?|(a)|(b))", "(?|…)"),
            ("(a)?(?(1)b)", "(?(…)…) (a condition)"),
            ("(*COMMIT)a", "(*…) (a verb)"),
            ("(a(?1)?)", "(?1) (a subroutine)"),
            ("(?<=a+)b", "(?<=…)"),
            ("x{,3}", "{,n}"),
            (r"[a-\d]", "a range in a class"),
            ("[[.a.]]", "[.….]"),
            ("(a*)*", "(a*)*"),
            ("(?:a||b){2,}", "(a*)*"),
            ("(?:a?b??)+", "(a*)*"),
            ("(?=(a))*", "a look-around with a group"),
            ("a**", "a quantifier"),
            (r"\x{e4f6}", "bytes are matched"),
            (r"\2(a)(b)", "not closed before it"),
        ] {
            let message = Pattern::new(source).unwrap_err().to_string();
            assert!(message.contains(construct), "{source}: {message}");
        }
        let deep = format!("{}a{}", "(".repeat(251), ")".repeat(251));
        assert!(Pattern::new(&deep).is_err());
    }

    #[test]
    fn errors_have_their_reason_in_one_line() {
        let message = Pattern::new("/a(").unwrap_err().to_string();
        assert!(
            message.contains("unclosed group") && !message.contains('\n'),
            "{message}"
        );
        assert!(Pattern::new("(?:(?:a|b){500}){500}").is_err());
    }

    #[test]
    fn bytes_that_are_not_text_match_too() {
        assert!(Pattern::new("^/.x").unwrap().is_match(b"/\xffx"));
    }
}
