//! Makes a report from its input, compiled as the controller does it: asks the registries.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use headgate_compile::{
    Compiled, Finding, IngressStatus, Judgement, Kind, Name, ObjectRef, SettingVerdicts, Severity,
    Subject, expiring, setting_verdicts,
};
use k8s_openapi::api::networking::v1::Ingress;

use super::report::{CheckedIngress, GATEWAY_API, Report, Row, Section};
use crate::input::{Input, Progress};
use crate::output;

/// The report about `input`, which was compiled to `compiled`.
pub(super) fn build(input: &Input, compiled: &Compiled, progress: &Progress) -> Report {
    let snapshot = input.objects.snapshot();
    let findings = Findings::of(input, compiled);
    progress.phase("checking", Some(compiled.statuses().len()));
    let closed = compiled.closed_by_settings();
    let judge = compiled.annotation_judge(&input.options);
    let mut totals: BTreeMap<Judgement, usize> = BTreeMap::new();
    let mut ingresses = Vec::with_capacity(compiled.statuses().len());
    for (name, status) in compiled.statuses() {
        let Some(ingress) = snapshot.get::<Ingress>(name) else {
            continue;
        };
        let about = findings
            .of_ingresses
            .get(name)
            .map_or(&[][..], Vec::as_slice);
        let about: Vec<&Finding> = about.iter().collect();
        let mut verdicts = judge.verdicts(ingress, &about);
        for verdict in &verdicts {
            *totals.entry(verdict.clone()).or_default() += 1;
        }
        verdicts.sort();
        ingresses.push(CheckedIngress {
            name: name.clone(),
            is_refused: *status != IngressStatus::Served,
            is_same: closed.is_none()
                && *status == IngressStatus::Served
                && !has_own_errors(compiled, name, &about)
                && verdicts.iter().all(|one| one.verdict.is_same()),
            verdicts,
            findings: about.into_iter().cloned().collect(),
        });
        progress.add(1);
    }
    ingresses.sort_by(|one, other| one.gravity().cmp(&other.gravity()));
    let about: Vec<&Finding> = findings.others.iter().collect();
    let settings = setting_verdicts(snapshot, &input.options, &about);
    let gateways = compiled.gateway_verdicts(snapshot, &findings.others);
    Report {
        source: output::plain(&input.source).into_owned(),
        controller: input.workload.as_ref().map(|workload| {
            let text = format!("{} {} ({})", workload.kind, workload.name, workload.image);
            output::plain(&text).into_owned()
        }),
        settings: input.options.settings.clone(),
        closed: closed.map(str::to_owned),
        notes: input
            .notes
            .iter()
            .map(|note| output::plain(note).into_owned())
            .collect(),
        sections: sections(totals, settings, input, gateways),
        ingresses,
        unserved: findings.unserved,
        others: findings.others,
        is_unreadable: is_unreadable(&input.unreadable),
    }
}

/// Whether an Ingress has an error that it does not have in ingress-nginx: there, too, a path belongs to the oldest Ingress.
fn has_own_errors(compiled: &Compiled, name: &Name, about: &[&Finding]) -> bool {
    let mut errors = about
        .iter()
        .filter(|one| one.severity == Severity::Error)
        .peekable();
    if errors.peek().is_none() {
        return false;
    }
    let lost = compiled.lost_paths(name);
    errors.any(|error| !lost.contains(error))
}

/// Findings by what they are about.
struct Findings {
    of_ingresses: HashMap<Name, Vec<Finding>>,
    unserved: Vec<Finding>,
    others: Vec<Finding>,
}

impl Findings {
    fn of(input: &Input, compiled: &Compiled) -> Self {
        let mut findings = Self {
            of_ingresses: HashMap::new(),
            unserved: Vec::new(),
            others: Vec::new(),
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let all = compiled.findings().into_iter();
        let all = all.chain(expiring(compiled.table(), now));
        for finding in all.chain(input.unreadable.iter().cloned()) {
            if !is_expected(input, &finding) {
                findings.add(finding, compiled);
            }
        }
        findings.others = by_subject(std::mem::take(&mut findings.others));
        findings
    }

    /// Findings arrive sorted by their severity, and stay so.
    fn add(&mut self, finding: Finding, compiled: &Compiled) {
        match &finding.subject {
            Subject::Object(ObjectRef {
                kind: Kind::Ingress,
                name,
            }) => match compiled.statuses().contains_key(name) {
                true => self
                    .of_ingresses
                    .entry(name.clone())
                    .or_default()
                    .push(finding),
                false if finding.severity == Severity::Info => self.unserved.push(finding),
                false => self.others.push(finding),
            },
            Subject::Object(_) | Subject::Document { .. } => self.others.push(finding),
        }
    }
}

/// The findings of each subject together, the subject with the gravest one first.
fn by_subject(findings: Vec<Finding>) -> Vec<Finding> {
    let mut gravest: HashMap<Subject, Severity> = HashMap::new();
    for finding in &findings {
        let entry = gravest.entry(finding.subject.clone());
        let severity = entry.or_insert(finding.severity);
        *severity = finding.severity.min(*severity);
    }
    let mut findings = findings;
    findings.sort_by_cached_key(|finding| {
        let gravest = gravest.get(&finding.subject).copied();
        (gravest, finding.subject.clone(), finding.clone())
    });
    findings
}

/// Whether a finding only says that an object is missing of which kind the input has none.
fn is_expected(input: &Input, finding: &Finding) -> bool {
    input.absent.iter().any(|kind| match kind {
        Kind::EndpointSlice => finding.lacks_ready_endpoint(),
        kind => {
            let missing = format!("there is no {} ", kind.as_str());
            finding.message.contains(&missing)
        }
    })
}

fn sections(
    totals: BTreeMap<Judgement, usize>,
    settings: SettingVerdicts,
    input: &Input,
    gateways: Vec<Judgement>,
) -> Vec<Section> {
    let annotations = totals.into_iter().map(|(judgement, count)| Row {
        judgement,
        ingresses: Some(count),
    });
    let mut annotations: Vec<Row> = annotations.collect();
    // Of the same gravity, what concerns most Ingresses first.
    annotations.sort_by(|one, other| {
        let verdicts = one.judgement.verdict.cmp(&other.judgement.verdict);
        let counts = || other.ingresses.cmp(&one.ingresses);
        verdicts.then_with(counts).then_with(|| one.cmp(other))
    });
    let single = |judgements: &[Judgement]| -> Vec<Row> {
        let rows = judgements.iter().cloned();
        let mut rows: Vec<Row> = rows
            .map(|judgement| Row {
                judgement,
                ingresses: None,
            })
            .collect();
        rows.sort();
        rows
    };
    vec![
        section("Annotations", "annotations", annotations),
        section("ConfigMap keys", "settings", single(&settings.own)),
        section(
            "Class settings",
            "classSettings",
            single(&settings.of_classes),
        ),
        section("Flags", "flags", single(&input.flags)),
        section("Chart values", "values", single(&input.values)),
        section("Gateway API", GATEWAY_API, single(&gateways)),
    ]
}

fn section(title: &'static str, key: &'static str, rows: Vec<Row>) -> Section {
    Section { title, key, rows }
}

/// Whether a document or an object is lost: the finding about it is an error.
fn is_unreadable(findings: &[Finding]) -> bool {
    let mut severities = findings.iter().map(|finding| finding.severity);
    severities.any(|severity| severity == Severity::Error)
}
