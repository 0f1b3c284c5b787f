//! Rust source reduced to what the checks need: code without comments, literals and tests, and the paths in it.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Comments, strings and characters. A lifetime has no second quote, so it does not match.
static NO_CODE: LazyLock<Regex> = LazyLock::new(|| {
    let comments = r"//[^\n]*|/\*.*?\*/";
    let strings = r##"\br#".*?"#|\bbr#".*?"#|\bb?r"[^"]*"|"(?:\\.|[^"\\])*""##;
    let characters = r"'(?:\\.[^']*|[^\\'])'";
    Regex::new(&format!("(?s){comments}|{strings}|{characters}")).unwrap()
});

/// The beginning of a path to another module, with all keywords that lead upwards.
static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b(?:crate|(?:self::)?super)::").unwrap());

/// A path, and the name that a `use` gives it: its own last one, mostly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Where it begins, in bytes.
    pub(crate) at: usize,
    pub(crate) segments: Vec<String>,
    pub(crate) name: String,
}

/// The files of a directory at any depth, in order.
///
/// # Panics
/// When there is no such directory.
pub(crate) fn files(directory: &std::path::Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let open = |path: PathBuf| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    };
    paths.into_iter().flat_map(open).collect()
}

/// The code without comments, literals and test-only items. Every line keeps its number.
pub(crate) fn code(text: &str) -> String {
    let code = NO_CODE.replace_all(text, |found: &Captures<'_>| blank(&found[0]));
    without_tests(&code)
}

/// The paths that begin with `crate` or `super`.
pub(crate) fn paths(code: &str) -> Vec<Path> {
    let mut found = Vec::new();
    for start in PATH.find_iter(code) {
        // The second one of `super::super::` is part of the path that the first one began.
        if !code[..start.start()].ends_with("::") {
            expand(&code[start.start()..], start.start(), &[], &mut found);
        }
    }
    found
}

/// Adds the full paths of the `use` at the start of `text` and returns the rest of the text.
pub(crate) fn expand<'a>(
    text: &'a str,
    at: usize,
    before: &[String],
    found: &mut Vec<Path>,
) -> &'a str {
    let mut segments = before.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(group) = rest.strip_prefix('{') {
            return expand_group(group, at, &segments, found);
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let (segment, after) = rest.split_at(end.unwrap_or(rest.len()));
        segments.push(segment.to_owned());
        match after.strip_prefix("::") {
            Some(deeper) if !deeper.starts_with('<') => rest = deeper,
            _ => {
                rest = after;
                break;
            }
        }
    }
    let mut name = segments.last().cloned().unwrap_or_default();
    if let Some(renamed) = rest.strip_prefix(" as ") {
        let end = renamed.find(|c: char| !c.is_alphanumeric() && c != '_');
        let (alias, after) = renamed.split_at(end.unwrap_or(renamed.len()));
        name = alias.to_owned();
        rest = after;
    }
    found.push(Path { at, segments, name });
    rest
}

fn expand_group<'a>(
    group: &'a str,
    at: usize,
    before: &[String],
    found: &mut Vec<Path>,
) -> &'a str {
    let mut rest = group.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('}') {
            return after;
        }
        let after = expand(rest, at, before, found).trim_start();
        rest = after.strip_prefix(',').unwrap_or(after).trim_start();
    }
    rest
}

/// Blanks each item with `#[cfg(test)]`, up to its `;` or closing brace.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some(start) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(start);
        let (item, after) = item.split_at(item_length(item));
        kept.push_str(before);
        kept.push_str(&blank(item));
        rest = after;
    }
    kept + rest
}

fn item_length(item: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in item.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    item.len()
}

/// The text with every character but line breaks replaced by a space.
fn blank(text: &str) -> String {
    let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
    text.chars().map(blank).collect()
}
