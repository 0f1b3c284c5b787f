//! Findings, the gravest first.

use headgate_compile::{Finding, Severity};
use headgate_console::model::{Counts, FindingRow, FindingsFilter, FindingsPage, Page};

use super::Console;
use super::search::Words;

pub(super) fn findings(console: &Console, filter: &FindingsFilter) -> FindingsPage {
    let mut all = console.state.findings();
    all.sort();
    let words = Words::of(&filter.search.q);
    let severity = filter.severity.as_deref();
    let rows = all
        .iter()
        .filter(|finding| severity.is_none_or(|severity| finding.severity.as_str() == severity));
    let rows = rows
        .map(row)
        .filter(|row| words.are_in([&*row.object, &*row.field, &*row.message].into_iter()));
    FindingsPage {
        counts: counts(&all),
        findings: Page::of(rows.collect(), &filter.search),
    }
}

pub(super) fn counts(findings: &[Finding]) -> Counts {
    let of = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    Counts {
        errors: of(Severity::Error),
        warnings: of(Severity::Warning),
        infos: of(Severity::Info),
    }
}

pub(super) fn row(finding: &Finding) -> FindingRow {
    FindingRow {
        severity: finding.severity.as_str().to_owned(),
        object: finding.subject.to_string(),
        field: finding.field.to_string(),
        message: finding.message.to_string(),
        annotation: annotation(&finding.field).map(str::to_owned),
    }
}

/// The annotation that a field is: `metadata.annotations[PREFIX/NAME]`.
fn annotation(field: &str) -> Option<&'static str> {
    let name = field
        .strip_prefix("metadata.annotations[")?
        .strip_suffix(']')?;
    let (_, name) = name.rsplit_once('/')?;
    headgate_compile::annotations::find(name).map(|found| found.entry.name)
}

#[cfg(test)]
mod tests {
    use super::annotation;

    #[test]
    fn fields_name_annotations() {
        let field = "metadata.annotations[nginx.ingress.kubernetes.io/rewrite-target]";
        assert_eq!(annotation(field), Some("rewrite-target"));
        assert_eq!(
            annotation("metadata.annotations[example.com/unknown]"),
            None
        );
        assert_eq!(annotation("spec.rules[0].host"), None);
    }
}
