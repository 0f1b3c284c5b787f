//! Regular expressions of paths, header values and host names.
//!
//! Manifests hold PCRE. What the linear-time engine can express runs there; look-around and back-references run on a
//! backtracking engine with a step limit, so that no request can take unbounded time.

use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

/// Bound on the compiled size of one expression, bytes (the default of the engine is ten times that).
const SIZE_LIMIT: usize = 1 << 20;
/// Bound on the lazily built automaton of one expression, bytes.
const DFA_SIZE_LIMIT: usize = 1 << 20;
/// Maximum steps of the backtracking engine for one match; beyond them the expression does not match.
const BACKTRACK_LIMIT: usize = 100_000;

/// A compiled regular expression, matched against bytes.
#[derive(Clone)]
pub struct Pattern {
    engine: Engine,
    source: String,
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
#[derive(Clone, Debug, Default)]
pub struct Captures {
    groups: Vec<Option<(usize, usize)>>,
    names: Vec<(String, usize)>,
}

/// Why text is not a usable regular expression.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl Pattern {
    /// Compiles `source`, case-sensitive.
    ///
    /// # Errors
    /// Neither engine accepts the text, or it compiles to more than 1 MiB.
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
        let linear =
            linear(source, insensitive, false).or_else(|_| linear(source, insensitive, true));
        let engine = match linear {
            Ok(regex) => Engine::Linear(regex),
            Err(regex::Error::CompiledTooBig(limit)) => {
                return Err(PatternError(format!(
                    "the expression compiles to more than {limit} bytes"
                )));
            }
            Err(reason) => Engine::Backtracking(Box::new(
                backtracking(source, insensitive)
                    .map_err(|_| PatternError(one_line(&reason.to_string())))?,
            )),
        };
        Ok(Self {
            engine,
            source: source.to_owned(),
        })
    }

    /// Whether the expression matches anywhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => {
                std::str::from_utf8(text).is_ok_and(|text| regex.is_match(text).unwrap_or(false))
            }
        }
    }

    /// The groups of the first match in `text`.
    pub fn captures(&self, text: &[u8]) -> Option<Captures> {
        match &self.engine {
            Engine::Linear(regex) => {
                let found = regex.captures(text)?;
                Some(Captures {
                    groups: found
                        .iter()
                        .map(|group| group.map(|m| (m.start(), m.end())))
                        .collect(),
                    names: named(regex.capture_names()),
                })
            }
            Engine::Backtracking(regex) => {
                let text = std::str::from_utf8(text).ok()?;
                let found = regex.captures(text).ok()??;
                Some(Captures {
                    groups: found
                        .iter()
                        .map(|group| group.map(|m| (m.start(), m.end())))
                        .collect(),
                    names: named(regex.capture_names()),
                })
            }
        }
    }

    /// Whether it has a capture group of this name.
    pub fn has_group(&self, name: &str) -> bool {
        match &self.engine {
            Engine::Linear(regex) => regex.capture_names().flatten().any(|known| known == name),
            Engine::Backtracking(regex) => {
                regex.capture_names().flatten().any(|known| known == name)
            }
        }
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

    /// The group `name` in the matched `text`.
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
        self.source == other.source
    }
}

/// `unicode` is tried off first: bytes are matched, as by PCRE without UTF. Classes of non-ASCII characters need it.
fn linear(source: &str, insensitive: bool, unicode: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(source)
        .case_insensitive(insensitive)
        .unicode(unicode)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(DFA_SIZE_LIMIT)
        .build()
}

fn backtracking(
    source: &str,
    insensitive: bool,
) -> Result<fancy_regex::Regex, Box<fancy_regex::Error>> {
    fancy_regex::RegexBuilder::new(source)
        .case_insensitive(insensitive)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .delegate_dfa_size_limit(DFA_SIZE_LIMIT)
        .build()
        .map_err(Box::new)
}

fn named<'n>(names: impl Iterator<Item = Option<&'n str>>) -> Vec<(String, usize)> {
    names
        .enumerate()
        .filter_map(|(number, name)| Some((name?.to_owned(), number)))
        .collect()
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
    fn errors_have_their_reason_in_one_line() {
        let message = Pattern::new("/a(").unwrap_err().to_string();
        assert!(
            message.contains("unclosed group") && !message.contains('\n'),
            "{message}"
        );
        assert!(Pattern::new(&format!("({})", "(a|b){500}{500}")).is_err());
    }

    #[test]
    fn bytes_that_are_not_text_match_too() {
        assert!(Pattern::new("^/.x").unwrap().is_match(b"/\xffx"));
    }
}
