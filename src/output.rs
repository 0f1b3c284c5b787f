//! What commands print.

pub(crate) mod text;

use std::borrow::Cow;
use std::io::{ErrorKind, Write as _};

use anyhow::{Context as _, Result};
use headgate_compile::Finding;
use serde_json::{Value, json};

/// Writes `text` to standard output, without its colours where that is no terminal.
///
/// # Errors
/// When it cannot be written, unless the reader has seen enough.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = anstream::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing the output"),
    }
}

/// `text` with everything escaped that moves the cursor of a terminal, begins a line, or turns the direction of writing.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let escaped = text.chars().map(|c| match is_unsafe(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    escaped.collect::<String>().into()
}

fn is_unsafe(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A value with [`plain`] texts.
pub(crate) fn plain_json(value: &Value) -> Value {
    match value {
        Value::String(text) => plain(text).into(),
        Value::Array(list) => list.iter().map(plain_json).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            fields
                .map(|(name, value)| (name.clone(), plain_json(value)))
                .collect()
        }
        other => other.clone(),
    }
}

/// A finding as JSON.
pub(crate) fn finding(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.as_str(),
        "object": finding.subject.to_string(),
        "field": &*finding.field,
        "message": &*finding.message,
    })
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn foreign_text_stays_on_its_line() {
        assert_eq!(plain("a b ü"), "a b ü");
        assert_eq!(plain("a\nsummary:\u{1b}[2J"), "a\\nsummary:\\u{1b}[2J");
        assert_eq!(plain("\u{202e}x"), "\\u{202e}x");
    }
}
