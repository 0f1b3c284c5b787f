//! Loads the annotations of an object into a reader: prefix, aliases, allowed risk, blocklist, unknown names, and dependencies
//! between annotations.

use std::collections::BTreeMap;

use super::list::mentioned;
use super::{
    Annotation, Flag, Risk, Rules, Unread, all, canary, find, meant_by, prefix, removed, short_name,
};
use crate::Severity;
use crate::ingress::family::client_certificates::{AUTH_TLS_MATCH_CN, AUTH_TLS_SECRET};
use crate::ingress::family::{firewall, snippets};
use crate::ingress::registry::{Kind, Reader, Unhonoured, Validation, Value, excerpt, nearest};

/// Texts by short name.
pub(super) type Texts<'a> = BTreeMap<&'a str, &'a str>;

/// How many unknown names of an object are compared with known ones: an object can have thousands.
const MAX_COMPARED: usize = 20;

/// A reader with every annotation under the prefix.
pub(super) fn load<'a>(rules: &Rules<'a>, annotations: &'a BTreeMap<String, String>) -> Reader {
    let mut reader = Reader::new(rules.prefix).closing_with(rules.closed);
    let mut texts = texts_of(rules, annotations);
    let unusable = add_policies(&mut reader, rules, &mut texts);
    check_risk_and_words(&mut reader, rules, &texts);
    let mut rows = mentioned(texts.keys().copied());
    if canary::is_canary(rules, &texts) {
        for row in rows.extract_if(.., |row| !row.on_canary) {
            if let Some(text) = text_of(row, &texts) {
                canary::report(&mut reader, rules, row, text);
            }
        }
    }
    for &row in &rows {
        if let Some(text) = text_of(row, &texts) {
            match unread(row, &texts) {
                Some(reason) => reader.warn_entry(&row.entry, reason),
                None => reader.accept(row, text, rules.validation),
            }
        }
    }
    for (row, reason) in unusable {
        reader.reject_text(row, reason);
    }
    let unknown = texts.keys().filter(|name| find(name).is_none());
    for (name, position) in unknown.zip(0..) {
        report_unknown(&mut reader, name, &texts, position < MAX_COMPARED);
    }
    prefix::report(&mut reader, rules, annotations);
    for &row in &rows {
        report_needs(&mut reader, row);
        report_flag(&mut reader, rules, row);
    }
    reader.close_unhonoured(rows.into_iter(), |reader, row| {
        let is_off = firewall::is_off(reader, rules.max_risk, row);
        (!is_off).then(|| unhonoured(reader, row))
    });
    reader
}

/// Adds what policies say to the texts. Returns the annotations for which a policy has no usable text, and why.
fn add_policies<'a>(
    reader: &mut Reader,
    rules: &Rules<'a>,
    texts: &mut Texts<'a>,
) -> Vec<(&'static Annotation, &'a str)> {
    let mut unusable = Vec::new();
    for value in rules.policies.all() {
        reader.set_by_policy(value.row);
        match &value.text {
            Ok(text) => drop(texts.insert(value.row.entry.name, text)),
            Err(reason) => unusable.push((value.row, &**reason)),
        }
    }
    unusable
}

/// The names of the annotations that are there to protect the hosts or routes. Only hosts that are passed through need them.
pub(super) fn protecting(reader: &Reader, rules: &Rules<'_>) -> Box<[&'static str]> {
    if !rules.flags.contains(&Flag::SslPassthrough) {
        return Box::default();
    }
    let of_clients = [AUTH_TLS_SECRET.row(), AUTH_TLS_MATCH_CN.row()];
    let protects = |row: &&Annotation| row.entry.protects.is_some() || of_clients.contains(row);
    let rows = all().filter(protects).filter(|row| reader.is_changed(row));
    rows.map(|row| row.entry.name).collect()
}

/// Why an annotation that is not honoured closes its routes, and what would be right.
fn unhonoured(reader: &Reader, row: &'static Annotation) -> Unhonoured {
    let snippet = reader
        .raw(row)
        .filter(|_| row.risk == Risk::Critical)
        .map(snippets::advice);
    if row.entry == firewall::ENABLE_MODSECURITY.row().entry {
        return firewall::NO_FIREWALL;
    }
    Unhonoured {
        reason: "protects the route and is not honoured yet",
        advice: snippet.unwrap_or_else(|| "delete the annotation to serve them without it".into()),
    }
}

/// The texts under the prefix, by short name.
pub(super) fn texts_of<'a>(
    rules: &Rules<'_>,
    annotations: &'a BTreeMap<String, String>,
) -> Texts<'a> {
    let named = annotations.iter();
    named
        .filter_map(|(key, text)| Some((short_name(key, rules.prefix)?, text.as_str())))
        .collect()
}

/// Refuses an Ingress with an annotation above the allowed risk, regardless of its value, or with a forbidden word. Snippets
/// are not refused: they close the routes at any level, because it is unknown what they protect.
fn check_risk_and_words(reader: &mut Reader, rules: &Rules<'_>, texts: &Texts<'_>) {
    for (name, text) in texts {
        if let Some(row) =
            find(name).filter(|row| row.risk > rules.max_risk && row.risk < Risk::Critical)
        {
            let (risk, allowed) = (row.risk.as_str(), rules.max_risk.as_str());
            let reason = format!("its risk is {risk} and annotations-risk-level allows {allowed}");
            reader.refuse(name, &reason);
        }
        let forbidden = rules
            .blocklist
            .iter()
            .find(|word| !word.is_empty() && text.contains(word.as_str()));
        if let Some(word) = forbidden {
            let reason = format!(
                "the value contains \"{}\", forbidden by annotation-value-word-blocklist",
                excerpt(word)
            );
            reader.refuse(&excerpt(name), &reason);
        }
    }
}

/// The text of an annotation: under its name, else under an alias, else under a name that tutorials use for it.
pub(super) fn text_of<'a>(row: &Annotation, texts: &Texts<'a>) -> Option<&'a str> {
    let names = [row.entry.name].into_iter();
    names
        .chain(row.aliases.iter().copied())
        .chain(row.misnomers.iter().copied())
        .filter_map(|name| texts.get(name).copied())
        .find(|text| !text.trim().is_empty())
}

/// Why the value of an annotation is not looked at, if it is not.
pub(super) fn unread(row: &Annotation, texts: &Texts<'_>) -> Option<String> {
    let (relation, other) = match row.unread? {
        Unread::Beside(other) => ("beside", other),
        Unread::Without(other) => ("without", other),
    };
    // A switch that is not on is like one that is absent.
    let is_on = |text: &str| {
        let value = other.entry.kind.parse(text, Validation::Full);
        other.entry.kind != Kind::Bool || value.is_ok_and(|value| value == Value::Bool(true))
    };
    let present = text_of(other, texts).is_some_and(is_on);
    let holds = present == matches!(row.unread, Some(Unread::Beside(_)));
    holds.then(|| format!("ignored {relation} {}", other.entry.name))
}

/// Reports an annotation without effect because another one is missing.
fn report_needs(reader: &mut Reader, row: &'static Annotation) {
    if row.needs.is_empty() || !reader.is_present(&row.entry) {
        return;
    }
    if let Some(missing) = row.needs.iter().find(|needed| !reader.is_on(needed)) {
        let value = match missing.entry.kind {
            Kind::Bool => ": \"true\"",
            _ => "",
        };
        let message = format!("ignored without {}{value}", missing.entry.name);
        reader.warn_entry(&row.entry, message);
    }
}

/// Reports an annotation that a missing flag switches off.
fn report_flag(reader: &mut Reader, rules: &Rules<'_>, row: &'static Annotation) {
    let missing = row.needs_flag.filter(|flag| !rules.flags.contains(flag));
    if let Some(flag) = missing.filter(|_| reader.is_on(row)) {
        let message = format!("ignored: it needs {}", flag.as_str());
        reader.warn_entry(&row.entry, message);
    }
}

fn report_unknown(reader: &mut Reader, name: &str, texts: &Texts<'_>, compare: bool) {
    let (severity, message) = if let Some(meant) = meant_by(name) {
        let meant = meant.entry.name;
        let consequence = if texts.contains_key(meant) {
            format!("ignored beside {meant}")
        } else {
            format!("taken as {meant}, requests per second")
        };
        let message = format!("no release ever read this name; {consequence}");
        (Severity::Info, message)
    } else if let Some(gone) = removed(name) {
        let message = format!(
            "removed from ingress-nginx long ago and ignored; {}",
            gone.hint
        );
        (Severity::Warning, message)
    } else if let Some(meant) = misspelt(name).filter(|_| compare) {
        misspelt_message(meant)
    } else {
        (Severity::Info, "unknown annotation; ignored".to_owned())
    };
    reader.report(&excerpt(name), severity, message);
}

/// The annotation whose name, or alias, an unknown name resembles most.
fn misspelt(name: &str) -> Option<(&'static str, &'static Annotation)> {
    let names = all().flat_map(|row| {
        let aliases = row.aliases.iter().copied();
        [row.entry.name].into_iter().chain(aliases)
    });
    let meant = nearest(name, names)?;
    Some((meant, find(meant)?))
}

/// A misspelt annotation is not taken as what it resembles, so what it should protect is open.
fn misspelt_message((meant, row): (&str, &Annotation)) -> (Severity, String) {
    if row.protects() {
        let message =
            format!("unknown annotation; ignored, so it protects nothing: did you mean {meant}?");
        (Severity::Error, message)
    } else {
        let message = format!("unknown annotation; ignored: did you mean {meant}?");
        (Severity::Warning, message)
    }
}
