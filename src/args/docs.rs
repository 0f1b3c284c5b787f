//! The Markdown page of all flags, generated from their table.

use std::fmt::Write;

use super::{FLAGS, Flag};
use crate::config::Preset;

/// All flags as a Markdown table.
pub(crate) fn flags_markdown() -> String {
    let mut page = "| Flag | Default | Meaning | Effect | Difference from ingress-nginx |\n|---|---|---|---|---|\n".to_owned();
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
    let effect = match flag.without_effect(Preset::Controller) {
        Some(why) => format!("none: {why}"),
        None if flag.without_effect(Preset::Serve).is_some() => "in `controller` only".to_owned(),
        None => "honoured".to_owned(),
    };
    let cells = [
        format!("`{dashes}{}`", flag.name),
        default,
        flag.meaning.to_owned(),
        effect,
        flag.difference.to_owned(),
    ];
    format!(
        "| {} |",
        cells.map(|cell| cell.replace('|', "\\|")).join(" | ")
    )
}
