//! From the annotations of an object to a reader: prefix, aliases, the risk gate, the blocklist, and unknown names.

use std::collections::BTreeMap;

use super::Policy;
use crate::Severity;
use crate::ingress::annotations::{
    Annotation, Bad, DEFAULT_PREFIX, Field, Reader, Risk, TUTORIAL_NAMES, all, excerpt, find,
    removed, tutorial_replacement,
};

/// A reader with every annotation under the prefix.
pub(super) fn load(policy: &Policy<'_>, annotations: &BTreeMap<String, String>) -> Reader {
    let mut reader = Reader::new(format!("{}/", policy.prefix));
    let ours: BTreeMap<&str, &str> = annotations
        .iter()
        .filter_map(|(key, text)| Some((short_name(key, policy.prefix)?, text.as_str())))
        .collect();
    gate(&mut reader, policy, &ours);
    for entry in all() {
        accept(&mut reader, policy, entry, &ours);
    }
    for name in ours.keys().filter(|name| find(name).is_none()) {
        tell_unknown(&mut reader, name, &ours);
    }
    if policy.prefix != DEFAULT_PREFIX {
        tell_wrong_prefix(&mut reader, policy, annotations);
    }
    reader
}

fn short_name<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix)?.strip_prefix('/')
}

/// Refuses an Ingress with an annotation above the allowed risk, whatever its value, or with a forbidden word. Snippets
/// are left to [`super::protects`]: at any level they close the routes, since what they would protect can't be told.
fn gate(reader: &mut Reader, policy: &Policy<'_>, ours: &BTreeMap<&str, &str>) {
    for (name, text) in ours {
        if let Some(entry) =
            find(name).filter(|entry| entry.risk > policy.max_risk && entry.risk < Risk::Critical)
        {
            let (risk, allowed) = (entry.risk.as_str(), policy.max_risk.as_str());
            let reason = format!("its risk is {risk} and annotations-risk-level allows {allowed}");
            reader.refuse(name, Some(Bad::RefuseIngress), &reason);
        }
        let forbidden = policy
            .blocklist
            .iter()
            .find(|word| !word.is_empty() && text.contains(word.as_str()));
        if let Some(word) = forbidden {
            let reason = format!(
                "the value contains \"{}\", forbidden by annotation-value-word-blocklist",
                excerpt(word)
            );
            reader.refuse(&excerpt(name), Some(Bad::RefuseIngress), &reason);
        }
    }
}

/// Parses one entry from its main name, else from an alias, else from a name tutorials use for it.
fn accept(
    reader: &mut Reader,
    policy: &Policy<'_>,
    entry: &'static Annotation,
    ours: &BTreeMap<&str, &str>,
) {
    let written = |name: &str| {
        ours.get(name)
            .copied()
            .filter(|text| !text.trim().is_empty())
    };
    let own =
        || written(entry.name).or_else(|| entry.aliases.iter().find_map(|alias| written(alias)));
    let meant = |name: &&str| tutorial_replacement(name) == Some(entry.name);
    let from_tutorial = || TUTORIAL_NAMES.into_iter().filter(meant).find_map(written);
    if let Some(text) = own().or_else(from_tutorial) {
        reader.accept(Field::from(entry), text, policy.validation);
    }
}

impl From<&Annotation> for Field {
    fn from(entry: &Annotation) -> Self {
        Self {
            name: entry.name,
            kind: entry.kind,
            bad: entry.bad,
            support: entry.support,
            default: entry.default,
        }
    }
}

fn tell_unknown(reader: &mut Reader, name: &str, ours: &BTreeMap<&str, &str>) {
    let replacement = tutorial_replacement(name);
    if let Some(main) = replacement.filter(|main| ours.contains_key(main)) {
        reader.info(
            name,
            format!("no release ever read this name; ignored beside {main}"),
        );
    } else if let Some(meant) = replacement {
        reader.info(
            name,
            format!("no release ever read this name; taken as {meant}, requests per second"),
        );
    } else if let Some(gone) = removed(name) {
        reader.warn(
            &excerpt(name),
            format!(
                "removed from ingress-nginx long ago and ignored; {}",
                gone.hint
            ),
        );
    } else {
        reader.info(&excerpt(name), "unknown annotation; ignored");
    }
}

/// With a prefix of its own, annotations under the usual prefix are for another controller, or forgotten.
fn tell_wrong_prefix(
    reader: &mut Reader,
    policy: &Policy<'_>,
    annotations: &BTreeMap<String, String>,
) {
    for key in annotations.keys() {
        if short_name(key, DEFAULT_PREFIX).is_some_and(|name| find(name).is_some()) {
            let message = format!(
                "ignored: this controller reads annotations that begin with {}/",
                policy.prefix
            );
            reader.push_full(key, Severity::Warning, message);
        }
    }
}
