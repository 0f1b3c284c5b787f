//! Parses the text of a document.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use super::locate::locate;
use super::object::{Fault, Reader};
use super::{Format, Outcome, Problem, kind};

/// Maximum nesting in a document. An Ingress needs about ten levels; the parser recurses once for each.
const MAX_DEPTH: usize = 64;
/// Maximum of keys, values and lists in a document: more than a list of 100,000 objects has.
const MAX_NODES: usize = 8_000_000;
/// Maximum of parser events that aliases add to those of the text itself.
const MAX_ALIAS_EVENTS: usize = 100_000;

/// Parses a document. Total: a panic of the parser becomes a problem of the document.
pub(crate) fn parse(text: &str, format: Format) -> Outcome {
    parse_with(text, format, Reader::default())
}

/// As [`parse`], with the workloads of ingress-nginx.
pub(crate) fn parse_with_workloads(text: &str, format: Format) -> Outcome {
    parse_with(text, format, Reader::with_workloads())
}

fn parse_with(text: &str, format: Format, reader: Reader) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| read(text, format, reader))).unwrap_or_else(|_| Outcome {
        problems: vec![whole(0, "the parser failed on this document".to_owned())],
        ..Outcome::default()
    })
}

pub(crate) fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_documents: 2,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_ALIAS_EVENTS },
        // A snippet would carry a Secret's text into logs.
        with_snippet: false,
    }
}

fn read(text: &str, format: Format, mut reader: Reader) -> Outcome {
    if format == Format::Yaml
        && top_level_kind(text)
            .is_some_and(|kind| !kind::may_be_supported(kind) && !reader.wants(kind))
    {
        return Outcome::default();
    }
    let value = match value(text, format) {
        Ok(value) => value,
        Err(problem) => {
            return Outcome {
                problems: vec![problem],
                ..Outcome::default()
            };
        }
    };
    reader.read(value);
    let problems = with_lines(text, reader.faults);
    let notices = with_lines(text, reader.notices);
    // Nearly every document holds one object, and there are tens of thousands of documents.
    reader.items.shrink_to_fit();
    Outcome {
        objects: reader.items,
        problems,
        notices,
        workloads: reader.workloads,
    }
}

/// The kind of a document in the usual layout, found by its line alone, so that unsupported kinds, which may be written in
/// ways that the parser rejects, are not parsed. `None`: unknown without parsing.
fn top_level_kind(text: &str) -> Option<&str> {
    let value = text.lines().find_map(|line| line.strip_prefix("kind:"))?;
    let value = value
        .split_once(" #")
        .map_or(value, |(value, _comment)| value)
        .trim();
    let plain = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let flow = text
        .lines()
        .any(|line| line.starts_with(['{', '[', '}', ']']) || line.starts_with("--- "));
    (plain && !flow).then_some(value)
}

fn value(text: &str, format: Format) -> Result<Value, Problem> {
    match format {
        Format::Yaml => serde_saphyr::from_str_with_options(text, yaml_options())
            .map_err(|error| yaml_problem(&error)),
        Format::Json => serde_json::from_str(text).map_err(|error| json_problem(&error)),
    }
}

/// The parser's message has lines of the document; findings have lines of the file, so they are cut off.
fn yaml_problem(error: &serde_saphyr::Error) -> Problem {
    let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
    let message = message
        .split(" at line ")
        .next()
        .unwrap_or_default()
        .to_owned();
    let Some(location) = error.location() else {
        return whole(0, message);
    };
    let line = usize::try_from(location.line())
        .unwrap_or_default()
        .saturating_sub(1);
    whole(line, format!("{message} (column {})", location.column()))
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    let (line, column) = (error.line(), error.column());
    let message = message
        .strip_suffix(&format!(" at line {line} column {column}"))
        .unwrap_or(&message);
    whole(
        line.saturating_sub(1),
        format!("{message} (column {column})"),
    )
}

fn whole(line: usize, message: String) -> Problem {
    Problem {
        line,
        field: String::new(),
        message,
    }
}

fn with_lines(text: &str, faults: Vec<Fault>) -> Vec<Problem> {
    let paths: Vec<_> = faults.iter().map(|fault| &fault.path).collect();
    let lines = locate(text, &paths);
    faults
        .iter()
        .zip(lines)
        .map(|(fault, line)| Problem {
            line,
            field: fault.path.to_string(),
            message: fault.message.clone(),
        })
        .collect()
}
