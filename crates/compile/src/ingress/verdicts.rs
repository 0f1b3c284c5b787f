//! What happens to every annotation and ConfigMap key: the input of `headgate check`. It decides nothing; it says what
//! compilation does, from the same registries.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::Ingress;

use super::annotations::Flag;
use super::parsed::rules;
use super::registry::{Judgement, Support, Validation, Verdict, excerpt, inert, judge, unset};
use super::{annotations, class, host, settings};
use crate::finding::{Finding, Severity, Subject};
use crate::objects::ConfigMap;
use crate::{Compiled, Kind, Name, ObjectRef, Options, Snapshot};

/// The consequence of a protecting key that is not honoured.
const CLOSES: &str = "every route responds with 503";

/// The reason for a key that a ConfigMap of more precedence has too.
const OVERRIDDEN: &str = "the ConfigMap of --configmap has it too, and takes precedence";
/// The difference of every key that the parameters of an IngressClass set.
const OF_CLASS: &str = "ingress-nginx ignores the parameters of an IngressClass; here it applies.";

/// Says what happens to annotations. It has a copy of the operator's rules, so it may outlive the state that they are from.
#[derive(Clone, Debug)]
pub struct AnnotationJudge {
    prefix: Box<str>,
    validation: Validation,
    max_risk: annotations::Risk,
    blocklist: Vec<String>,
    snippets: bool,
    knows_location: bool,
    flags: Vec<Flag>,
}

impl AnnotationJudge {
    /// The verdicts about the annotations of an Ingress under the prefix, in the order of their names. `findings` are those
    /// about it.
    pub fn verdicts(&self, ingress: &Ingress, findings: &[&Finding]) -> Vec<Judgement> {
        match &ingress.metadata.annotations {
            None => Vec::new(),
            Some(all) => annotations::verdicts(&self.rules(), all, findings),
        }
    }

    fn rules(&self) -> annotations::Rules<'_> {
        annotations::Rules {
            prefix: &self.prefix,
            validation: self.validation,
            max_risk: self.max_risk,
            blocklist: &self.blocklist,
            snippets: self.snippets,
            knows_location: self.knows_location,
            flags: &self.flags,
            expressions: usize::MAX,
            ..annotations::Rules::default()
        }
    }
}

/// The verdicts about ConfigMap keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingVerdicts {
    /// About the keys of `--configmap`, and about keys that no ConfigMap sets and whose default differs.
    pub own: Vec<Judgement>,
    /// About the keys of the ConfigMaps that served IngressClasses have as parameters.
    pub of_classes: Vec<Judgement>,
}

impl Compiled {
    /// Judges annotations by the rules of this state.
    pub fn annotation_judge(&self, options: &Options) -> AnnotationJudge {
        let rules = rules(self.settings(), options);
        AnnotationJudge {
            prefix: rules.prefix.into(),
            validation: rules.validation,
            max_risk: rules.max_risk,
            blocklist: rules.blocklist.to_vec(),
            snippets: rules.snippets,
            knows_location: rules.knows_location,
            flags: rules.flags.to_vec(),
        }
    }

    /// The findings about paths of an Ingress that it does not serve because another one has the same path of the host already,
    /// as in ingress-nginx.
    pub fn lost_paths(&self, ingress: &Name) -> Vec<Finding> {
        let Some(attached) = self.attached(ingress) else {
            return Vec::new();
        };
        let subject = Subject::Object(ObjectRef {
            kind: Kind::Ingress,
            name: ingress.clone(),
        });
        let hosts = attached.ingress.touched_hosts();
        let findings = hosts.flat_map(|host| host::lost_paths(&host, &self.attached_to(&host)));
        findings.filter(|one| one.subject == subject).collect()
    }

    /// Why every route responds with 503, if the ConfigMap is the reason.
    pub fn closed_by_settings(&self) -> Option<&str> {
        let closed = self.settings().closed.as_ref();
        closed.map(|denial| &*denial.reason)
    }
}

/// The verdicts about the keys of all ConfigMaps with settings, in the order of their names. `findings` are those about
/// settings.
pub fn setting_verdicts(
    snapshot: &Snapshot,
    options: &Options,
    findings: &[&Finding],
) -> SettingVerdicts {
    let map = options.settings.as_ref();
    let map = map.and_then(|name| snapshot.get::<ConfigMap>(name));
    let own = map.map(|map| map.data());
    let has = |data: Option<&BTreeMap<String, String>>, key: &str| {
        data.is_some_and(|data| data.contains_key(key))
    };
    let mut verdicts = SettingVerdicts::default();
    let keys = own.into_iter().flatten();
    verdicts.own = keys
        .map(|(key, text)| setting(key, text, findings))
        .collect();
    // Only one ConfigMap of all classes applies, as in compilation.
    let mut applied: Option<(&Name, &BTreeMap<String, String>)> = None;
    let parameters = class::parameters(snapshot, &options.class);
    for (_, name) in &parameters {
        let Some(map) = snapshot.get::<ConfigMap>(name) else {
            continue;
        };
        let judge = |(key, text): (&String, &String)| match applied {
            Some((first, _)) => {
                let reason = format!("ConfigMap {first}, of another IngressClass, applies instead");
                Judgement::new(excerpt(key), Verdict::NoEffect, reason)
            }
            None if has(own, key) => Judgement::new(excerpt(key), Verdict::NoEffect, OVERRIDDEN),
            None => of_class(setting(key, text, findings), text),
        };
        if applied.is_none_or(|(first, _)| first != name) {
            verdicts.of_classes.extend(map.data().iter().map(judge));
        }
        applied = applied.or_else(|| Some((name, map.data())));
    }
    let of_class = applied.map(|(_, data)| data);
    let absent =
        settings::all().filter(|entry| !has(own, entry.name) && !has(of_class, entry.name));
    verdicts.own.extend(absent.filter_map(unset));
    verdicts
}

/// The verdict about a key that a class sets, from that about the same key of `--configmap`.
fn of_class(judged: Judgement, text: &str) -> Judgement {
    let is_default = || {
        let entry = settings::find(&judged.name);
        entry.is_some_and(|entry| entry.default == text.trim())
    };
    match judged.verdict {
        Verdict::Honoured if !text.trim().is_empty() && !is_default() => {
            Judgement::new(judged.name, Verdict::Differs, OF_CLASS)
        }
        Verdict::Differs => {
            let reason = format!("{OF_CLASS} {}", judged.reason);
            Judgement::new(judged.name, Verdict::Differs, reason)
        }
        Verdict::Honoured | Verdict::NoEffect | Verdict::NotSupported => judged,
    }
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
