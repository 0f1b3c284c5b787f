//! A report as Markdown, for a ticket or a pull request.

use std::fmt::Write as _;

use headgate_compile::{Finding, Verdict};

use super::report::{CheckedIngress, Report, Section};

/// The report as Markdown.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = format!(
        "# {}\n\nChecked: {}\n",
        report.headline(),
        escaped(&report.checked())
    );
    // Writing to a string does not fail.
    if let Some(reason) = &report.closed {
        let _ = writeln!(
            out,
            "\n**Every route responds with 503**: {}",
            escaped(reason)
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "\n> {}", escaped(note));
    }
    totals(report, &mut out);
    for section in report.shown_sections() {
        names(section, &mut out);
    }
    let mut remarkable = report.remarkable().peekable();
    if remarkable.peek().is_some() {
        out.push_str("\n## Ingresses\n");
    }
    remarkable.for_each(|one| ingress(one, &mut out));
    if !report.others.is_empty() {
        out.push_str("\n## Other objects\n\n");
        others(&report.others, &mut out);
    }
    if !report.unserved.is_empty() {
        let _ = writeln!(out, "\n## {}\n", report.unserved_title());
        others(&report.unserved, &mut out);
    }
    let _ = writeln!(out, "\n`{}`", report.summary());
    out
}

fn totals(report: &Report, out: &mut String) {
    let titles = Verdict::ALL.map(Verdict::as_str).join(" | ");
    let _ = writeln!(out, "\n| | {titles} |\n|---|---:|---:|---:|---:|");
    for section in report.shown_sections() {
        let counts = section.counts().map(|count| count.to_string());
        let _ = writeln!(out, "| {} | {} |", section.title, counts.join(" | "));
    }
}

fn names(section: &Section, out: &mut String) {
    let _ = writeln!(
        out,
        "\n## {}\n\n| Name | Verdict | Why | Ingresses |\n|---|---|---|---:|",
        section.title
    );
    for row in &section.rows {
        let judgement = &row.judgement;
        let count = row.count();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {count} |",
            code(&judgement.name).replace('|', "\\|"),
            judgement.verdict.as_str(),
            escaped(&judgement.reason)
        );
    }
}

fn ingress(ingress: &CheckedIngress, out: &mut String) {
    let _ = writeln!(out, "\n### {}: {}\n", ingress.name, ingress.state());
    for judgement in ingress.notable() {
        let (verdict, name) = (judgement.verdict.as_str(), code(&judgement.name));
        let _ = writeln!(
            out,
            "- **{verdict}** {name}: {}",
            escaped(&judgement.reason)
        );
    }
    for one in &ingress.findings {
        finding(one, "", out);
    }
}

fn others(findings: &[Finding], out: &mut String) {
    for one in findings {
        let subject = escaped(&one.subject.to_string());
        finding(one, &format!("{subject}, "), out);
    }
}

fn finding(finding: &Finding, subject: &str, out: &mut String) {
    let severity = finding.severity.as_str();
    let field = match &*finding.field {
        "" => String::new(),
        field => format!(" {}", code(field)),
    };
    let subject = match field.is_empty() {
        true => subject.trim_end_matches(", "),
        false => subject,
    };
    let _ = writeln!(
        out,
        "- **{severity}** {subject}{}: {}",
        field.trim_start(),
        escaped(&finding.message)
    );
}

/// A code span, which ends at a run of backticks as long as the one that it begins with.
fn code(text: &str) -> String {
    let mut fence = "`".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    match fence.len() {
        1 => format!("`{text}`"),
        _ => format!("{fence} {text} {fence}"),
    }
}

/// Text of objects must not become markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '#' | '&' | '~' | '!'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
