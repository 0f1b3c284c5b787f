//! Warnings for the author of an allowed Ingress.

use crate::finding::{Finding, Severity};
use crate::ingress::annotations::{find, short_name};
use crate::ingress::parsed::ParsedIngress;

/// Maximum number of lines.
const MAX_LINES: usize = 20;
/// Maximum bytes of a line; the API server truncates longer ones.
const MAX_BYTES: usize = 256;

/// The findings of `parsed`, the worst first, after `remarks`.
pub(super) fn of(
    parsed: &ParsedIngress,
    prefix: &str,
    remarks: impl Iterator<Item = String>,
) -> Vec<String> {
    let mut findings: Vec<Finding> = parsed.findings.clone();
    findings.retain(|finding| is_reported(finding, prefix));
    findings.sort_by_key(|finding| finding.severity);
    let findings = findings
        .into_iter()
        .map(|finding| format!("{}: {}", finding.field, finding.message));
    let mut lines: Vec<String> = remarks
        .chain(findings)
        .map(|line| truncate(&line))
        .collect();
    if lines.len() > MAX_LINES {
        let more = lines.len() - MAX_LINES + 1;
        lines.truncate(MAX_LINES - 1);
        lines.push(format!("and {more} more"));
    }
    lines
}

/// Skips accepted annotations without effect, but not unknown names: most of these are mistyped.
fn is_reported(finding: &Finding, prefix: &str) -> bool {
    let annotation = || {
        let name = finding.field.strip_prefix("metadata.annotations[")?;
        short_name(name.strip_suffix(']')?, prefix)
    };
    match finding.severity {
        Severity::Error | Severity::Warning => true,
        Severity::Info => annotation().is_some_and(|name| find(name).is_none()),
    }
}

/// One line of printable text, at most [`MAX_BYTES`] long.
fn truncate(line: &str) -> String {
    let line: String = line
        .chars()
        .flat_map(|c| {
            let printed = c.is_control().then(|| c.escape_default());
            let as_is = printed.is_none().then_some(c);
            printed.into_iter().flatten().chain(as_is)
        })
        .collect();
    if line.len() <= MAX_BYTES {
        return line;
    }
    const REST: &str = "...";
    let end = line.floor_char_boundary(MAX_BYTES - REST.len());
    format!("{}{REST}", &line[..end])
}
