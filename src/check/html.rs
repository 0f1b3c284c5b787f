//! A report as one HTML page: style included, without scripts and external files.

use std::fmt::Write as _;

use headgate_compile::{Finding, Judgement, Severity, Verdict};

use super::report::{CheckedIngress, Report, Section, ingresses};

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884}
body{font:15px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}
td,th{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-family:ui-monospace,monospace;font-size:.9em;overflow-wrap:anywhere}
details{border-bottom:1px solid var(--line);padding:.3rem 0}summary{cursor:pointer}
.tag{border-radius:.3rem;padding:0 .4rem;white-space:nowrap;color:#fff}
.notSupported,.error{background:#b3261e}.differs,.warning{background:#8a5a00}
.noEffect,.info{background:#5f6368}.honoured{background:#1e7b34}
.note{border-left:.25rem solid var(--line);padding-left:.8rem}
footer{margin-top:2rem;opacity:.7}
";

/// The report as a page.
pub(super) fn html(report: &Report) -> String {
    let headline = escaped(&report.headline());
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{headline}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{headline}</h1>\n<p>Checked: {}</p>\n",
        escaped(&report.checked())
    );
    // Writing to a string does not fail.
    if let Some(reason) = &report.closed {
        let _ = writeln!(
            out,
            "<p><b>Every route responds with 503</b>: {}</p>",
            escaped(reason)
        );
    }
    for note in &report.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
    }
    totals(report, &mut out);
    for section in report.shown_sections() {
        names(section, &mut out);
    }
    objects(report, &mut out);
    let _ = writeln!(
        out,
        "<footer><code>{}</code></footer>\n</body>\n</html>",
        escaped(&report.summary())
    );
    out
}

fn totals(report: &Report, out: &mut String) {
    let titles = Verdict::ALL.map(|verdict| format!("<th class=\"n\">{}</th>", verdict.as_str()));
    let _ = writeln!(out, "<table>\n<tr><th></th>{}</tr>", titles.concat());
    for section in report.shown_sections() {
        let counts = section.counts();
        let counts = counts.map(|count| format!("<td class=\"n\">{count}</td>"));
        let _ = writeln!(
            out,
            "<tr><th>{}</th>{}</tr>",
            section.title,
            counts.concat()
        );
    }
    out.push_str("</table>\n");
}

fn names(section: &Section, out: &mut String) {
    let _ = writeln!(
        out,
        "<h2>{}</h2>\n<table>\n<tr><th>Name</th><th>Verdict</th><th>Why</th><th class=\"n\">Ingresses</th></tr>",
        section.title
    );
    for row in &section.rows {
        let judgement = &row.judgement;
        let count = row.count();
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td class=\"n\">{count}</td></tr>",
            escaped(&judgement.name),
            verdict_tag(judgement.verdict),
            escaped(&judgement.reason)
        );
    }
    out.push_str("</table>\n");
}

fn objects(report: &Report, out: &mut String) {
    let (remarkable, same): (Vec<_>, Vec<_>) =
        report.ingresses.iter().partition(|one| one.is_remarkable());
    if !report.ingresses.is_empty() {
        out.push_str("<h2>Ingresses</h2>\n");
    }
    for one in remarkable {
        ingress(one, out);
    }
    if !same.is_empty() {
        let names: Vec<String> = same
            .iter()
            .map(|one| escaped(&one.name.to_string()))
            .collect();
        let title = format!("{} with nothing to say", ingresses(same.len()));
        let _ = writeln!(
            out,
            "<details><summary>{title}</summary><p>{}</p></details>",
            names.join("<br>")
        );
    }
    list("Other objects", &report.others, out);
    list(&report.unserved_title(), &report.unserved, out);
}

fn ingress(ingress: &CheckedIngress, out: &mut String) {
    let _ = writeln!(
        out,
        "<details open><summary><b>{}</b>: {}</summary>\n<table>",
        escaped(&ingress.name.to_string()),
        ingress.state()
    );
    for judgement in ingress.notable() {
        judgement_row(judgement, out);
    }
    for finding in &ingress.findings {
        finding_row(finding, &finding.field, out);
    }
    out.push_str("</table></details>\n");
}

fn list(title: &str, findings: &[Finding], out: &mut String) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>{title}</h2>\n<table>");
    for finding in findings {
        let place = format!("{} {}", finding.subject, finding.field);
        finding_row(finding, place.trim_end(), out);
    }
    out.push_str("</table>\n");
}

fn judgement_row(judgement: &Judgement, out: &mut String) {
    let tag = verdict_tag(judgement.verdict);
    row(&tag, &judgement.name, &judgement.reason, out);
}

fn finding_row(finding: &Finding, place: &str, out: &mut String) {
    let tag = severity_tag(finding.severity);
    row(&tag, place, &finding.message, out);
}

fn row(tag: &str, place: &str, text: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<tr><td>{tag}</td><td><code>{}</code></td><td>{}</td></tr>",
        escaped(place),
        escaped(text)
    );
}

fn verdict_tag(verdict: Verdict) -> String {
    format!(
        "<span class=\"tag {}\">{}</span>",
        verdict.key(),
        verdict.as_str()
    )
}

fn severity_tag(severity: Severity) -> String {
    let word = severity.as_str();
    format!("<span class=\"tag {word}\">{word}</span>")
}

/// Text of objects must not become markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
