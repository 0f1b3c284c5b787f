//! A report for a terminal, with colours that the writer removes elsewhere.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use headgate_compile::{Finding, Judgement, Severity, Subject, Verdict};

use super::report::{CheckedIngress, Report, Row, Section, ingresses};

/// How many names of honoured rows are written in one line.
const NAMES: usize = 6;
/// How many Ingresses of other classes are named.
const UNSERVED: usize = 20;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const DIM: Style = Style::new().dimmed();

/// The report as text.
pub(super) fn text(report: &Report) -> String {
    let mut out = Text(String::new());
    out.line(&format!("{BOLD}{}{BOLD:#}", report.headline()));
    out.line(&format!("checked: {}", checked(report)));
    if let Some(reason) = &report.closed {
        out.line(&format!(
            "{RED}every route responds with 503{RED:#}: {reason}"
        ));
    }
    for note in &report.notes {
        out.line(&format!("note: {note}"));
    }
    out.totals(report);
    for section in &report.sections {
        out.section(section);
    }
    let remarkable = report.ingresses.iter().filter(|one| one.is_remarkable());
    for ingress in remarkable {
        out.ingress(ingress);
    }
    out.others(&report.others);
    out.unserved(&report.unserved);
    out.line("");
    out.line(&report.summary());
    out.0
}

/// What was checked, in one line.
pub(super) fn checked(report: &Report) -> String {
    let settings = report.settings.as_ref();
    let settings = settings.map(|name| format!("ConfigMap {name}"));
    let parts = [
        Some(report.source.clone()),
        report.controller.clone(),
        settings,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The subject of a finding, for a heading.
pub(super) fn subject(subject: &Subject) -> String {
    subject.to_string()
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{}", line.trim_end());
    }

    fn heading(&mut self, title: &str) {
        self.line("");
        self.line(&format!("{BOLD}{title}{BOLD:#}"));
    }

    fn totals(&mut self, report: &Report) {
        self.heading("In total");
        let titles = Verdict::ALL.map(|verdict| format!("{:>14}", short(verdict)));
        self.line(&format!("  {:<14}{}", "", titles.concat()));
        for section in report
            .sections
            .iter()
            .filter(|section| !section.rows.is_empty())
        {
            let counts = Verdict::ALL.map(|verdict| {
                let count = section.count(verdict);
                let style = if count > 0 { style(verdict) } else { DIM };
                format!("{style}{count:>14}{style:#}")
            });
            self.line(&format!("  {:<14}{}", section.title, counts.concat()));
        }
    }

    fn section(&mut self, section: &Section) {
        if section.rows.is_empty() {
            return;
        }
        self.heading(section.title);
        for verdict in Verdict::ALL {
            let rows: Vec<&Row> = section.with(verdict).collect();
            if rows.is_empty() {
                continue;
            }
            let style = style(verdict);
            self.line(&format!("  {style}{}{style:#}", verdict.as_str()));
            if verdict == Verdict::Honoured {
                let names: Vec<String> = rows.iter().map(|row| counted(row)).collect();
                for names in names.chunks(NAMES) {
                    self.line(&format!("    {}", names.join(", ")));
                }
                continue;
            }
            for row in rows {
                self.line(&format!("    {}: {}", counted(row), row.judgement.reason));
            }
        }
    }

    fn ingress(&mut self, ingress: &CheckedIngress) {
        self.heading(&format!("Ingress {}: {}", ingress.name, ingress.state()));
        for judgement in ingress.notable() {
            self.judgement(judgement);
        }
        for finding in &ingress.findings {
            self.finding(finding);
        }
    }

    fn judgement(&mut self, judgement: &Judgement) {
        let style = style(judgement.verdict);
        let verdict = judgement.verdict.as_str();
        self.line(&format!(
            "  {style}{verdict}{style:#} {}: {}",
            judgement.name, judgement.reason
        ));
    }

    fn finding(&mut self, finding: &Finding) {
        let style = severity_style(finding.severity);
        let severity = finding.severity.as_str();
        let field = match &*finding.field {
            "" => String::new(),
            field => format!(" {field}"),
        };
        self.line(&format!(
            "  {style}{severity}{style:#}{field}: {}",
            finding.message
        ));
    }

    fn others(&mut self, findings: &[Finding]) {
        let mut last: Option<&Subject> = None;
        for finding in findings {
            if last != Some(&finding.subject) {
                self.heading(&subject(&finding.subject));
            }
            last = Some(&finding.subject);
            self.finding(finding);
        }
    }

    fn unserved(&mut self, findings: &[Finding]) {
        if findings.is_empty() {
            return;
        }
        self.heading(&format!("{} of other classes", ingresses(findings.len())));
        for finding in findings.iter().take(UNSERVED) {
            self.line(&format!(
                "  {}: {}",
                subject(&finding.subject),
                finding.message
            ));
        }
        if findings.len() > UNSERVED {
            self.line(&format!("  and {} more", findings.len() - UNSERVED));
        }
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

fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
        Severity::Info => DIM,
    }
}
