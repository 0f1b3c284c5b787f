//! A report, sorted by what matters, before it is written in a format.

use headgate_compile::{Finding, Judgement, Name, Severity, Verdict};

/// The key of the section about objects of the Gateway API.
pub(super) const GATEWAY_API: &str = "gatewayApi";

/// What will happen.
pub(super) struct Report {
    /// Where the objects are from.
    pub(super) source: String,
    /// The running ingress-nginx: kind, name and image.
    pub(super) controller: Option<String>,
    /// The ConfigMap with the settings.
    pub(super) settings: Option<Name>,
    /// Why every route responds with 503.
    pub(super) closed: Option<String>,
    /// What could not be checked, and why.
    pub(super) notes: Vec<String>,
    /// All names with their verdicts, by where they occur.
    pub(super) sections: Vec<Section>,
    /// The Ingresses that are served or refused, the gravest first.
    pub(super) ingresses: Vec<CheckedIngress>,
    /// Ingresses of other classes or namespaces.
    pub(super) unserved: Vec<Finding>,
    /// Findings about all other objects and documents, the gravest first.
    pub(super) others: Vec<Finding>,
    /// A document could not be read.
    pub(super) is_unreadable: bool,
}

/// Names of one kind with their verdicts.
pub(super) struct Section {
    /// `Annotations`, `ConfigMap keys`, `Class settings` (the parameters of IngressClasses), `Flags`, `Chart values` or
    /// `Gateway API`.
    pub(super) title: &'static str,
    /// The same for programs.
    pub(super) key: &'static str,
    /// The gravest first.
    pub(super) rows: Vec<Row>,
}

/// A name with a verdict.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) judgement: Judgement,
    /// Number of Ingresses; `None` where there can be only one.
    pub(super) ingresses: Option<usize>,
}

/// An Ingress with everything to say about it.
pub(super) struct CheckedIngress {
    pub(super) name: Name,
    /// Its current version is not served.
    pub(super) is_refused: bool,
    /// Behaves as in ingress-nginx.
    pub(super) is_same: bool,
    /// One verdict about each annotation under the prefix, the gravest first.
    pub(super) verdicts: Vec<Judgement>,
    /// The gravest first.
    pub(super) findings: Vec<Finding>,
}

/// Counts of a report.
pub(super) struct Counts {
    pub(super) ingresses: usize,
    pub(super) same: usize,
    /// Not the same, with something that is not supported.
    pub(super) unsupported: usize,
    pub(super) unserved: usize,
    pub(super) errors: usize,
    pub(super) warnings: usize,
}

impl Report {
    /// Whether nothing is unsupported, and no object has an error.
    pub(super) fn is_honoured(&self) -> bool {
        let mut verdicts = self.sections.iter().flat_map(|section| &section.rows);
        let unsupported = verdicts.any(|row| row.judgement.verdict == Verdict::NotSupported);
        !unsupported && self.closed.is_none() && self.counts().errors == 0
    }

    /// The first line of every format.
    pub(super) fn headline(&self) -> String {
        let Counts {
            ingresses, same, ..
        } = self.counts();
        let noun = if ingresses == 1 {
            "Ingress behaves"
        } else {
            "Ingresses behave"
        };
        let of_ingresses = format!("{same} of {ingresses} {noun} the same");
        let Some(gateways) = self.gateways() else {
            return of_ingresses;
        };
        let bad = gateways.count(Verdict::NotSupported);
        let all = gateways.rows.len();
        let objects = match all {
            1 => "1 object of the Gateway API has".to_owned(),
            all => format!("{all} objects of the Gateway API have"),
        };
        let of_gateways = format!("{bad} of {objects} errors");
        match ingresses {
            0 => of_gateways,
            _ => format!("{of_ingresses}; {of_gateways}"),
        }
    }

    /// The objects of the Gateway API, if there are any.
    fn gateways(&self) -> Option<&Section> {
        let mut sections = self.shown_sections();
        sections.find(|section| section.key == GATEWAY_API)
    }

    /// What was checked, in one line.
    pub(super) fn checked(&self) -> String {
        let settings = self.settings.as_ref();
        let settings = settings.map(|name| format!("ConfigMap {name}"));
        let parts = [Some(self.source.clone()), self.controller.clone(), settings];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }

    /// The sections with names.
    pub(super) fn shown_sections(&self) -> impl Iterator<Item = &Section> {
        let sections = self.sections.iter();
        sections.filter(|section| !section.rows.is_empty())
    }

    /// The Ingresses about which there is anything to read.
    pub(super) fn remarkable(&self) -> impl Iterator<Item = &CheckedIngress> {
        self.ingresses.iter().filter(|one| one.is_remarkable())
    }

    /// The title of the list of Ingresses of other classes.
    pub(super) fn unserved_title(&self) -> String {
        format!("{} of other classes", ingresses(self.unserved.len()))
    }

    /// The line for continuous integration.
    pub(super) fn summary(&self) -> String {
        let counts = self.counts();
        let of = |verdict| {
            let sections = self.sections.iter();
            let of_names = sections.filter(|section| section.key != GATEWAY_API);
            of_names
                .map(|section| section.count(verdict))
                .sum::<usize>()
        };
        let gateways = self.gateways().map(|gateways| {
            format!(
                " gateway-objects={} gateway-unsupported={}",
                gateways.rows.len(),
                gateways.count(Verdict::NotSupported)
            )
        });
        format!(
            "summary: ingresses={} same={} different={} unsupported={} other-class={} errors={} warnings={} names-differing={} names-unsupported={}{}",
            counts.ingresses,
            counts.same,
            counts.ingresses - counts.same - counts.unsupported,
            counts.unsupported,
            counts.unserved,
            counts.errors,
            counts.warnings,
            of(Verdict::Differs),
            of(Verdict::NotSupported),
            gateways.unwrap_or_default(),
        )
    }

    pub(super) fn counts(&self) -> Counts {
        let of_ingresses = self.ingresses.iter().flat_map(|ingress| &ingress.findings);
        let findings = || of_ingresses.clone().chain(&self.others);
        let of = |severity| findings().filter(|one| one.severity == severity).count();
        Counts {
            ingresses: self.ingresses.len(),
            same: self.ingresses.iter().filter(|one| one.is_same).count(),
            unsupported: self
                .ingresses
                .iter()
                .filter(|one| one.worst() == Verdict::NotSupported)
                .count(),
            unserved: self.unserved.len(),
            errors: of(Severity::Error),
            warnings: of(Severity::Warning),
        }
    }
}

impl Row {
    /// The number of Ingresses, for a table.
    pub(super) fn count(&self) -> String {
        let count = self.ingresses.map(|count| count.to_string());
        count.unwrap_or_default()
    }
}

impl Section {
    /// How many names have each verdict, the gravest first.
    pub(super) fn counts(&self) -> [usize; Verdict::ALL.len()] {
        Verdict::ALL.map(|verdict| self.count(verdict))
    }

    /// How many names have a verdict.
    pub(super) fn count(&self, verdict: Verdict) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| row.judgement.verdict == verdict).count()
    }

    /// The rows with a verdict.
    pub(super) fn with(&self, verdict: Verdict) -> impl Iterator<Item = &Row> {
        let rows = self.rows.iter();
        rows.filter(move |row| row.judgement.verdict == verdict)
    }
}

impl CheckedIngress {
    /// The gravest verdict about its annotations.
    pub(super) fn worst(&self) -> Verdict {
        let verdicts = self.verdicts.iter().map(|one| one.verdict);
        verdicts.min().unwrap_or(Verdict::Honoured)
    }

    /// Less is graver: what is not the same first, then by verdict, by the findings, and by name.
    pub(super) fn gravity(&self) -> (bool, Verdict, u8, &Name) {
        let severity = self.findings.iter().map(|finding| finding.severity).min();
        let severity = match severity {
            Some(Severity::Error) => 0,
            Some(Severity::Warning) => 1,
            Some(Severity::Info) => 2,
            None => 3,
        };
        (self.is_same, self.worst(), severity, &self.name)
    }

    /// Whether there is anything to read about it.
    pub(super) fn is_remarkable(&self) -> bool {
        let is_grave = |finding: &Finding| finding.severity != Severity::Info;
        !self.is_same || self.is_refused || self.findings.iter().any(is_grave)
    }

    /// The verdicts that no finding of the same annotation repeats.
    pub(super) fn notable(&self) -> impl Iterator<Item = &Judgement> {
        self.verdicts.iter().filter(|judgement| {
            let end = format!("/{}]", judgement.name);
            let mut findings = self.findings.iter();
            !judgement.reason.is_empty() && !findings.any(|finding| finding.field.ends_with(&end))
        })
    }

    /// In a few words.
    pub(super) fn state(&self) -> &'static str {
        match (self.is_refused, self.worst()) {
            (true, _) => "refused",
            (false, Verdict::NotSupported) => "not supported in full",
            (false, _) if !self.is_same => "behaves differently",
            (false, _) => "behaves the same",
        }
    }
}

/// The plural where it is needed.
pub(super) fn ingresses(count: usize) -> String {
    match count {
        1 => "1 Ingress".to_owned(),
        count => format!("{count} Ingresses"),
    }
}
