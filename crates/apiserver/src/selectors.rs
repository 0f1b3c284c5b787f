//! Label and field selectors.

use std::collections::BTreeMap;

use serde_json::Value;

use super::failure::Failure;
use super::kinds::Kind;
use super::stored::{Key, Stored};

/// The selection of a list, a watch or a deletion of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Only in this namespace.
    pub(crate) namespace: Option<String>,
    /// Only with these labels.
    pub(crate) labels: Labels,
    /// Fields that have (`true`) or do not have (`false`) a value.
    pub(crate) fields: Vec<(String, bool, String)>,
}

impl Selection {
    /// Whether an object is selected.
    pub(crate) fn has(&self, stored: &Stored) -> bool {
        self.namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == stored.key.namespace)
            && self.labels.hold(&stored.labels)
            && self
                .fields
                .iter()
                .all(|(field, equal, value)| (stored.field(field) == value) == *equal)
    }

    /// Whether it selects by namespace only, or everything.
    pub(crate) fn is_whole(&self) -> bool {
        self.labels.0.is_empty() && self.fields.is_empty()
    }

    /// The key of the only object that it can select, if it selects by name.
    pub(crate) fn key(&self) -> Option<Key> {
        let name = self.name()?;
        Some(Key::new(self.namespace.as_deref()?, name))
    }

    /// The name that it selects, if any.
    pub(crate) fn name(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|(field, equal, _)| field == "metadata.name" && *equal)
            .map(|(_, _, name)| name.as_str())
    }
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
}

/// Conditions on labels, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

impl Labels {
    /// Parses a `labelSelector`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let mut requirements = Vec::new();
        for part in split(text) {
            let requirement = requirement(part).ok_or_else(|| {
                Failure::bad_request(format!("unable to parse requirement: {part:?}"))
            })?;
            requirements.push(requirement);
        }
        Ok(Self(requirements))
    }

    /// Reads a `LabelSelector` object.
    pub(crate) fn of(selector: &Value) -> Self {
        let equal = selector["matchLabels"].as_object().into_iter().flatten();
        let mut requirements: Vec<Requirement> = equal
            .map(|(name, value)| Requirement::In(name.clone(), vec![text(value)]))
            .collect();
        let expressions = selector["matchExpressions"].as_array();
        for expression in expressions.into_iter().flatten() {
            let key = text(&expression["key"]);
            let values = expression["values"].as_array().into_iter().flatten();
            let values = values.map(text).collect();
            requirements.push(match expression["operator"].as_str() {
                Some("In") => Requirement::In(key, values),
                Some("NotIn") => Requirement::NotIn(key, values),
                Some("DoesNotExist") => Requirement::Absent(key),
                _ => Requirement::Exists(key),
            });
        }
        Self(requirements)
    }

    /// Whether they hold for these labels.
    pub(crate) fn hold(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => {
                labels.get(key).is_some_and(|value| values.contains(value))
            }
            Requirement::NotIn(key, values) => {
                labels.get(key).is_none_or(|value| !values.contains(value))
            }
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Splits at the commas outside of parentheses.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_i32;
    text.split(move |character| {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        character == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn requirement(part: &str) -> Option<Requirement> {
    if let Some(key) = part.strip_prefix('!') {
        return Some(Requirement::Absent(label(key)?));
    }
    if let Some((key, value)) = part.split_once("!=") {
        return Some(Requirement::NotIn(
            label(key)?,
            vec![value.trim().to_owned()],
        ));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Some(Requirement::In(label(key)?, vec![value.trim().to_owned()]));
    }
    let Some((head, values)) = part.split_once('(') else {
        return Some(Requirement::Exists(label(part)?));
    };
    let values = values.strip_suffix(')')?.split(',');
    let values = values.map(|value| value.trim().to_owned()).collect();
    let mut words = head.split_whitespace();
    let key = label(words.next()?)?;
    match (words.next()?, words.next()) {
        ("in", None) => Some(Requirement::In(key, values)),
        ("notin", None) => Some(Requirement::NotIn(key, values)),
        _ => None,
    }
}

fn label(text: &str) -> Option<String> {
    let text = text.trim();
    let valid = |character: char| character.is_ascii_alphanumeric() || "-_./".contains(character);
    (!text.is_empty() && text.chars().all(valid)).then(|| text.to_owned())
}

/// Parses a `fieldSelector`; a field that the kind does not support is refused.
pub(crate) fn fields(kind: &Kind, text: &str) -> Result<Vec<(String, bool, String)>, Failure> {
    let mut found = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (field, equal, value) = if let Some((field, value)) = part.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('='))
        {
            (field, true, value)
        } else {
            return Err(Failure::bad_request(format!(
                "invalid selector: {part:?}; can't understand {part:?}"
            )));
        };
        let field = match field.strip_prefix("regarding.") {
            Some(rest) if kind.kind == "Event" => format!("involvedObject.{rest}"),
            _ => field.to_owned(),
        };
        let known = ["metadata.name", "metadata.namespace"].contains(&field.as_str())
            || kind.fields.contains(&field.as_str());
        if !known {
            return Err(Failure::bad_request(format!(
                "Unable to find {:?} that match label selector \"\", field selector {text:?}: field label not supported: {field}",
                format!("{}, Resource={}", kind.api_version(), kind.plural)
            )));
        }
        found.push((field, equal, value.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed parse fails the test")]
    use super::*;

    fn holds(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Labels::parse(selector).unwrap().hold(&labels)
    }

    #[test]
    fn the_grammar_of_labels() {
        let labels = [("app", "web"), ("tier", "front"), ("a.b/c", "")];
        for (selector, expected) in [
            ("", true),
            ("app=web", true),
            ("app == web , tier!=back", true),
            ("app=api", false),
            ("app", true),
            ("a.b/c", true),
            ("a.b/c=", true),
            ("!app", false),
            ("!other", true),
            ("app in (api, web)", true),
            ("app in (api),tier", false),
            ("app notin (api, db)", true),
            ("other notin (x)", true),
            ("other!=x", true),
        ] {
            assert_eq!(holds(selector, &labels), expected, "{selector}");
        }
    }

    #[test]
    fn malformed_selectors_are_refused() {
        for selector in ["a b", "app in web", "=x", "app within (a)", "app in (a"] {
            assert!(Labels::parse(selector).is_err(), "{selector}");
        }
    }
}
