//! Splits a file into documents without parsing them: a broken one must not hide the others.

use serde::de::IgnoredAny;
use serde_json::Deserializer;

use super::Format;

/// The text of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    /// Its text from the first line with content, so that a moved document has the same text.
    pub(crate) text: &'a str,
    /// Line of the file at which the text begins, from 1.
    pub(crate) line: usize,
}

/// The documents of a file that have content, in order.
pub(crate) fn split(text: &str, format: Format) -> Vec<Chunk<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => split_yaml(text),
        Format::Json => split_json(text),
    }
}

/// YAML forbids `---` and `...` at the start of a line anywhere but between documents, block and quoted text included
/// (YAML 1.2 section 9.1.2), so lines are enough.
fn split_yaml(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let (mut start, mut start_line) = (0, 1);
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let end = offset + line.len();
        if is_marker(line, "---") && offset > start {
            chunks.extend(chunk(&text[start..offset], start_line));
            (start, start_line) = (offset, index + 1);
        } else if is_marker(line, "...") {
            chunks.extend(chunk(&text[start..offset], start_line));
            (start, start_line) = (end, index + 2);
        }
        offset = end;
    }
    chunks.extend(chunk(&text[start..], start_line));
    chunks
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The chunk, unless it holds only comments, directives and its separator.
fn chunk(text: &str, first_line: usize) -> Option<Chunk<'_>> {
    let mut offset = 0;
    for (line, number) in text.split_inclusive('\n').zip(first_line..) {
        if has_content(line) {
            return Some(Chunk {
                text: &text[offset..],
                line: number,
            });
        }
        offset += line.len();
    }
    None
}

fn has_content(line: &str) -> bool {
    let rest = if is_marker(line, "---") {
        &line[3..]
    } else {
        line
    };
    let rest = rest.trim_start();
    !(rest.is_empty() || rest.starts_with('#') || line.starts_with('%'))
}

/// After a syntax error the start of the next value is unknown: the rest of the file is one broken document.
fn split_json(text: &str) -> Vec<Chunk<'_>> {
    let mut chunks = Vec::new();
    let mut values = Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut line = 1;
    let mut start = 0;
    while let Some(value) = values.next() {
        let end = if value.is_ok() {
            values.byte_offset()
        } else {
            text.len()
        };
        let padded = &text[start..end];
        let value_text = padded.trim_ascii_start();
        line += newlines(&padded[..padded.len() - value_text.len()]);
        chunks.push(Chunk {
            text: value_text,
            line,
        });
        line += newlines(value_text);
        start = end;
        if value.is_err() {
            break;
        }
    }
    chunks
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}
