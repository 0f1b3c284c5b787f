//! Requests that no host serves: `block-user-agents` and `block-referers`.
//!
//! The value is a comma list of entries of nginx's `map`. An entry may stand in quotes, and must if it contains a comma, a
//! brace or a semicolon: nginx would read something else.

use std::sync::Arc;

use headgate_table::{BlockList, BlockedTexts, Pattern};

use super::read::Source;
use super::security;
use crate::ingress::registry::excerpt;

/// The list; an entry that cannot be used closes every route.
pub(super) fn read(source: &mut Source<'_>) -> Option<Arc<BlockList>> {
    let list = BlockList {
        user_agents: source
            .parsed_or_close(&security::BLOCK_USER_AGENTS, parse)
            .unwrap_or_default(),
        referers: source
            .parsed_or_close(&security::BLOCK_REFERERS, parse)
            .unwrap_or_default(),
    };
    (!list.is_empty()).then(|| Arc::new(list))
}

/// # Errors
/// Which entry cannot be used, and why.
fn parse(text: &str) -> Result<BlockedTexts, String> {
    let mut blocked = BlockedTexts::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (entry, after) = next(rest)?;
        if let Some(entry) = entry {
            add(&mut blocked, &entry)?;
        }
        rest = after.trim_start();
    }
    Ok(blocked)
}

/// The next entry, without its quotes, and what follows its comma. `None`: nothing stands before the comma.
fn next(text: &str) -> Result<(Option<String>, &str), String> {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let (entry, rest) = text.split_once(',').unwrap_or((text, ""));
        return Ok((unquoted(entry.trim())?, rest));
    };
    let inside = text.get(1..).unwrap_or_default();
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let invalid = |reason: &str| Err(format!("entry {}: {reason}", shown(text)));
    let Some((entry, rest)) = end.and_then(|end| inside.split_at_checked(end)) else {
        return invalid("the quote at its start has no end");
    };
    let rest = rest.get(1..).unwrap_or_default().trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => Ok((Some(unescaped(entry)), rest)),
        None if rest.is_empty() => Ok((Some(unescaped(entry)), rest)),
        None => invalid("a comma must follow the quote at its end"),
    }
}

/// An entry without quotes; `None` if it is empty.
fn unquoted(entry: &str) -> Result<Option<String>, String> {
    let spaced = entry.contains(char::is_whitespace);
    let reserved = |c| matches!(c, ';' | '{' | '}') || (spaced && matches!(c, '"' | '\''));
    if entry.contains(reserved) {
        let shown = shown(entry);
        return Err(format!(
            "entry {shown}: the whole entry must stand in quotes"
        ));
    }
    Ok((!entry.is_empty()).then(|| unescaped(entry)))
}

/// A backslash hides quotes and itself and stands for control characters; before anything else it is one, as expressions need.
fn unescaped(entry: &str) -> String {
    let mut text = String::with_capacity(entry.len());
    let mut chars = entry.chars().peekable();
    while let Some(c) = chars.next() {
        let meant = match chars.peek() {
            Some(next @ ('"' | '\'' | '\\')) if c == '\\' => Some(*next),
            Some('t') if c == '\\' => Some('\t'),
            Some('r') if c == '\\' => Some('\r'),
            Some('n') if c == '\\' => Some('\n'),
            _ => None,
        };
        if meant.is_some() {
            chars.next();
        }
        text.push(meant.unwrap_or(c));
    }
    text
}

/// `~` and `~*` begin expressions; a backslash at the start hides that.
fn add(blocked: &mut BlockedTexts, entry: &str) -> Result<(), String> {
    let Some(expression) = entry.strip_prefix('~') else {
        blocked.add_text(entry.strip_prefix('\\').unwrap_or(entry));
        return Ok(());
    };
    let pattern = match expression.strip_prefix('*') {
        Some(expression) => Pattern::case_insensitive(expression),
        None => Pattern::new(expression),
    };
    let invalid = |error| format!("entry {} is no expression: {error}", shown(entry));
    blocked.add_pattern(entry, pattern.map_err(invalid)?);
    Ok(())
}

fn shown(entry: &str) -> String {
    format!("\"{}\"", excerpt(entry))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn entries(text: &str) -> Vec<String> {
        let blocked = parse(text).unwrap();
        blocked.entries().map(|entry| entry.into_owned()).collect()
    }

    #[test]
    fn entries_are_those_of_a_map() {
        for (text, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            (
                "Curl/8 , ~*bot,~Evil\\.[0-9]",
                &["curl/8", "~*bot", "~Evil\\.[0-9]"],
            ),
            ("~*it's", &["~*it's"]),
            ("Mozilla/4.0 (compatible)", &["mozilla/4.0 (compatible)"]),
            ("\"~a{1,2}; b\" , 'x'", &["x", "~a{1,2}; b"]),
            ("\"a\\\"b\\\\\",c", &["a\"b\\", "c"]),
            ("''", &[""]),
            ("\\~x", &["~x"]),
            ("~\\\\d", &["~\\d"]),
        ] {
            let mut expected: Vec<&str> = expected.to_vec();
            let mut found = entries(text);
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{text}");
        }
        assert!(parse("~*BOT").unwrap().contains(b"xbot"));
        assert!(!parse("~BOT").unwrap().contains(b"xbot"));
    }

    #[test]
    fn an_entry_that_nginx_would_read_otherwise_is_refused() {
        for (text, named) in [
            ("a, ~(bot", "~(bot"),
            ("~*a{1,2}", "~*a{1"),
            ("a; b", "a; b"),
            ("\"a", "a"),
            ("\"a\" b, c", "\" b"),
            ("~*\"a b\"", "~*"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("entry ") && error.contains(named), "{error}");
        }
    }
}
