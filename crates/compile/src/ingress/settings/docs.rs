//! The documentation table of the ConfigMap keys.

use std::fmt::Write as _;

use super::all;
use crate::ingress::annotations::{differences, support, table_cell};
use crate::ingress::registry::{Kind, Support};

/// Every ConfigMap key as a Markdown table: name, value, default, support and meaning.
pub fn settings_markdown() -> String {
    let mut page = String::from(
        "| Key | Value | Default | Support | What it does | Difference from ingress-nginx |\n|---|---|---|---|---|---|\n",
    );
    for entry in all() {
        let value = if (entry.kind, entry.support) == (Kind::Raw, Support::Inert) {
            String::new()
        } else {
            entry.kind.expected()
        };
        let default = if entry.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", entry.default)
        };
        let support = support(entry, "closes every route");
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {support} | {} | {} |",
            entry.name,
            table_cell(&value),
            default,
            table_cell(entry.doc),
            table_cell(&differences(entry)),
        );
    }
    page
}
