//! Pages that the program prints about itself are in `crates/compile/docs`: `UPDATE_DOCS=1 cargo test --test docs` rewrites them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

const BINARY: &str = env!("CARGO_BIN_EXE_headgate");

/// The directory of the pages.
const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/compile/docs");

/// Compares a page with what the command prints.
fn check(command: &str, file: &str, heading: &str) {
    let printed = Command::new(BINARY)
        .arg(command)
        .output()
        .expect("the program runs");
    assert!(printed.status.success(), "{printed:?}");
    let table = String::from_utf8(printed.stdout).expect("a page is text");
    let expected = format!(
        "{heading}\n\nThis page is printed by `headgate {command}`.\n\n{}\n",
        table.trim_end()
    );
    let path = Path::new(PAGES).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).expect("the page can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} differs from `headgate {command}`; run with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn flags_page() {
    check("flags", "flags.md", "# Flags");
}

#[test]
fn metrics_page() {
    check("metrics", "metrics.md", "# Metrics");
}

#[test]
fn variables_page() {
    check(
        "variables",
        "variables.md",
        "# Variables of log formats and templates",
    );
}

/// Each label of the metric of refusals has a row in the page of limits, and each such row is about one.
#[test]
fn limits_page() {
    let page = std::fs::read_to_string(Path::new(PAGES).join("limits.md"));
    let page = page.expect("the page can be read");
    let of_tables: BTreeSet<&str> = page
        .split("\n\n")
        .filter(|table| table.starts_with("| `limit` |"))
        .flat_map(|table| table.lines().skip(2))
        .filter_map(|row| row.split('|').nth(1))
        .map(|cell| cell.trim().trim_matches('`'))
        .collect();
    let limits = headgate_proxy::Limit::ALL.iter();
    assert_eq!(of_tables, limits.map(|limit| limit.as_str()).collect());
}
