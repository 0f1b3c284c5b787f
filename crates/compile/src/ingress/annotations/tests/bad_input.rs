//! Whatever text an annotation has, it has the consequence of its class in the compiled table, and no text reaches a table, a
//! log or a message as it is.

use headgate_table::text;

use super::defaults::compiled_with;
use crate::ingress::annotations::{Annotation, DEFAULT_PREFIX, all, full_name};
use crate::ingress::registry::hostile::{HOSTILE, has_lines_only, is_printable};
use crate::ingress::registry::{OnInvalid, Validation, excerpt};
use crate::{Compiled, IngressStatus, Options};

/// The primary Ingress, or the canary if the annotation is one of canaries.
fn status(compiled: &Compiled) -> IngressStatus {
    let worst = compiled.statuses().values();
    let refused = |status: &&IngressStatus| **status == IngressStatus::Refused;
    *worst
        .clone()
        .find(refused)
        .unwrap_or(&IngressStatus::Served)
}

/// `a.example` has no route to an endpoint.
fn is_closed(table: &str) -> bool {
    let host = table
        .lines()
        .skip_while(|line| !line.starts_with("host a.example"));
    let mut routes = host.skip(1).take_while(|line| !line.starts_with("host "));
    let refused = table
        .lines()
        .any(|line| line.starts_with("host a.example refused: "));
    refused || routes.all(|line| line.contains("-> closed: "))
}

#[test]
fn invalid_values_have_the_consequence_of_their_class_in_the_table() {
    let options = Options::default();
    let oversized = "a".repeat(1 << 20);
    let texts = || HOSTILE.iter().copied().chain([oversized.as_str(), " ", ""]);
    for row in all() {
        let name = row.entry.name;
        let without = text(compiled_with(name, Some(""), &options).table());
        for value in texts() {
            let compiled = compiled_with(name, Some(value), &options);
            let table = text(compiled.table());
            let what = format!("{name} {:?}", &value[..value.floor_char_boundary(40)]);
            assert!(has_lines_only(&table), "{what}: {table}");
            check_findings(row, value, &compiled, &what);
            if value.trim().is_empty() {
                // Blank is absent, for every annotation.
                assert_eq!(table, without, "{what}");
            } else if row.entry.kind.parse(value, Validation::Full).is_err() {
                check_consequence(row, &compiled, &table, &without, &what);
            }
        }
    }
}

fn check_consequence(
    row: &Annotation,
    compiled: &Compiled,
    table: &str,
    without: &str,
    what: &str,
) {
    match row.entry.on_invalid {
        OnInvalid::RefuseIngress => {
            assert_eq!(status(compiled), IngressStatus::Refused, "{what}");
        }
        OnInvalid::Close => assert!(is_closed(table), "{what}: {table}"),
        // Stricter: an unusable list of origins is no origin rather than any.
        OnInvalid::Ignore if row.entry.name == "cors-allow-origin" => {
            assert!(!table.contains("cors"), "{what}");
        }
        // A value that cannot be used is as if it were absent: nothing is set by half.
        OnInvalid::Ignore => assert_eq!(table, without, "{what}"),
    }
}

/// Findings are short and printable; the one about an invalid value names the object, the annotation and the value.
fn check_findings(row: &Annotation, value: &str, compiled: &Compiled, what: &str) {
    let findings = compiled.findings();
    for finding in &findings {
        let line = finding.to_string();
        assert!(line.len() < 2000, "{what}: {line:.200}");
        assert!(is_printable(&line), "{what}: {line}");
    }
    if value.trim().is_empty() || row.entry.kind.parse(value, Validation::Full).is_ok() {
        return;
    }
    let shown: String = excerpt(value).chars().take(20).collect();
    let named = findings.iter().any(|finding| {
        let line = finding.to_string();
        line.contains("Ingress s/")
            && line.contains(&format!("[{}]", full_name(DEFAULT_PREFIX, row.entry.name)))
            && line.contains(&shown)
    });
    assert!(named, "{what}: {findings:?}");
}

#[test]
fn without_validation_no_control_character_passes_either() {
    let options = Options {
        validate_annotations: false,
        ..Options::default()
    };
    for row in all() {
        for value in HOSTILE
            .iter()
            .filter(|text| text.contains(char::is_control))
        {
            let compiled = compiled_with(row.entry.name, Some(value), &options);
            let table = text(compiled.table());
            let what = format!("{} {value:?}", row.entry.name);
            assert!(has_lines_only(&table), "{what}: {table}");
            check_findings(row, value, &compiled, &what);
        }
    }
}
