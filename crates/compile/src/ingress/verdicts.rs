//! What happens to every annotation and ConfigMap key: the input of `headgate check`. It decides nothing; it says what
//! compilation does, from the same registries.

use k8s_openapi::api::networking::v1::Ingress;

use super::parsed::rules;
use super::registry::{Judgement, Support, Verdict, excerpt, inert, judge, unset};
use super::{annotations, settings};
use crate::finding::{Finding, Severity};
use crate::objects::ConfigMap;
use crate::{Compiled, Options};

/// The consequence of a protecting key that is not honoured.
const CLOSES: &str = "every route responds with 503";

impl Compiled {
    /// The verdicts about the annotations of an Ingress under the prefix, in the order of their names. `findings` are those
    /// about it.
    pub fn annotation_verdicts(
        &self,
        ingress: &Ingress,
        options: &Options,
        findings: &[&Finding],
    ) -> Vec<Judgement> {
        match &ingress.metadata.annotations {
            None => Vec::new(),
            Some(all) => annotations::verdicts(&rules(self.settings(), options), all, findings),
        }
    }

    /// Why every route responds with 503, if the ConfigMap is the reason.
    pub fn closed_by_settings(&self) -> Option<&str> {
        let closed = self.settings().closed.as_ref();
        closed.map(|denial| &*denial.reason)
    }
}

/// The verdicts about the keys of the ConfigMap with the settings, in the order of their names, and about keys that are not set
/// and whose default differs. `findings` are those about it.
pub fn setting_verdicts(map: Option<&ConfigMap>, findings: &[&Finding]) -> Vec<Judgement> {
    let data = map.map(ConfigMap::data);
    let mut verdicts: Vec<Judgement> = data
        .into_iter()
        .flatten()
        .map(|(key, text)| setting(key, text, findings))
        .collect();
    let absent =
        settings::all().filter(|entry| !data.is_some_and(|data| data.contains_key(entry.name)));
    verdicts.extend(absent.filter_map(unset));
    verdicts
}

/// The verdict about a ConfigMap key with this value, wherever it is written.
pub fn setting_verdict(key: &str, text: &str) -> Judgement {
    setting(key, text, &[])
}

fn setting(key: &str, text: &str, findings: &[&Finding]) -> Judgement {
    let field = format!("data.{key}");
    let mut about = findings.iter().filter(|finding| *finding.field == field);
    let Some(entry) = settings::find(key) else {
        let reason = about.next().map(|finding| finding.message.to_string());
        let reason = reason.unwrap_or_else(|| "unknown key; ignored".to_owned());
        return Judgement::new(excerpt(key), Verdict::NoEffect, reason);
    };
    // Keys without effect take any text.
    if entry.support == Support::Inert && text.trim() != entry.default {
        return Judgement::new(entry.name, Verdict::NoEffect, inert(entry));
    }
    let judged = judge(entry, text, CLOSES, |_| false);
    // A value of which only a part is understood, or whose number is out of range.
    match about.find(|finding| finding.severity != Severity::Info) {
        Some(finding) if judged.verdict == Verdict::Honoured => Judgement::new(
            entry.name,
            Verdict::NotSupported,
            finding.message.to_string(),
        ),
        _ => judged,
    }
}
