//! The documentation table of the annotations.

use std::fmt::Write as _;

use super::{Annotation, Bad, all};

/// Every annotation as a Markdown table: name, value, default, ConfigMap key, risk, invalid value, support and meaning.
pub fn annotations_markdown() -> String {
    let mut page = String::from(
        "| Annotation | Value | Default | ConfigMap key | Risk | Invalid value | Support | What it does |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for entry in all() {
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            names(entry),
            table_cell(&entry.kind.expected()),
            code(entry.default),
            entry.configmap_key.map_or_else(String::new, code),
            entry.risk.as_str(),
            consequence(entry.bad),
            entry.support.as_str(),
            table_cell(entry.doc),
        );
    }
    page
}

/// Text inside a cell: pipes would end it.
pub(crate) fn table_cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('_', "\\_")
}

/// A literal in a cell, or nothing.
fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{}`", text.replace('|', "\\|"))
    }
}

fn names(entry: &Annotation) -> String {
    entry
        .aliases
        .iter()
        .fold(format!("`{}`", entry.name), |names, alias| {
            format!("{names}, `{alias}`")
        })
}

fn consequence(bad: Bad) -> &'static str {
    match bad {
        Bad::RefuseIngress => "Ingress refused",
        Bad::Deny => "route closed (503)",
        Bad::Ignore => "ignored",
    }
}
