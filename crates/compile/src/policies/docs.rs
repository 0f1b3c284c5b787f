//! The documentation table of the fields of policies.

use std::fmt::Write as _;

use super::field::{self, Member, Shape, field_name, shape};
use crate::ingress::annotations::{Annotation, PolicyUse, all, table_cell};

/// Every field of a HeadgatePolicy as a Markdown table, and the annotations that no policy can have.
pub fn fields_markdown() -> String {
    let mut page = String::from(
        "| Field | Value | Targets | Annotation | What it does |\n|---|---|---|---|---|\n",
    );
    for row in field::all() {
        // Writing to a string never fails.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            field_name(row.entry.name),
            table_cell(&value(row)),
            targets(row),
            names(row),
            table_cell(row.entry.doc),
        );
    }
    page.push_str("\n## Annotations that are no fields\n\n| Annotation | Why |\n|---|---|\n");
    for row in all() {
        if let PolicyUse::None(why) = row.policy {
            let _ = writeln!(page, "| `{}` | {} |", row.entry.name, table_cell(why));
        }
    }
    page
}

/// The annotations that the field stands for.
fn names(row: &'static Annotation) -> String {
    let rows = all().filter(|other| other.of_field().entry.name == row.entry.name);
    let names: Vec<String> = rows.map(|row| format!("`{}`", row.entry.name)).collect();
    names.join(", ")
}

fn targets(row: &Annotation) -> String {
    match row.policy {
        PolicyUse::Routes | PolicyUse::FieldOf(_) => "all".to_owned(),
        PolicyUse::Ingresses(why) | PolicyUse::None(why) => {
            format!("Ingresses: {}", table_cell(why))
        }
    }
}

fn value(row: &Annotation) -> String {
    match shape(row.entry.kind) {
        Shape::Boolean => "boolean".to_owned(),
        Shape::Integer => "integer".to_owned(),
        Shape::Size => "bytes, or a size such as 8k".to_owned(),
        Shape::Text | Shape::Word(_) => row.entry.kind.expected(),
        Shape::List(_, Member::Integer) => "list of integers".to_owned(),
        Shape::List(_, Member::Text) => "list of texts".to_owned(),
        Shape::List(_, Member::Word(words)) => format!("list of {}", words.join(", ")),
    }
}
