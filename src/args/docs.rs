//! The page of all flags, made from their table.

use std::fmt::Write;

use super::{FLAGS, Flag};

/// All flags as a Markdown table.
pub(crate) fn flags_markdown() -> String {
    let mut page =
        "| Flag | Default | Meaning | In `serve` and `demo` |\n|---|---|---|---|\n".to_owned();
    for flag in FLAGS {
        // Writing to a string does not fail.
        let _ = writeln!(page, "{}", row(flag));
    }
    page
}

fn row(flag: &Flag) -> String {
    let dashes = if flag.name.len() == 1 { "-" } else { "--" };
    let default = if flag.default.is_empty() {
        String::new()
    } else {
        format!("`{}`", flag.default)
    };
    let effect = flag
        .without_effect()
        .map_or_else(|| "honoured".to_owned(), |why| format!("no effect: {why}"));
    let cells = [
        format!("`{dashes}{}`", flag.name),
        default,
        flag.meaning.to_owned(),
        effect,
    ];
    format!(
        "| {} |",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}
