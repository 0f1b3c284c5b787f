//! A report for programs.

use headgate_compile::{Judgement, Verdict};
use serde_json::{Map, Value, json};

use super::report::{CheckedIngress, Report, Row, Section};
use crate::output::finding;

/// Changes when a field is removed or gets another meaning.
const VERSION: u32 = 1;

/// The report as the text of its JSON.
pub(super) fn json(report: &Report) -> String {
    format!("{:#}\n", value(report))
}

/// The report as JSON.
pub(super) fn value(report: &Report) -> Value {
    let counts = report.counts();
    let sections = report.sections.iter();
    let sections: Map<String, Value> = sections
        .map(|section| (section.key.to_owned(), section_json(section)))
        .collect();
    json!({
        "version": VERSION,
        "headline": report.headline(),
        "summary": {
            "ingresses": counts.ingresses,
            "same": counts.same,
            "different": counts.ingresses - counts.same - counts.unsupported,
            "unsupported": counts.unsupported,
            "otherClass": counts.unserved,
            "errors": counts.errors,
            "warnings": counts.warnings,
        },
        "source": report.source,
        "controller": report.controller,
        "configMap": report.settings.as_ref().map(ToString::to_string),
        "closed": report.closed,
        "notes": report.notes,
        "names": sections,
        "ingresses": report.ingresses.iter().map(ingress).collect::<Vec<_>>(),
        "otherClass": report.unserved.iter().map(finding).collect::<Vec<_>>(),
        "findings": report.others.iter().map(finding).collect::<Vec<_>>(),
    })
}

fn section_json(section: &Section) -> Value {
    let totals: Map<String, Value> = Verdict::ALL
        .iter()
        .map(|verdict| (verdict.key().to_owned(), section.count(*verdict).into()))
        .collect();
    json!({ "totals": totals, "verdicts": section.rows.iter().map(row).collect::<Vec<_>>() })
}

fn row(row: &Row) -> Value {
    let mut value = judgement(&row.judgement);
    if let Some(count) = row.ingresses {
        value["ingresses"] = count.into();
    }
    value
}

fn judgement(judgement: &Judgement) -> Value {
    json!({
        "name": judgement.name,
        "verdict": judgement.verdict.key(),
        "reason": judgement.reason,
    })
}

fn ingress(ingress: &CheckedIngress) -> Value {
    json!({
        "namespace": &*ingress.name.namespace,
        "name": &*ingress.name.name,
        "same": ingress.is_same,
        "refused": ingress.is_refused,
        "annotations": ingress.verdicts.iter().map(judgement).collect::<Vec<_>>(),
        "findings": ingress.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}
