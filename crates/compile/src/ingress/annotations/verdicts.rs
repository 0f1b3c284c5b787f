//! What happens to each annotation of an Ingress.

use std::collections::BTreeMap;

use super::load::{Texts, text_of, texts_of, unread};
use super::{Annotation, Flag, Rules, canary, find, full_name, meant_by, removed, short_name};
use crate::finding::{Finding, Severity};
use crate::ingress::annotations::Risk;
use crate::ingress::registry::{Judgement, Value, Verdict, excerpt, judge};

/// The consequence of a protection that is not honoured.
const CLOSES: &str = "the routes respond with 503";

/// The verdicts about all annotations under the prefix, in the order of their names. `findings` are those about the object.
pub(crate) fn verdicts(
    rules: &Rules<'_>,
    annotations: &BTreeMap<String, String>,
    findings: &[&Finding],
) -> Vec<Judgement> {
    let texts = texts_of(rules, annotations);
    let subject = Subject {
        rules,
        is_canary: canary::is_canary(rules, &texts),
        texts: &texts,
        findings,
    };
    let keys = annotations.keys();
    let names = keys.filter_map(|key| short_name(key, rules.prefix));
    names.map(|name| subject.judge(name)).collect()
}

/// The annotations of one Ingress.
struct Subject<'a> {
    rules: &'a Rules<'a>,
    texts: &'a Texts<'a>,
    is_canary: bool,
    findings: &'a [&'a Finding],
}

impl Subject<'_> {
    fn judge(&self, name: &str) -> Judgement {
        let Some(row) = find(name) else {
            return self.unknown(name);
        };
        let entry = &row.entry;
        let text = self.texts.get(name).copied().unwrap_or_default();
        if text_of(row, self.texts) != Some(text) && !text.trim().is_empty() {
            let reason = format!("{} is set too, and is read instead", entry.name);
            return Judgement::new(name.to_owned(), Verdict::NoEffect, reason);
        }
        if let Some(reason) = self.without_effect(row) {
            return Judgement::new(entry.name, Verdict::NoEffect, reason);
        }
        let present = |other: &str| self.texts.contains_key(other);
        let mut judged = judge(entry, text, CLOSES, present);
        if let Some(reason) = self.misunderstood(row, &judged) {
            judged = Judgement::new(entry.name, Verdict::NotSupported, reason);
        }
        // An alias is named as it is written.
        if name != entry.name {
            judged.name = name.to_owned().into();
        }
        judged
    }

    /// Why a known annotation is not read on this object; the reasons are those of ingress-nginx.
    fn without_effect(&self, row: &'static Annotation) -> Option<String> {
        if self.is_canary && !row.on_canary {
            return Some("an annotation of the primary Ingress applies instead".to_owned());
        }
        if let Some(reason) = unread(row, self.texts) {
            return Some(reason);
        }
        if let Some(flag) = row.needs_flag.filter(|flag| !self.is_given(*flag)) {
            return Some(format!("it needs {}", flag.as_str()));
        }
        let missing = row.needs.iter().find(|needed| !self.is_on(needed))?;
        Some(format!("ignored without {}", missing.entry.name))
    }

    fn is_given(&self, flag: Flag) -> bool {
        self.rules.flags.contains(&flag)
    }

    /// Whether an annotation is present, valid, and not `false` or `off`.
    fn is_on(&self, row: &Annotation) -> bool {
        let text = text_of(row, self.texts);
        let value = text.map(|text| row.entry.kind.parse(text, self.rules.validation));
        matches!(value, Some(Ok(value)) if value != Value::Bool(false))
    }

    /// The first problem of raw text, of which only a part is understood.
    fn misunderstood(&self, row: &Annotation, judged: &Judgement) -> Option<String> {
        if row.risk != Risk::Critical || !judged.verdict.is_same() {
            return None;
        }
        let problem = self.finding(row.entry.name)?;
        (problem.severity != Severity::Info).then(|| problem.message.to_string())
    }

    fn unknown(&self, name: &str) -> Judgement {
        let shown = excerpt(name);
        if let Some(row) = meant_by(name) {
            let meant = row.entry.name;
            let reason = format!("taken as {meant}; no release of ingress-nginx reads it");
            return match self.texts.contains_key(meant) {
                true => Judgement::new(shown, Verdict::NoEffect, "no release reads it"),
                false => Judgement::new(shown, Verdict::Differs, reason),
            };
        }
        let reason = match (removed(name), self.finding(&shown)) {
            (_, Some(finding)) => finding.message.to_string(),
            (Some(gone), None) => format!("removed from ingress-nginx long ago; {}", gone.hint),
            (None, None) => "unknown annotation; ignored".to_owned(),
        };
        Judgement::new(shown, Verdict::NoEffect, reason)
    }

    /// The gravest finding about an annotation.
    fn finding(&self, name: &str) -> Option<&Finding> {
        let end = format!("{}]", full_name(self.rules.prefix, name));
        let mut about = self.findings.iter().copied();
        about.find(|finding| finding.field.ends_with(&end))
    }
}
