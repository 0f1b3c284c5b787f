//! The documentation table of the annotations.

use std::fmt::Write as _;

use super::{Annotation, all};
use crate::ingress::registry::{Entry, OnInvalid, Support};

/// Every annotation as a Markdown table: name, value, default, ConfigMap key, risk, invalid value, support and meaning.
pub fn annotations_markdown() -> String {
    let mut page = String::from(
        "| Annotation | Value | Default | ConfigMap key | Risk | Invalid value | Support | What it does | Difference from ingress-nginx |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for row in all() {
        let entry = &row.entry;
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            names(row),
            table_cell(&entry.kind.expected()),
            code(entry.default),
            row.configmap_key.map_or_else(String::new, code),
            row.risk.as_str(),
            consequence(entry.on_invalid),
            support(entry, "closes the route"),
            table_cell(entry.doc),
            table_cell(&differences(entry)),
        );
    }
    page
}

impl Annotation {
    /// What happens with an invalid value, in words.
    pub fn invalid_value(&self) -> &'static str {
        consequence(self.entry.on_invalid)
    }

    /// How far it is supported, in words.
    pub fn support(&self) -> String {
        support(&self.entry, "closes the route")
    }

    /// What differs from ingress-nginx, in sentences; empty: nothing.
    pub fn difference(&self) -> String {
        differences(&self.entry)
    }

    /// Which values are valid, in words.
    pub fn expected(&self) -> String {
        self.entry.kind.expected()
    }
}

/// What differs from ingress-nginx, in sentences.
pub(crate) fn differences(entry: &Entry) -> String {
    let texts = entry.differences.iter().map(|difference| difference.text);
    texts.collect::<Vec<_>>().join(" ")
}

/// Escapes text for a cell, which a pipe would end.
pub(crate) fn table_cell(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace('*', "\\*")
        .replace('_', "\\_")
}

/// A literal in a cell; empty stays empty.
fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{}`", text.replace('|', "\\|"))
    }
}

fn names(row: &Annotation) -> String {
    row.aliases
        .iter()
        .fold(format!("`{}`", row.entry.name), |names, alias| {
            format!("{names}, `{alias}`")
        })
}

fn consequence(on_invalid: OnInvalid) -> &'static str {
    match on_invalid {
        OnInvalid::RefuseIngress => "Ingress refused",
        OnInvalid::Close => "route closed (503)",
        OnInvalid::Ignore => "ignored",
    }
}

/// Whether an entry is honoured; `closes` is the consequence of a protection that is not honoured.
pub(crate) fn support(entry: &Entry, closes: &str) -> String {
    match entry.support {
        Support::Honoured => "honoured".to_owned(),
        Support::NotYet if entry.closes() => format!("not yet; {closes}"),
        Support::NotYet => "not yet; ignored with a warning".to_owned(),
        Support::Inert => "accepted, no effect".to_owned(),
    }
}
