//! A report for a terminal.

use anstyle::Style;
use headgate_compile::{Finding, Judgement, Subject, Verdict};

use super::report::{CheckedIngress, Report, Row, Section, ingresses};
use crate::output::text::{BOLD, DIM, GREEN, RED, Text, YELLOW};

/// How many names of honoured rows are written in one line.
const NAMES: usize = 6;
/// How many Ingresses of other classes are named.
const UNSERVED: usize = 20;

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let mut out = Text::default();
    out.line(&format!("{BOLD}{}{BOLD:#}", report.headline()));
    out.line(&format!("checked: {}", report.checked()));
    if let Some(reason) = &report.closed {
        out.line(&format!(
            "{RED}every route responds with 503{RED:#}: {reason}"
        ));
    }
    for note in &report.notes {
        out.line(&format!("note: {note}"));
    }
    totals(report, &mut out);
    for section in report.shown_sections() {
        names(section, &mut out);
    }
    for one in report.remarkable() {
        ingress(one, &mut out);
    }
    others(&report.others, &mut out);
    unserved(report, &mut out);
    out.line("");
    out.line(&report.summary());
    out.into_string()
}

fn totals(report: &Report, out: &mut Text) {
    out.heading("In total");
    let titles = Verdict::ALL.map(|verdict| format!("{:>14}", short(verdict)));
    out.line(&format!("  {:<14}{}", "", titles.concat()));
    for section in report.shown_sections() {
        let counts = Verdict::ALL.map(|verdict| {
            let count = section.count(verdict);
            let style = if count > 0 { style(verdict) } else { DIM };
            format!("{style}{count:>14}{style:#}")
        });
        out.line(&format!("  {:<14}{}", section.title, counts.concat()));
    }
}

fn names(section: &Section, out: &mut Text) {
    out.heading(section.title);
    for verdict in Verdict::ALL {
        let rows: Vec<&Row> = section.with(verdict).collect();
        if rows.is_empty() {
            continue;
        }
        let style = style(verdict);
        out.line(&format!("  {style}{}{style:#}", verdict.as_str()));
        if verdict == Verdict::Honoured {
            let names: Vec<String> = rows.iter().map(|row| counted(row)).collect();
            for names in names.chunks(NAMES) {
                out.line(&format!("    {}", names.join(", ")));
            }
            continue;
        }
        for row in rows {
            out.line(&format!("    {}: {}", counted(row), row.judgement.reason));
        }
    }
}

fn ingress(ingress: &CheckedIngress, out: &mut Text) {
    out.heading(&format!("Ingress {}: {}", ingress.name, ingress.state()));
    for judgement in ingress.notable() {
        judgement_line(judgement, out);
    }
    for finding in &ingress.findings {
        finding_line(finding, out);
    }
}

fn judgement_line(judgement: &Judgement, out: &mut Text) {
    let style = style(judgement.verdict);
    let verdict = judgement.verdict.as_str();
    out.line(&format!(
        "  {style}{verdict}{style:#} {}: {}",
        judgement.name, judgement.reason
    ));
}

fn finding_line(finding: &Finding, out: &mut Text) {
    out.finding(finding.severity.as_str(), &finding.field, &finding.message);
}

fn others(findings: &[Finding], out: &mut Text) {
    let mut last: Option<&Subject> = None;
    for finding in findings {
        if last != Some(&finding.subject) {
            out.heading(&finding.subject.to_string());
        }
        last = Some(&finding.subject);
        finding_line(finding, out);
    }
}

fn unserved(report: &Report, out: &mut Text) {
    let findings = &report.unserved;
    if findings.is_empty() {
        return;
    }
    out.heading(&report.unserved_title());
    for finding in findings.iter().take(UNSERVED) {
        out.line(&format!("  {}: {}", finding.subject, finding.message));
    }
    if findings.len() > UNSERVED {
        out.line(&format!("  and {} more", findings.len() - UNSERVED));
    }
}

/// A name with the number of its Ingresses.
fn counted(row: &Row) -> String {
    match row.ingresses {
        Some(count) => format!("{} ({})", row.judgement.name, ingresses(count)),
        None => row.judgement.name.to_string(),
    }
}

fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NotSupported => "not supported",
        Verdict::Differs => "different",
        Verdict::NoEffect => "no effect",
        Verdict::Honoured => "honoured",
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::NotSupported => RED,
        Verdict::Differs => YELLOW,
        Verdict::NoEffect => DIM,
        Verdict::Honoured => GREEN,
    }
}
